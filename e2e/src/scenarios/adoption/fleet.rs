//! The Rollouts that change hands: one for each phase that a Rollout can be in when its controller is stopped.
//!
//! A member says how it gets into its phase, and how it is finished afterwards. Nothing here knows which controller
//! carries it out. Phases that end by themselves are reached last ([`Member::late`]) and last long enough.

use serde_json::{Value, json};

use super::acts::Act::{self, *};
use super::phases::{
    experiments, healthy, held, inconclusive, measures_after_promotion, measures_in_background,
    measures_in_step, no_pods, one_updated, paused, routed_pause, two_pods, waits_for_promotion,
    went_back, went_back_routed,
};
use super::templates::{INSTANCE, pod_template, service};

/// The label of every pod of the fleet.
pub(super) const LABEL: (&str, &str) = ("fleet", "adoption");

/// One Rollout.
pub(super) struct Member {
    /// Its name, and the value of the label `app` of its pods.
    pub(super) name: &'static str,
    /// What happens to it once its first version is healthy, until it is in its phase.
    pub(super) drive: Vec<Act>,
    /// Whether its phase ends by itself: it is reached when the others are in theirs.
    pub(super) late: bool,
    /// What happens to it under the next controller, until it is done.
    pub(super) finish: Vec<Act>,
    strategy: Value,
    around: Vec<Value>,
    workload: bool,
}

impl Member {
    fn new(name: &'static str, strategy: Value, drive: Vec<Act>, finish: Vec<Act>) -> Self {
        Self {
            name,
            drive,
            late: false,
            finish,
            strategy,
            around: Vec::new(),
            workload: false,
        }
    }

    fn late(self) -> Self {
        Self { late: true, ..self }
    }

    fn around(mut self, objects: Vec<Value>) -> Self {
        self.around.extend(objects);
        self
    }

    /// Its objects, the Rollout last. `instance` is the value of the label that says which controller it belongs to.
    pub(super) fn manifests(&self, instance: &str) -> Vec<Value> {
        let selector = json!({ "matchLabels": { "app": self.name } });
        let template = pod_template(self.name);
        let mut spec = json!({ "replicas": 2, "strategy": self.strategy });
        let mut all = self.around.clone();
        if self.workload {
            all.push(json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": self.name },
                "spec": { "replicas": 2, "selector": selector, "template": template }
            }));
            spec["workloadRef"] = json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "name": self.name, "scaleDown": "onsuccess"
            });
        } else {
            spec["selector"] = selector;
            spec["template"] = template;
        }
        all.push(json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": {
                "name": self.name,
                "labels": { INSTANCE: instance }
            },
            "spec": spec
        }));
        all
    }

    /// Whether an object belongs to this member, by its name.
    pub(super) fn owns(&self, name: &str) -> bool {
        name == self.name
            || name
                .strip_prefix(self.name)
                .is_some_and(|rest| rest.starts_with('-'))
    }
}

/// All of them. `host` is the end of the host names of those that are routed.
pub(super) fn all(host: &str) -> Vec<Member> {
    let mut all = canaries();
    all.extend(routed(host));
    all.extend(measured());
    all.extend(blue_greens());
    all
}

fn halves() -> Value {
    json!({ "maxSurge": 1, "maxUnavailable": 0, "steps": [{ "setWeight": 50 }, { "pause": {} }] })
}

fn with(mut base: Value, more: Value) -> Value {
    if let (Some(base), Value::Object(more)) = (base.as_object_mut(), more) {
        base.extend(more);
    }
    base
}

fn canary(fields: Value) -> Value {
    json!({ "canary": fields })
}

/// Promoted by hand out of the pause, up to the end.
fn promoted() -> Vec<Act> {
    vec![Promote, Until("the end", healthy)]
}

