//! Amounts of resources in canonical form: `1000m` is `1`, `0.5` is `500m`, `1.5Gi` is `1536Mi`.
//!
//! The rules are those of Kubernetes' `resource.Quantity`, with its habits: a text that is nearly canonical is kept as
//! it was written (`1.500` stays), more than nine decimal places are rounded up, and binary amounts end at 2⁶³-1.
//! Arithmetic is on decimal digits, so that no amount is too long.

/// Which suffixes an amount is written with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Format {
    /// `n u m k M G T P E`.
    Decimal,
    /// `e3`.
    Exponent,
    /// `Ki Mi Gi Ti Pi Ei`.
    Binary,
}

/// The parts of a text.
struct Parts<'a> {
    negative: bool,
    /// Digits before the point without leading zeros; `0` when there are none.
    whole: &'a str,
    /// Digits after the point.
    fraction: &'a str,
    /// Whether there is any digit, leading zeros included.
    has_digits: bool,
    suffix: &'a str,
}

/// Digits times ten to the power of `exponent`; without leading zeros, so that zero has no digits.
struct Decimal {
    digits: Vec<u8>,
    exponent: i32,
}

const DECIMAL_SUFFIXES: [(&str, i32); 10] = [
    ("n", -9),
    ("u", -6),
    ("m", -3),
    ("", 0),
    ("k", 3),
    ("M", 6),
    ("G", 9),
    ("T", 12),
    ("P", 15),
    ("E", 18),
];

const BINARY_SUFFIXES: [(&str, i32); 6] = [
    ("Ki", 10),
    ("Mi", 20),
    ("Gi", 30),
    ("Ti", 40),
    ("Pi", 50),
    ("Ei", 60),
];

/// The canonical form of a quantity; `None` when the text is not one.
pub(super) fn canonical(text: &str) -> Option<String> {
    // Spaces around are fine; what JSON escapes (tabs, line breaks) is not, since Kubernetes looks at the JSON text.
    let text = text.trim_matches(|char: char| {
        char.is_whitespace() && !char.is_ascii_control() && !"\u{2028}\u{2029}".contains(char)
    });
    if text.is_empty() {
        return None;
    }
    let parts = split(text)?;
    let (format, exponent) = suffix(parts.suffix)?;
    let short = fits_64_bits(&parts, format, exponent);
    if !short && !parts.has_digits {
        return None;
    }
    if short && is_nearly_canonical(&parts, format, exponent) {
        return Some(text.to_owned());
    }
    let mut amount = Decimal::new(
        parts.whole.bytes().chain(parts.fraction.bytes()),
        i32::try_from(parts.fraction.len()).ok()?.checked_neg()?,
    );
    if amount.digits.is_empty() {
        return Some("0".to_owned());
    }
    let written = match format {
        Format::Decimal | Format::Exponent => {
            amount.exponent = amount.exponent.checked_add(exponent)?;
            amount.round_up_to_nano();
            amount.write_decimal(format)
        }
        Format::Binary => {
            for _ in 0..exponent {
                amount.double();
            }
            amount.round_up_to_nano();
            amount.write_binary()
        }
    };
    Some(if parts.negative {
        format!("-{written}")
    } else {
        written
    })
}

fn split(text: &str) -> Option<Parts<'_>> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (written, rest) = rest.split_at_checked(digits(rest))?;
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at_checked(digits(rest))?,
        None => ("", rest),
    };
    let letters = rest
        .bytes()
        .take_while(|byte| b"eEinumkKMGTP".contains(byte))
        .count();
    let tail = rest.get(letters..)?;
    let tail = tail.strip_prefix(['+', '-']).unwrap_or(tail);
    if digits(tail) != tail.len() {
        return None;
    }
    let whole = written.trim_start_matches('0');
    Some(Parts {
        negative,
        whole: if whole.is_empty() { "0" } else { whole },
        fraction,
        has_digits: !written.is_empty() || !fraction.is_empty(),
        suffix: rest,
    })
}

fn suffix(text: &str) -> Option<(Format, i32)> {
    let find = |table: &[(&str, i32)]| {
        table
            .iter()
            .find(|(name, _)| *name == text)
            .map(|(_, exponent)| *exponent)
    };
    if let Some(exponent) = find(&DECIMAL_SUFFIXES) {
        return Some((Format::Decimal, exponent));
    }
    if let Some(exponent) = find(&BINARY_SUFFIXES) {
        return Some((Format::Binary, exponent));
    }
    let exponent = text.strip_prefix(['e', 'E'])?;
    Some((Format::Exponent, exponent.parse().ok()?))
}

