//! One Application: what to do next, as a pure function.
//!
//! ```text
//! decide(&AppWorld, now) -> AppPlan { effects, status, operation, annotations, events, wake_at, reasons, needs }
//! ```
//!
//! * [`world`]: what was observed. * [`plan`]: what is to be written. * [`spec`]: what is wrong with the spec.
//! * [`operation`]: one sync, from start to end. * [`deletion`]: the end of an Application. * [`status`]: what people
//!   see.
//!
//! `decide` is total. Effects come before the status that speaks of them, and every one can be repeated, so a crash
//! between any two writes is repaired by observing and deciding again. What became of effects goes into the status by
//! [`plan::AppPlan::settle`].

pub mod deletion;
pub mod operation;
pub mod plan;
pub mod spec;
pub mod status;
pub mod world;

use jiff::{SignedDuration, Timestamp};
use sluice_crds::application::{Application, ApplicationStatus};
use sluice_crds::names;

use crate::auto_sync::{self, Closed, Gates, Verdict};
use crate::compare::{self, Comparison, Context, SyncCode};
use crate::health::{self, Health, Member};
use crate::ignore::Rules;
use crate::key::Key;
use crate::options::SyncOptions;
use crate::project;
use crate::quarantine::{self, Hold, Observation, Record};
use crate::sync_window;
pub use plan::{AppEffect, AppPlan, AppReason, EffectFailure, EventNote, OperationChange, Outcome};
pub use world::{AppWorld, Head, RenderRequest, Rendering, Settings};

/// Everything that the parts of a decision share.
pub(crate) struct Setting<'a> {
    pub(crate) world: &'a AppWorld<'a>,
    pub(crate) app: &'a Application,
    pub(crate) options: SyncOptions,
    pub(crate) rules: Rules,
    pub(crate) project: sluice_crds::app_project::AppProject,
    pub(crate) records: Vec<Record>,
    pub(crate) now: Timestamp,
}

impl Setting<'_> {
    pub(crate) fn compare(&self, rendering: &Rendering, options: &SyncOptions) -> Comparison {
        compare::compare(
            &rendering.targets,
            self.world.live,
            &rendering.predictions,
            &Context {
                placement: self.world.placement,
                destination: &self.app.spec.destination,
                project: &self.project,
                rules: &self.rules,
                options,
            },
        )
    }

    /// Whether a sync may run now.
    pub(crate) fn window(&self, manual: bool, started_at: Option<Timestamp>) -> Result<(), String> {
        let windows = self.project.spec.sync_windows.as_deref().unwrap_or(&[]);
        sync_window::permits(windows, self.app, self.now, manual, started_at)
    }
}

/// Decides what to do next for an Application.
#[must_use]
pub fn decide(world: &AppWorld<'_>, now: Timestamp) -> AppPlan {
    let app = world.app;
    let mut plan = AppPlan::unchanged(app);
    let annotations = app.metadata.annotations.as_ref();
    let annotation = |name: &str| {
        annotations
            .and_then(|map| map.get(name))
            .map(String::as_str)
    };
    if annotation(names::SKIP_RECONCILE) == Some("true") {
        plan.reasons.push(AppReason::Skipped);
        return plan;
    }
    if app.metadata.deletion_timestamp.is_some() {
        return deletion::decide(world, plan, now);
    }
    let project = match world.project {
        Some(project) => project.clone(),
        None => project::implicit_default(),
    };
    let checked = spec::check(world, &project);
    let mut conditions = checked.conditions;
    let (records, unreadable) = match quarantine::parse(annotation(names::QUARANTINE)) {
        Ok(records) => (records, None),
        Err(message) => (Vec::new(), Some(message)),
    };
    if let Some(message) = unreadable {
        plan.annotations.insert(names::QUARANTINE.to_owned(), None);
        conditions.push(("UnknownError", message));
    }
    let setting = Setting {
        world,
        app,
        options: checked.options,
        rules: checked.rules,
        project,
        records,
        now,
    };
    let blocked = conditions
        .iter()
        .find(|(kind, _)| *kind == "InvalidSpecError")
        .cloned();
    if let Some((_, message)) = blocked {
        plan.reasons.push(AppReason::InvalidSpec {
            message: message.clone(),
        });
        status::unknown(&mut plan.status, app, "Unknown");
        operation::refuse(&setting, &mut plan, &message);
        finish(&setting, plan, conditions)
    } else {
        compared(&setting, plan, conditions)
    }
}