fn canaries() -> Vec<Member> {
    let pause = || Until("the pause", paused);
    let metadata = json!({
        "canaryMetadata": { "labels": { "role": "canary" }, "annotations": { "note": "new" } },
        "stableMetadata": { "labels": { "role": "stable" } }
    });
    let seconds = json!({ "steps": [{ "setWeight": 50 }, { "pause": { "duration": "90s" } }] });
    let mut workload = Member::new(
        "workload",
        canary(halves()),
        vec![UpdateDeployment("v2"), pause()],
        promoted(),
    );
    workload.workload = true;
    vec![
        Member::new(
            "done",
            canary(halves()),
            vec![Update("v2"), pause(), Promote, Until("v2", healthy)],
            vec![Update("v3"), pause(), Promote, Until("v3", healthy)],
        ),
        Member::new(
            "paused",
            canary(with(halves(), metadata)),
            vec![Update("v2"), pause()],
            promoted(),
        ),
        Member::new(
            "overtaken",
            canary(halves()),
            vec![
                Update("v2"),
                pause(),
                Update("v3"),
                pause(),
                Until("the end of v2", two_pods),
            ],
            promoted(),
        ),
        Member::new(
            "rolling",
            canary(json!({ "maxSurge": 1, "maxUnavailable": 0 })),
            vec![UpdateUnready("v2"), Until("one new pod", one_updated)],
            vec![LetReady, Until("the end", healthy)],
        ),
        Member::new(
            "aborted",
            canary(halves()),
            vec![
                Update("v2"),
                pause(),
                Abort,
                Until("the way back", went_back),
            ],
            vec![Update("v1"), Until("v1", healthy)],
        ),
        Member::new(
            "back",
            canary(halves()),
            vec![
                Update("v2"),
                pause(),
                Promote,
                Until("v2", healthy),
                Update("v1"),
                pause(),
            ],
            promoted(),
        ),
        Member::new(
            "zero",
            canary(halves()),
            vec![Scale(0), Until("no pods", no_pods)],
            vec![
                Scale(2),
                Until("two pods", |rollout| healthy(rollout) && two_pods(rollout)),
            ],
        ),
        Member::new(
            "held",
            canary(halves()),
            vec![
                Update("v2"),
                pause(),
                Hold(true),
                Until("the pause by hand", held),
            ],
            vec![Hold(false), Promote, Until("the end", healthy)],
        ),
        Member::new(
            "timed",
            canary(seconds),
            vec![Update("v2"), pause()],
            vec![TimedPauseEnds(90)],
        )
        .late(),
        workload,
    ]
}

fn routed(host: &str) -> Vec<Member> {
    let services = |name: &str| {
        vec![
            service(&format!("{name}-stable"), name),
            service(&format!("{name}-canary"), name),
        ]
    };
    let strategy = |name: &str, routing: Value, weight: i32| {
        json!({
            "stableService": format!("{name}-stable"), "canaryService": format!("{name}-canary"),
            "trafficRouting": routing, "steps": [{ "setWeight": weight }, { "pause": {} }]
        })
    };
    let nginx = |name: &str| json!({ "nginx": { "stableIngress": name } });
    let ingress = |name: &str| {
        json!({
            "apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": { "name": name },
            "spec": { "ingressClassName": "nginx", "rules": [{ "host": format!("{name}.{host}"), "http": { "paths": [{
                "path": "/", "pathType": "Prefix",
                "backend": { "service": { "name": format!("{name}-stable"), "port": { "number": 80 } } }
            }] } }] }
        })
    };
    let through_ingress = |name: &'static str, more: Value, drive, finish| {
        let fields = with(strategy(name, nginx(name), 50), more);
        Member::new(name, canary(fields), drive, finish)
            .around(services(name))
            .around(vec![ingress(name)])
    };
    let weighted = json!({
        "apiVersion": "traefik.io/v1alpha1", "kind": "TraefikService", "metadata": { "name": "background" },
        "spec": { "weighted": { "services": [
            { "name": "background-stable", "port": 80, "weight": 100 },
            { "name": "background-canary", "port": 80, "weight": 0 }
        ] } }
    });
    let routing = json!({ "traefik": { "weightedTraefikServiceName": "background" } });
    let analysis =
        json!({ "analysis": { "startingStep": 1, "templates": [{ "templateName": "endless" }] } });
    let anti_affinity = json!({
        "antiAffinity": { "preferredDuringSchedulingIgnoredDuringExecution": { "weight": 1 } }
    });
    let routed = || Until("the pause at its weight", routed_pause);
    vec![
        through_ingress(
            "ingress",
            anti_affinity,
            vec![Update("v2"), routed()],
            promoted(),
        ),
        through_ingress(
            "dynamic",
            json!({ "dynamicStableScale": true }),
            vec![Update("v2"), routed()],
            promoted(),
        ),
        through_ingress(
            "refused",
            json!({ "abortScaleDownDelaySeconds": 600 }),
            vec![
                Update("v2"),
                routed(),
                Abort,
                Until("the abort", went_back_routed),
            ],
            vec![Retry, routed(), Promote, Until("the end", healthy)],
        ),
        Member::new(
            "background",
            canary(with(strategy("background", routing, 20), analysis)),
            vec![
                Update("v2"),
                routed(),
                Until("the background analysis", measures_in_background),
            ],
            promoted(),
        )
        .around(services("background"))
        .around(vec![weighted]),
    ]
}

