//! Time arithmetic on instants as the API writes them: whole seconds.
//!
//! Instants are cut to seconds before they are stored or compared, otherwise something that was just written would seem
//! to lie in the future when it is read back.

use jiff::{SignedDuration, Timestamp};
use sluice_crds::Time;

/// The instant without its fraction of a second.
pub(crate) fn whole_seconds(instant: Timestamp) -> Timestamp {
    Timestamp::from_second(instant.as_millisecond().div_euclid(1000)).unwrap_or(instant)
}

/// `instant + duration`, held at the ends of what can be represented.
pub(crate) fn plus(instant: Timestamp, duration: SignedDuration) -> Timestamp {
    instant
        .checked_add(duration)
        .unwrap_or(if duration.is_negative() {
            Timestamp::MIN
        } else {
            Timestamp::MAX
        })
}

/// `instant + seconds`.
pub(crate) fn plus_seconds(instant: Timestamp, seconds: i32) -> Timestamp {
    plus(instant, SignedDuration::from_secs(i64::from(seconds)))
}

/// The instant as the API holds it.
pub(crate) fn api(instant: Timestamp) -> Time {
    Time(instant)
}

/// The instant as annotations hold it (RFC 3339, whole seconds, UTC).
pub(crate) fn text(instant: Timestamp) -> String {
    instant.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Reads an RFC 3339 instant.
pub(crate) fn parse(text: &str) -> Option<Timestamp> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instants_are_cut_to_seconds_and_survive_text() {
        let instant: Timestamp = "2026-11-21T12:00:00.987654321Z".parse().unwrap();
        let cut = whole_seconds(instant);
        assert_eq!(text(cut), "2026-11-21T12:00:00Z");
        assert_eq!(parse(&text(cut)), Some(cut));
    }

    #[test]
    fn sums_beyond_the_calendar_are_held_at_its_ends() {
        assert_eq!(
            plus(Timestamp::MAX, SignedDuration::from_secs(1)),
            Timestamp::MAX
        );
        assert_eq!(
            plus(Timestamp::MIN, SignedDuration::from_secs(-1)),
            Timestamp::MIN
        );
    }
}
