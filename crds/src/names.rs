//! Labels, annotations and field managers, each with the system that reads it.

/// API group of every kind of this crate.
pub const GROUP: &str = "argoproj.io";
/// The only version of that group.
pub const VERSION: &str = "v1alpha1";

/// Label on ReplicaSets, pods and runs, and key in Service selectors: the hash of the pod template.
pub const POD_TEMPLATE_HASH: &str = "rollouts-pod-template-hash";
/// Annotation on ReplicaSets and Rollouts: the revision number, counted from 1.
pub const REVISION: &str = "rollout.argoproj.io/revision";
/// Annotation on ReplicaSets: earlier revision numbers of the same template, comma separated.
pub const REVISION_HISTORY: &str = "rollout.argoproj.io/revision-history";
/// Annotation on ReplicaSets: `spec.replicas` of the Rollout when the set was last scaled.
pub const DESIRED_REPLICAS: &str = "rollout.argoproj.io/desired-replicas";
/// Annotation on ReplicaSets: the canary/stable metadata that was injected, as JSON.
pub const EPHEMERAL_METADATA: &str = "rollout.argoproj.io/ephemeral-metadata";
/// Annotation on Rollouts with a workloadRef: the generation of the referenced workload that was read.
pub const WORKLOAD_GENERATION: &str = "rollout.argoproj.io/workload-generation";
/// Annotation on ReplicaSets: RFC 3339 instant after which the set is scaled to zero.
pub const SCALE_DOWN_DEADLINE: &str = "scale-down-deadline";
/// Annotation on Services and routes whose selector or weights a Rollout drives; the value is the Rollout's name.
pub const MANAGED_BY_ROLLOUTS: &str = "argo-rollouts.argoproj.io/managed-by-rollouts";
/// Label on Gateway API routes while a canary has traffic there, the name that upstream's plugin uses.
pub const GATEWAY_IN_PROGRESS: &str = "rollouts.argoproj.io/gatewayapi-canary";
/// Annotation on Gateway API routes: the Rollouts with a canary there, `namespace/name`, comma separated.
pub const GATEWAY_ACTIVE_ROLLOUTS: &str = "rollouts.argoproj.io/gatewayapi-active-rollouts";
/// Annotation on Gateway API routes: the header and mirror routes of each Rollout, and how to know their rules again.
pub const MANAGED_ROUTES: &str = "sluice.dev/managed-routes";
/// Annotation on routes and TraefikServices: the Services of experiments that each Rollout has added as backends, as JSON.
pub const EXPERIMENT_BACKENDS: &str = "sluice.dev/experiment-backends";
/// Label that assigns an object to one controller instance.
pub const INSTANCE_ID: &str = "argo-rollouts.argoproj.io/controller-instance-id";
/// Label on AnalysisRuns: `Step`, `Background`, `PrePromotion` or `PostPromotion`.
pub const ROLLOUT_TYPE: &str = "rollout-type";
/// Label on AnalysisRuns and Experiments: the index of the canary step that made them.
pub const STEP_INDEX: &str = "step-index";

/// Annotation on Applications: `normal` or `hard`; the controller removes it when the refresh is done.
pub const REFRESH: &str = "argocd.argoproj.io/refresh";
/// Annotation on managed objects: `<app>:<group>/<kind>:<namespace>/<name>`.
pub const TRACKING_ID: &str = "argocd.argoproj.io/tracking-id";
/// Annotation on Applications: `"true"` makes the controller leave the Application alone.
pub const SKIP_RECONCILE: &str = "argocd.argoproj.io/skip-reconcile";
/// Annotation on managed objects: comma separated per-object sync options.
pub const SYNC_OPTIONS: &str = "argocd.argoproj.io/sync-options";
/// Annotation on managed objects and Applications: options of the comparison.
pub const COMPARE_OPTIONS: &str = "argocd.argoproj.io/compare-options";
/// Annotation on managed objects: the wave, an integer, default 0.
pub const SYNC_WAVE: &str = "argocd.argoproj.io/sync-wave";
/// Annotation on managed objects: hook phases, comma separated.
pub const HOOK: &str = "argocd.argoproj.io/hook";
/// Annotation on hooks: when to delete them, comma separated.
pub const HOOK_DELETE_POLICY: &str = "argocd.argoproj.io/hook-delete-policy";
/// Label on Secrets that hold repository or cluster credentials.
pub const SECRET_TYPE: &str = "argocd.argoproj.io/secret-type";
/// Finalizer on Applications: delete the managed objects (foreground) before the Application goes.
pub const RESOURCES_FINALIZER: &str = "resources-finalizer.argocd.argoproj.io";

/// Annotation on Applications: the quarantined renderings, as JSON (see `docs/quarantine.md`).
pub const QUARANTINE: &str = "sluice.dev/quarantine";
/// Annotation that a person sets on an Application to lift its quarantine; the controller removes it.
pub const LIFT_QUARANTINE: &str = "sluice.dev/lift-quarantine";
/// Annotation on hooks: the sync, and the phase of it, that made them.
pub const HOOK_RUN: &str = "sluice.dev/hook-run";
/// Annotation on managed Rollouts: the Git revision that was applied last.
pub const GIT_REVISION: &str = "sluice.dev/git-revision";

/// Field manager of everything that the Rollout controller writes; the name that upstream uses, since people name it
/// in `ignoreDifferences[].managedFieldsManagers`.
pub const ROLLOUTS_FIELD_MANAGER: &str = "rollouts-controller";
/// Field manager of everything that the sync loop applies (server-side apply).
pub const GITOPS_FIELD_MANAGER: &str = "argocd-controller";
/// Annotation on AnalysisRuns of a Rollout: which attempt at the update they belong to, `<steps hash>[/<aborted at>]`.
/// A retry and a change of the steps begin a new attempt, so that a verdict on the old one does not count. On those of an
/// Experiment: when all of its templates were available.
pub const ATTEMPT: &str = "sluice.dev/attempt";
/// Annotation on ReplicaSets: the revision was stable, and was not given up since. With a blue-green, going back to it while
/// it still runs needs no second look; with a pair of Services that swap roles, it is found by it when the status is lost.
pub const WAS_STABLE: &str = "sluice.dev/was-stable";
/// Annotation on ReplicaSets: a digest of the pod template that the set was made for. It tells a collision of hashes from a
/// template that an admission webhook changed.
pub const TEMPLATE_DIGEST: &str = "sluice.dev/template-digest";
/// Annotation on ReplicaSets and Services of an Experiment: the name of the Experiment.
pub const EXPERIMENT_NAME: &str = "experiment.argoproj.io/name";
/// Annotation on ReplicaSets and Services of an Experiment: the template that they belong to.
pub const EXPERIMENT_TEMPLATE: &str = "experiment.argoproj.io/template-name";