fn measured() -> Vec<Member> {
    let analysis = |template: &str| {
        json!({ "steps": [
            { "setWeight": 50 }, { "analysis": { "templates": [{ "templateName": template }] } }, { "pause": { "duration": "1s" } }
        ] })
    };
    let experiment = json!({ "steps": [{ "experiment": {
        "templates": [{ "name": "baseline", "specRef": "stable" }, { "name": "candidate", "specRef": "canary" }],
        "analyses": [{ "name": "gate", "templateName": "gate", "requiredForCompletion": true }]
    } }, { "setWeight": 50 }] });
    vec![
        Member::new(
            "inline",
            canary(analysis("gate-and-counts")),
            vec![
                Update("v2"),
                Until("the analysis step", measures_in_step),
                JobWaits,
            ],
            vec![OpenGate, Until("the end", healthy)],
        ),
        Member::new(
            "doubtful",
            canary(analysis("doubt")),
            vec![
                Update("v2"),
                Until("the inconclusive analysis", inconclusive),
            ],
            // Going on would measure it again.
            vec![PromoteFully, Until("the end", healthy)],
        ),
        Member::new(
            "trial",
            canary(experiment),
            vec![Update("v2"), Until("the experiment", experiments), JobWaits],
            vec![OpenGate, Until("the end", healthy)],
        ),
    ]
}

fn blue_greens() -> Vec<Member> {
    let services = |name: &str| {
        vec![
            service(&format!("{name}-active"), name),
            service(&format!("{name}-preview"), name),
        ]
    };
    let blue_green = |name: &'static str, more: Value, drive, finish| {
        let fields = json!({
            "activeService": format!("{name}-active"), "previewService": format!("{name}-preview")
        });
        let strategy = json!({ "blueGreen": with(fields, more) });
        Member::new(name, strategy, drive, finish).around(services(name))
    };
    let template = |name: &str| json!({ "templates": [{ "templateName": name }] });
    vec![
        blue_green(
            "preview",
            json!({
                "autoPromotionEnabled": false, "previewReplicaCount": 1, "prePromotionAnalysis": template("quick")
            }),
            vec![
                Update("v2"),
                Until("the pause before the switch", waits_for_promotion),
            ],
            promoted(),
        ),
        blue_green(
            "delay",
            json!({ "scaleDownDelaySeconds": 90 }),
            vec![Update("v2"), Until("the switch", healthy)],
            vec![OldSetGoes],
        )
        .late(),
        blue_green(
            "post",
            json!({ "postPromotionAnalysis": template("gate") }),
            vec![
                Update("v2"),
                Until("the post-promotion analysis", measures_after_promotion),
                JobWaits,
            ],
            vec![OpenGate, Until("the end", healthy)],
        ),
    ]
}
