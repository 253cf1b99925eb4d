//! Functions on the bits of whole numbers.

use super::super::value::Value;
use super::super::{ExpressionError, Result};
use super::{Function, Gives, integer, plain};

macro_rules! bits {
    ($name:literal, |$left:ident, $right:ident| $body:expr) => {
        plain($name, 2, 2, Gives::Integer, |_, values| {
            let $left = integer($name, values, 0)?;
            let $right = integer($name, values, 1)?;
            Ok(Value::Integer($body))
        })
    };
}

pub(super) const FUNCTIONS: &[Function] = &[
    bits!("bitand", |left, right| left & right),
    bits!("bitor", |left, right| left | right),
    bits!("bitxor", |left, right| left ^ right),
    bits!("bitnand", |left, right| left & !right),
    bits!("bitshl", |left, right| left
        .checked_shl(shift(right)?)
        .unwrap_or(0)),
    bits!("bitshr", |left, right| left
        .checked_shr(shift(right)?)
        .unwrap_or(if left < 0 { -1 } else { 0 })),
    bits!("bitushr", |left, right| left
        .cast_unsigned()
        .checked_shr(shift(right)?)
        .unwrap_or(0)
        .cast_signed()),
    plain("bitnot", 1, 1, Gives::Integer, |_, values| {
        Ok(Value::Integer(!integer("bitnot", values, 0)?))
    }),
];

fn shift(count: i64) -> Result<u32> {
    if count < 0 {
        return Err(ExpressionError::new(format!(
            "invalid operation: negative shift count {count} (type int)"
        )));
    }
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}