/// Whether Kubernetes takes its short way, with 64-bit numbers. It matters for what is kept as it was written.
fn fits_64_bits(parts: &Parts<'_>, format: Format, exponent: i32) -> bool {
    let (whole, fraction) = (parts.whole.len(), parts.fraction.len());
    match format {
        Format::Decimal | Format::Exponent => {
            let scale = i64::from(exponent) - i64::try_from(fraction).unwrap_or(i64::MAX);
            whole + fraction <= 18 && scale >= -9
        }
        Format::Binary => {
            let factor_digits = usize::try_from(exponent * 3 / 10).unwrap_or_default();
            fraction == 0 && whole + factor_digits < 15
        }
    }
}

fn is_nearly_canonical(parts: &Parts<'_>, format: Format, exponent: i32) -> bool {
    let digits = format!("{}{}", parts.whole, parts.fraction);
    match format {
        Format::Decimal | Format::Exponent => {
            let scale = i64::from(exponent) - i64::try_from(parts.fraction.len()).unwrap_or(0);
            scale % 3 == 0 && !digits.ends_with("000") && !digits.starts_with('0')
        }
        Format::Binary => digits.parse::<u64>().is_ok_and(|number| number % 8 != 0),
    }
}

impl Decimal {
    fn new(digits: impl Iterator<Item = u8>, exponent: i32) -> Self {
        let digits = digits
            .map(|digit| digit.saturating_sub(b'0'))
            .skip_while(|digit| *digit == 0)
            .collect();
        Self { digits, exponent }
    }

    fn double(&mut self) {
        let mut carry = 0;
        for digit in self.digits.iter_mut().rev() {
            let sum = *digit * 2 + carry;
            *digit = sum % 10;
            carry = sum / 10;
        }
        if carry > 0 {
            self.digits.insert(0, carry);
        }
    }

    /// Drops what is below 10⁻⁹; anything that is lost counts as one more.
    fn round_up_to_nano(&mut self) {
        if self.exponent >= -9 {
            return;
        }
        let drop = usize::try_from(-9 - i64::from(self.exponent)).unwrap_or(usize::MAX);
        let keep = self.digits.len().saturating_sub(drop);
        let lost = self.digits.drain(keep..).any(|digit| digit > 0);
        self.exponent = -9;
        if lost {
            let mut carry = 1;
            for digit in self.digits.iter_mut().rev() {
                let sum = *digit + carry;
                *digit = sum % 10;
                carry = sum / 10;
            }
            if carry > 0 {
                self.digits.insert(0, carry);
            }
        }
    }

    /// The value, when it is a whole number that fits; the largest one when it is larger.
    fn capped(&self) -> Option<u64> {
        const MAX: u64 = i64::MAX as u64;
        let mut digits = self.digits.clone();
        let mut exponent = self.exponent;
        while exponent < 0 && digits.last() == Some(&0) {
            digits.pop();
            exponent += 1;
        }
        let below_one = usize::try_from(-i64::from(exponent)).unwrap_or(0);
        let whole = digits.len().saturating_sub(below_one);
        let number = digits.iter().take(whole).try_fold(0_u64, |number, digit| {
            number.checked_mul(10)?.checked_add(u64::from(*digit))
        });
        match number {
            Some(number) if number < MAX => (below_one == 0).then_some(number),
            // What is larger than the limit by a fraction only is larger too.
            _ => Some(MAX),
        }
    }

    fn write_decimal(mut self, format: Format) -> String {
        while self.digits.last() == Some(&0) {
            self.digits.pop();
            self.exponent = self.exponent.saturating_add(1);
        }
        while self.exponent % 3 != 0 {
            self.digits.push(0);
            self.exponent -= 1;
        }
        let mut text: String = self
            .digits
            .iter()
            .map(|digit| char::from(b'0' + digit))
            .collect();
        if format == Format::Exponent {
            if self.exponent != 0 {
                text.push_str(&format!("e{}", self.exponent));
            }
        } else if let Some((name, _)) = DECIMAL_SUFFIXES
            .iter()
            .find(|(_, exponent)| *exponent == self.exponent)
        {
            // Beyond the table Kubernetes writes no suffix, wrong as the number then is.
            text.push_str(name);
        }
        text
    }

    /// Binary amounts below 1024, and fractions, are written as decimal ones.
    fn write_binary(self) -> String {
        match self.capped() {
            Some(mut number) if number >= 1024 => {
                let mut suffixes = BINARY_SUFFIXES.iter();
                let mut suffix = "";
                while number >= 1024 && number % 1024 == 0 {
                    number /= 1024;
                    suffix = suffixes.next().map_or("", |(name, _)| *name);
                }
                format!("{number}{suffix}")
            }
            _ => self.write_decimal(Format::Decimal),
        }
    }
}