type Conditions = Vec<(&'static str, String)>;

/// The spec is fine: compare, hold what is quarantined, sync.
fn compared(setting: &Setting<'_>, mut plan: AppPlan, mut conditions: Conditions) -> AppPlan {
    let (world, app) = (setting.world, setting.app);
    let head = match world.head {
        Head::Pending => {
            plan.reasons.push(AppReason::WaitingForGit);
            plan.needs.push(RenderRequest::head(app));
            // Old conditions stay: nothing new is known.
            return plan;
        }
        Head::Failed {
            message,
            transient,
            last,
        } => {
            plan.reasons.push(AppReason::GitFailed {
                message: message.clone(),
            });
            conditions.push(("ComparisonError", message.clone()));
            match last {
                // The last good state goes on being kept while Git is away.
                Some(last) if *transient => Some(last.as_ref()),
                _ => {
                    if *transient {
                        status::observe_health(&mut plan.status, setting);
                    } else {
                        status::unknown(&mut plan.status, app, "");
                        status::observe_health(&mut plan.status, setting);
                    }
                    None
                }
            }
        }
        Head::Rendered(rendering) => Some(rendering.as_ref()),
    };
    let Some(head) = head else {
        operation::refuse_unrendered(setting, &mut plan, &conditions);
        return finish(setting, plan, conditions);
    };
    conditions.extend(head.targets.warnings.iter().cloned());
    let comparison = setting.compare(head, &setting.options);
    conditions.extend(comparison.conditions.iter().cloned());
    if comparison.sync == SyncCode::OutOfSync {
        let objects = comparison
            .resources
            .iter()
            .filter(|r| r.sync == SyncCode::OutOfSync);
        plan.reasons.push(AppReason::OutOfSync {
            objects: u32::try_from(objects.count()).unwrap_or(u32::MAX),
            revision: head.revision(),
        });
    }
    let held = hold(setting, &mut plan, head, &mut conditions);
    status::compared(&mut plan.status, setting, head, &comparison);

    if app.operation.is_some() {
        operation::drive(setting, &mut plan, head, &comparison, &held.records);
    } else if !held.missing.is_empty() {
        last_good(setting, &mut plan, &mut conditions, &held);
    } else {
        automated(
            setting,
            &mut plan,
            head,
            &comparison,
            &held.hold,
            &mut conditions,
        );
    }
    finish(setting, plan, conditions)
}

/// Decides the quarantine and writes it down.
fn hold(
    setting: &Setting<'_>,
    plan: &mut AppPlan,
    head: &Rendering,
    conditions: &mut Conditions,
) -> quarantine::Decision {
    let annotations = setting.app.metadata.annotations.as_ref();
    let lift = annotations.is_some_and(|map| map.contains_key(names::LIFT_QUARANTINE));
    let revision = head.revision();
    let decision = quarantine::decide(&Observation {
        records: &setting.records,
        revision: &revision,
        targets: &head.targets,
        predictions: &head.predictions,
        live: setting.world.live,
        lift,
        now: setting.now,
    });
    if lift {
        plan.annotations
            .insert(names::LIFT_QUARANTINE.to_owned(), None);
    }
    if decision.records != setting.records {
        plan.annotations.insert(
            names::QUARANTINE.to_owned(),
            quarantine::to_annotation(&decision.records),
        );
    }
    for record in &decision.added {
        plan.events
            .push(EventNote::warning("Quarantined", record.sentence()));
    }
    for record in &decision.lifted {
        plan.events.push(EventNote::normal(
            "QuarantineLifted",
            format!(
                "Revision {} of Rollout {}/{} is no longer quarantined",
                record.revision, record.namespace, record.rollout
            ),
        ));
    }
    for record in decision.records.iter().filter(|record| record.holds()) {
        plan.reasons.push(AppReason::Quarantined {
            revision: record.revision.clone(),
            rollout: record.rollout.clone(),
            evidence: record.evidence.clone(),
        });
        conditions.push(("Quarantined", record.sentence()));
    }
    decision
}

/// Goes through the gates of automated sync.
fn automated(
    setting: &Setting<'_>,
    plan: &mut AppPlan,
    head: &Rendering,
    comparison: &Comparison,
    hold: &Hold,
    conditions: &mut Conditions,
) {
    let window = setting.window(false, None);
    let verdict = auto_sync::decide(&Gates {
        app: setting.app,
        comparison,
        revisions: &head.revisions,
        hold,
        window: window.as_ref().map_err(String::as_str).copied(),
        now: setting.now,
    });
    match verdict {
        Verdict::Start(operation) => {
            plan.events.push(EventNote::normal(
                "OperationStarted",
                format!("Initiated automated sync to '{}'", head.revision()),
            ));
            plan.reasons.push(AppReason::SyncStarted {
                revision: head.revision(),
            });
            plan.operation = OperationChange::Set(operation);
            plan.wake(setting.now);
        }
        Verdict::Later(at) => {
            plan.reasons.push(AppReason::HealLater { at });
            plan.wake(at);
        }
        Verdict::Refused(message) => {
            plan.reasons.push(AppReason::SyncRefused {
                message: message.clone(),
            });
            conditions.push(("SyncError", message));
        }
        Verdict::Nothing(Closed::Window(why)) => {
            plan.reasons.push(AppReason::Window { why });
            plan.wake(in_a_while(setting.now, 60));
        }
        Verdict::Nothing(closed) => plan.reasons.push(AppReason::Gate { closed }),
    }
}

/// A held Rollout is gone: the newest revision in the history whose pod template is another one is applied.
fn last_good(
    setting: &Setting<'_>,
    plan: &mut AppPlan,
    conditions: &mut Conditions,
    held: &quarantine::Decision,
) {
    let app = setting.app;
    let Some(policy) = auto_sync::automated(app) else {
        return;
    };
    let status = app.status.as_ref();
    let last = status.and_then(|status| status.operation_state.as_ref());
    let history = status
        .and_then(|status| status.history.as_deref())
        .unwrap_or(&[]);
    for entry in history.iter().rev() {
        let request = RenderRequest::of_history(entry);
        let rendering = match setting.world.rendering(&request) {
            None => {
                plan.needs.push(request);
                return;
            }
            Some(Err(message)) => {
                plan.reasons.push(AppReason::GitFailed {
                    message: message.clone(),
                });
                continue;
            }
            Some(Ok(rendering)) => rendering,
        };
        let bad = quarantine::hold(&held.records, &rendering.targets);
        let has_it = held
            .missing
            .iter()
            .all(|key| rendering.targets.plain(key).is_some());
        if bad.rendering || !bad.objects.is_empty() || !has_it {
            continue;
        }
        let tried = last
            .filter(|last| auto_sync::is_attempt_of(last, &request.sources, &rendering.revisions));
        let mut attempt = 1;
        if let Some(last) = tried {
            if last.phase != "Succeeded" {
                conditions.push((
                    "SyncError",
                    format!(
                        "Failed last sync attempt to [{}], the last good revision: {}",
                        rendering.revision(),
                        last.message.as_deref().unwrap_or("")
                    ),
                ));
                return;
            }
            if !policy.self_heal() {
                return;
            }
            match auto_sync::next_heal(last, setting.now) {
                Ok(next) => attempt = next,
                Err(at) => {
                    plan.wake(at);
                    return;
                }
            }
        }
        if let Err(why) = setting.window(false, None) {
            plan.reasons.push(AppReason::Window { why });
            plan.wake(in_a_while(setting.now, 60));
            return;
        }
        plan.events.push(EventNote::normal(
            "OperationStarted",
            format!(
                "Initiated automated sync to '{}', the last good revision",
                rendering.revision()
            ),
        ));
        plan.reasons.push(AppReason::SyncStarted {
            revision: rendering.revision(),
        });
        plan.operation = OperationChange::Set(Box::new(auto_sync::last_good_operation(
            app,
            &request.sources,
            &rendering.revisions,
            attempt,
        )));
        plan.wake(setting.now);
        return;
    }
    conditions.push((
        "SyncError",
        "the Rollout is gone, its revision is quarantined, and no earlier revision in the history is good: push another \
         pod template, or lift the quarantine"
            .to_owned(),
    ));
}

/// Conditions, health, and what else is the same whatever was decided.
fn finish(setting: &Setting<'_>, mut plan: AppPlan, conditions: Conditions) -> AppPlan {
    status::set_conditions(&mut plan.status, setting.app, &conditions, setting.now);
    status::announce(&mut plan, setting.app);
    plan.status.controller_namespace = Some(setting.world.settings.control_namespace.clone());
    let annotations = setting.app.metadata.annotations.as_ref();
    let asked = annotations.is_some_and(|map| map.contains_key(names::REFRESH));
    let looked = setting.world.looked && !matches!(setting.world.head, Head::Pending);
    if asked && looked {
        plan.annotations.insert(names::REFRESH.to_owned(), None);
    }
    let before = setting.app.status.clone().unwrap_or_default();
    if looked && (asked || plan.status != before) || before.reconciled_at.is_none() {
        plan.status.reconciled_at = Some(status::time(setting.now));
    }
    plan
}

/// The Application's own key.
pub(crate) fn key_of(app: &Application) -> Key {
    Key::new(
        names::GROUP,
        "Application",
        app.metadata.namespace.as_deref().unwrap_or(""),
        app.metadata.name.as_deref().unwrap_or(""),
    )
}

/// The health of everything that a comparison found.
pub(crate) fn health_of(setting: &Setting<'_>, comparison: &Comparison) -> Health {
    health::application(
        comparison.resources.iter().map(|state| Member {
            key: &state.key,
            live: setting.world.live.objects.get(&state.key),
            health: state.health.as_ref(),
        }),
        &key_of(setting.app),
    )
}

/// Some seconds from now.
pub(crate) fn in_a_while(now: Timestamp, seconds: i64) -> Timestamp {
    now.saturating_add(SignedDuration::from_secs(seconds))
        .unwrap_or(now)
}

/// The status so far, or an empty one.
pub(crate) fn status_of(app: &Application) -> ApplicationStatus {
    app.status.clone().unwrap_or_default()
}
