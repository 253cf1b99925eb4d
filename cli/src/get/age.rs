//! Spans and moments of time, as kubectl writes them.

use jiff::{SignedDuration, Timestamp};

/// An age: `21s`, `5m12s`, `3h`, `2d5h`.
pub(crate) fn age(since: Option<Timestamp>, now: Timestamp) -> String {
    since.map_or_else(
        || "<unknown>".to_owned(),
        |since| short(now.duration_since(since)),
    )
}

/// A span in at most two units, the shorter the span the finer.
pub(crate) fn short(span: SignedDuration) -> String {
    let seconds = span.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let two = |one: i64, unit: &str, other: i64, smaller: &str| {
        if other == 0 {
            format!("{one}{unit}")
        } else {
            format!("{one}{unit}{other}{smaller}")
        }
    };
    match () {
        // Clocks of two machines differ a little.
        () if seconds < -1 => "<invalid>".to_owned(),
        () if seconds < 120 => format!("{}s", seconds.max(0)),
        () if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => two(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if days < 8 => two(days, "d", hours % 24, "h"),
        () if days < 730 => format!("{days}d"),
        () if days < 2920 => two(days / 365, "y", days % 365, "d"),
        () => format!("{}y", days / 365),
    }
}

/// A moment: the time of day, with the day before it unless it is today. UTC.
pub(crate) fn moment(at: Timestamp, now: Timestamp) -> String {
    let day = |at: Timestamp| at.strftime("%Y-%m-%d").to_string();
    let time = at.strftime("%H:%M:%SZ");
    if day(at) == day(now) {
        time.to_string()
    } else {
        format!("{} {time}", day(at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_written_as_kubectl_writes_them() {
        const HOUR: i64 = 3600;
        const DAY: i64 = 24 * HOUR;
        for (seconds, text) in [
            (-5, "<invalid>"),
            (-1, "0s"),
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (312, "5m12s"),
            (600, "10m"),
            (3 * HOUR - 1, "179m"),
            (3 * HOUR, "3h"),
            (4 * HOUR - 1, "3h59m"),
            (8 * HOUR, "8h"),
            (2 * DAY, "2d"),
            (2 * DAY + 5 * HOUR, "2d5h"),
            (8 * DAY + 5 * HOUR, "8d"),
            (2 * 365 * DAY, "2y"),
            (2 * 365 * DAY + DAY, "2y1d"),
            (9 * 365 * DAY + DAY, "9y"),
        ] {
            assert_eq!(short(SignedDuration::from_secs(seconds)), text, "{seconds}");
        }
    }

    #[test]
    fn a_moment_of_another_day_has_its_date() {
        let now: Timestamp = "2026-03-01T23:59:00Z".parse().unwrap();
        let at = |text: &str| moment(text.parse().unwrap(), now);
        assert_eq!(at("2026-03-01T23:59:10Z"), "23:59:10Z");
        assert_eq!(at("2026-03-02T00:00:10Z"), "2026-03-02 00:00:10Z");
    }
}
