//! Cron schedules with five fields (minute, hour, day of month, month, day of week), as sync windows use them.

use jiff::civil::DateTime;

/// A parsed schedule: for each field, the set of values as bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// When both day fields are restricted, one of them is enough; as in cron since always.
    either_day: bool,
}

/// A schedule that was not understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("schedule {text:?}: {reason}")]
pub struct ScheduleError {
    text: String,
    reason: String,
}

const MONTHS: [&str; 12] = [
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec",
];
const WEEKDAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

impl Schedule {
    /// Parses five fields, or `@hourly`, `@daily`, `@midnight`, `@weekly`, `@monthly`, `@yearly`, `@annually`.
    ///
    /// # Errors
    /// When a field is missing, out of range or no number.
    pub fn parse(text: &str) -> Result<Self, ScheduleError> {
        let error = |reason: String| ScheduleError {
            text: text.to_owned(),
            reason,
        };
        let expanded = match text.trim() {
            "@hourly" => "0 * * * *",
            "@daily" | "@midnight" => "0 0 * * *",
            "@weekly" => "0 0 * * 0",
            "@monthly" => "0 0 1 * *",
            "@yearly" | "@annually" => "0 0 1 1 *",
            other => other,
        };
        let fields: Vec<&str> = expanded.split_whitespace().collect();
        let [minute, hour, day, month, weekday] = fields.as_slice() else {
            return Err(error(format!(
                "it has {} fields, five are needed",
                fields.len()
            )));
        };
        let weekdays = set(weekday, 0, 7, &WEEKDAYS).map_err(error)?;
        Ok(Self {
            minutes: set(minute, 0, 59, &[]).map_err(error)?,
            hours: set(hour, 0, 23, &[]).map_err(error)?,
            days: set(day, 1, 31, &[]).map_err(error)?,
            months: set(month, 1, 12, &MONTHS).map_err(error)?,
            // 7 is Sunday as well.
            weekdays: (weekdays | (weekdays >> 7)) & 0x7f,
            either_day: !day.starts_with(['*', '?']) && !weekday.starts_with(['*', '?']),
        })
    }

    /// Whether the schedule fires in the minute of this time.
    #[must_use]
    pub fn fires_at(&self, time: DateTime) -> bool {
        let has = |set: u64, value: i8| u32::try_from(value).is_ok_and(|bit| set >> bit & 1 == 1);
        let day = has(self.days, time.day());
        let weekday = has(self.weekdays, time.weekday().to_sunday_zero_offset());
        has(self.minutes, time.minute())
            && has(self.hours, time.hour())
            && has(self.months, time.month())
            && if self.either_day {
                day || weekday
            } else {
                day && weekday
            }
    }
}

/// One field: `*`, `5`, `1-5`, `*/15`, `1-30/2`, `mon-fri`, and lists of these.
fn set(field: &str, low: u32, high: u32, names: &[&str]) -> Result<u64, String> {
    let mut bits = 0;
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => {
                let step = step.parse::<u32>().ok().filter(|&step| step > 0);
                (
                    range,
                    step.ok_or_else(|| format!("the step of {part:?} is not a number above 0"))?,
                )
            }
            None => (part, 1),
        };
        let (from, to) = match range {
            "*" | "?" => (low, high),
            _ => match range.split_once('-') {
                Some((from, to)) => (number(from, low, names)?, number(to, low, names)?),
                None => {
                    let from = number(range, low, names)?;
                    (from, if part.contains('/') { high } else { from })
                }
            },
        };
        if from < low || to > high || from > to {
            return Err(format!("{part:?} is not within {low} to {high}"));
        }
        for value in (from..=to).step_by(usize::try_from(step).unwrap_or(1)) {
            bits |= 1 << value;
        }
    }
    Ok(bits)
}

fn number(text: &str, low: u32, names: &[&str]) -> Result<u32, String> {
    let lower = text.to_ascii_lowercase();
    if let Some(index) = names.iter().position(|name| *name == lower) {
        return Ok(u32::try_from(index).unwrap_or(0) + low);
    }
    text.parse()
        .map_err(|_| format!("{text:?} is not a number"))
}

#[cfg(test)]
mod tests {
    use super::Schedule;

    fn fires(schedule: &str, time: &str) -> bool {
        Schedule::parse(schedule)
            .unwrap()
            .fires_at(time.parse().unwrap())
    }

    #[test]
    fn schedules_fire_as_cron_does() {
        // 2026-01-05 is a Monday.
        for (schedule, time, expected) in [
            ("* * * * *", "2026-01-05T12:34", true),
            ("34 12 * * *", "2026-01-05T12:34", true),
            ("34 12 * * *", "2026-01-05T12:35", false),
            ("*/15 * * * *", "2026-01-05T12:45", true),
            ("*/15 * * * *", "2026-01-05T12:46", false),
            ("5/20 * * * *", "2026-01-05T12:45", true),
            ("0 9-17 * * mon-fri", "2026-01-05T09:00", true),
            ("0 9-17 * * mon-fri", "2026-01-04T09:00", false),
            ("0 0 * * 7", "2026-01-04T00:00", true),
            ("0 0 * * 0", "2026-01-04T00:00", true),
            ("0 0 5 * 3", "2026-01-05T00:00", true),
            ("0 0 5 * 3", "2026-01-07T00:00", true),
            ("0 0 5 * 3", "2026-01-06T00:00", false),
            ("0 0 5 * *", "2026-01-06T00:00", false),
            ("0 0 1 jan *", "2026-01-01T00:00", true),
            ("@daily", "2026-01-06T00:00", true),
            ("0 22,23 * * *", "2026-01-06T23:00", true),
        ] {
            assert_eq!(fires(schedule, time), expected, "{schedule} at {time}");
        }
    }

    #[test]
    fn what_is_no_schedule_is_refused_with_the_reason() {
        for (schedule, part) in [
            ("* * * *", "4 fields"),
            ("61 * * * *", "\"61\" is not within 0 to 59"),
            ("* * * * mo", "\"mo\" is not a number"),
            ("*/0 * * * *", "above 0"),
            ("5-1 * * * *", "not within"),
        ] {
            let error = Schedule::parse(schedule).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
