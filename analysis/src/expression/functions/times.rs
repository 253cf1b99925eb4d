//! Functions on instants and durations, and their methods. Everything is in UTC.

use jiff::{SignedDuration, Timestamp, civil, tz};
use sluice_crds::duration;

use super::super::eval::Evaluator;
use super::super::value::Value;
use super::super::{ExpressionError, Result, operators};
use super::{Function, Gives, argument, invalid, plain, text};

pub(super) const FUNCTIONS: &[Function] = &[
    plain("now", 0, 0, Gives::Time, |evaluator, _| {
        Ok(Value::Time(evaluator.environment.now))
    }),
    plain("duration", 1, 1, Gives::Duration, |_, values| {
        duration::parse(text("duration", values, 0)?)
            .map(Value::Duration)
            .map_err(|error| ExpressionError::new(error.to_string()))
    }),
    plain("date", 1, 1, Gives::Time, |_, values| {
        let written = text("date", values, 0)?;
        date(written).map(Value::Time).ok_or_else(|| {
            ExpressionError::new(format!(
                "invalid date {written}: write 2006-01-02, 15:04:05, 2006-01-02 15:04:05 or 2006-01-02T15:04:05Z"
            ))
        })
    }),
    plain("timezone", 1, 1, Gives::Unknown, |_, _| {
        Err(ExpressionError::new(
            "timezone() is not available: every time is in UTC",
        ))
    }),
];

fn date(text: &str) -> Option<Timestamp> {
    let in_utc = |date: civil::DateTime| Some(date.to_zoned(tz::TimeZone::UTC).ok()?.timestamp());
    // Numbers of a fixed width only: what is shorter would be read as something else.
    match text.len() {
        10 => in_utc(text.parse::<civil::Date>().ok()?.at(0, 0, 0, 0)),
        8 => in_utc(civil::date(0, 1, 1).to_datetime(text.parse().ok()?)),
        19 if text.contains(' ') => in_utc(text.parse().ok()?),
        _ => text.parse().ok(),
    }
}

/// Calls a method of an instant or of a duration.
pub(super) fn method(
    evaluator: &mut Evaluator<'_>,
    base: &Value,
    name: &str,
    arguments: &[Value],
) -> Result<Value> {
    let unknown =
        || ExpressionError::new(format!("type {} has no method {name}", base.type_name()));
    let expected = match name {
        "Before" | "After" | "Equal" | "Compare" | "Add" | "Sub" | "Truncate" => 1,
        _ => 0,
    };
    match base {
        Value::Time(time) => {
            let value = time_method(*time, name, arguments)?.ok_or_else(unknown)?;
            arity(name, expected, arguments)?;
            Ok(value)
        }
        Value::Duration(duration) => {
            arity(name, 0, arguments)?;
            if name == "String" {
                let text = base.to_string();
                return evaluator.text(text);
            }
            duration_method(*duration, name).ok_or_else(unknown)
        }
        _ => Err(unknown()),
    }
}

fn arity(name: &str, expected: usize, arguments: &[Value]) -> Result<()> {
    if arguments.len() == expected {
        return Ok(());
    }
    Err(ExpressionError::new(format!(
        "invalid number of arguments for {name} (expected {expected}, got {})",
        arguments.len()
    )))
}

fn time_method(time: Timestamp, name: &str, arguments: &[Value]) -> Result<Option<Value>> {
    let zoned = time.to_zoned(tz::TimeZone::UTC);
    let other = || match argument(arguments, 0) {
        Value::Time(other) => Ok(*other),
        wrong => Err(invalid(name, wrong)),
    };
    let length = || match argument(arguments, 0) {
        Value::Duration(length) => Ok(*length),
        wrong => Err(invalid(name, wrong)),
    };
    let number = |number: i64| Some(Value::Integer(number));
    Ok(match name {
        "Year" => number(zoned.year().into()),
        "Month" => number(zoned.month().into()),
        "Day" => number(zoned.day().into()),
        "Hour" => number(zoned.hour().into()),
        "Minute" => number(zoned.minute().into()),
        "Second" => number(zoned.second().into()),
        "Nanosecond" => number(zoned.subsec_nanosecond().into()),
        "YearDay" => number(zoned.day_of_year().into()),
        "Weekday" => number(zoned.weekday().to_sunday_zero_offset().into()),
        "Unix" => number(time.as_second()),
        "UnixMilli" => number(time.as_millisecond()),
        "UTC" => Some(Value::Time(time)),
        "Before" => Some((time < other()?).into()),
        "After" => Some((time > other()?).into()),
        "Equal" => Some((time == other()?).into()),
        "Compare" => number(i64::from(time.cmp(&other()?) as i8)),
        "Sub" => Some(Value::Duration(time.duration_since(other()?))),
        "Add" => Some(operators::move_time(time, length()?)?),
        "Truncate" => {
            let nanos = length()?.as_nanos();
            let past = if nanos > 0 {
                time.as_nanosecond().rem_euclid(nanos)
            } else {
                0
            };
            let past = SignedDuration::from_nanos(i64::try_from(past).unwrap_or(0));
            Some(operators::move_time(time, SignedDuration::ZERO - past)?)
        }
        _ => None,
    })
}

fn duration_method(duration: SignedDuration, name: &str) -> Option<Value> {
    let whole = |value: i128| Value::Integer(i64::try_from(value).unwrap_or(i64::MAX));
    Some(match name {
        "Hours" => (duration.as_secs_f64() / 3600.0).into(),
        "Minutes" => (duration.as_secs_f64() / 60.0).into(),
        "Seconds" => duration.as_secs_f64().into(),
        "Milliseconds" => whole(duration.as_millis()),
        "Microseconds" => whole(duration.as_micros()),
        "Nanoseconds" => whole(duration.as_nanos()),
        "Abs" => Value::Duration(duration.abs()),
        _ => return None,
    })
}
