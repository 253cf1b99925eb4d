//! Health of single objects and of Applications.

use serde_json::{Value, json};
use sluice_gitops::health::{self, Code, Health, Member};
use sluice_gitops::key::Key;

fn yaml(text: &str) -> Value {
    serde_saphyr::from_str(text).expect("test object is YAML")
}

fn code(text: &str) -> Option<Code> {
    health::of(&yaml(text)).map(|health| health.code)
}

#[test]
fn deployments() {
    use Code::{Degraded, Healthy, Progressing, Suspended};
    for (rest, expected) in [
        (
            "{metadata: {generation: 2}, status: {observedGeneration: 1}}",
            Progressing,
        ),
        ("{spec: {paused: true}}", Suspended),
        (
            "{spec: {replicas: 2}, status: {updatedReplicas: 1, replicas: 2, availableReplicas: 2}}",
            Progressing,
        ),
        (
            "{spec: {replicas: 2}, status: {updatedReplicas: 2, replicas: 3, availableReplicas: 2}}",
            Progressing,
        ),
        (
            "{spec: {replicas: 2}, status: {updatedReplicas: 2, replicas: 2, availableReplicas: 1}}",
            Progressing,
        ),
        (
            "{spec: {replicas: 2}, status: {updatedReplicas: 2, replicas: 2, availableReplicas: 2}}",
            Healthy,
        ),
        ("{spec: {replicas: 0}, status: {}}", Healthy),
        (
            "{status: {conditions: [{type: Progressing, reason: ProgressDeadlineExceeded}]}}",
            Degraded,
        ),
    ] {
        let mut object = yaml(rest);
        object["apiVersion"] = json!("apps/v1");
        object["kind"] = json!("Deployment");
        assert_eq!(health::of(&object).unwrap().code, expected, "{rest}");
    }
}

#[test]
fn stateful_sets_replica_sets_and_daemon_sets() {
    use Code::{Degraded, Healthy, Progressing};
    for (kind, rest, expected) in [
        ("StatefulSet", "{status: {}}", Progressing),
        (
            "StatefulSet",
            "{metadata: {generation: 1}, spec: {replicas: 2}, status: {observedGeneration: 1, readyReplicas: 1}}",
            Progressing,
        ),
        (
            "StatefulSet",
            "{spec: {replicas: 3, updateStrategy: {rollingUpdate: {partition: 2}}}, status: {observedGeneration: 1, readyReplicas: 3}}",
            Progressing,
        ),
        (
            "StatefulSet",
            "{spec: {replicas: 3, updateStrategy: {rollingUpdate: {partition: 2}}}, status: {observedGeneration: 1, readyReplicas: 3, updatedReplicas: 1}}",
            Healthy,
        ),
        (
            "StatefulSet",
            "{spec: {updateStrategy: {type: OnDelete}}, status: {observedGeneration: 1, readyReplicas: 1, updateRevision: b, currentRevision: a}}",
            Healthy,
        ),
        (
            "StatefulSet",
            "{status: {observedGeneration: 1, readyReplicas: 1, updateRevision: b, currentRevision: a}}",
            Progressing,
        ),
        (
            "StatefulSet",
            "{status: {observedGeneration: 1, readyReplicas: 1, updateRevision: a, currentRevision: a}}",
            Healthy,
        ),
        (
            "ReplicaSet",
            "{spec: {replicas: 1}, status: {availableReplicas: 0}}",
            Progressing,
        ),
        (
            "ReplicaSet",
            "{spec: {replicas: 1}, status: {conditions: [{type: ReplicaFailure, status: 'True'}]}}",
            Degraded,
        ),
        (
            "ReplicaSet",
            "{spec: {replicas: 1}, status: {availableReplicas: 1}}",
            Healthy,
        ),
        (
            "DaemonSet",
            "{status: {desiredNumberScheduled: 2, updatedNumberScheduled: 1}}",
            Progressing,
        ),
        (
            "DaemonSet",
            "{status: {desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 1}}",
            Progressing,
        ),
        (
            "DaemonSet",
            "{status: {desiredNumberScheduled: 2, updatedNumberScheduled: 2, numberAvailable: 2}}",
            Healthy,
        ),
        (
            "DaemonSet",
            "{spec: {updateStrategy: {type: OnDelete}}, status: {desiredNumberScheduled: 2}}",
            Healthy,
        ),
    ] {
        let mut object = yaml(rest);
        object["apiVersion"] = json!("apps/v1");
        object["kind"] = json!(kind);
        assert_eq!(health::of(&object).unwrap().code, expected, "{kind} {rest}");
    }
}

#[test]
fn pods_and_jobs() {
    use Code::{Degraded, Healthy, Progressing, Suspended};
    for (text, expected) in [
        (
            "{apiVersion: v1, kind: Pod, status: {phase: Pending}}",
            Progressing,
        ),
        (
            "{apiVersion: v1, kind: Pod, status: {phase: Pending, containerStatuses: [{state: {waiting: {reason: ImagePullBackOff}}}]}}",
            Degraded,
        ),
        (
            "{apiVersion: v1, kind: Pod, status: {phase: Pending, containerStatuses: [{state: {waiting: {reason: ErrImagePull}}}]}}",
            Degraded,
        ),
        (
            "{apiVersion: v1, kind: Pod, spec: {restartPolicy: Never}, status: {phase: Pending, containerStatuses: [{state: {waiting: {reason: ErrImagePull}}}]}}",
            Progressing,
        ),
        (
            "{apiVersion: v1, kind: Pod, status: {phase: Running, conditions: [{type: Ready, status: 'True'}]}}",
            Healthy,
        ),
        (
            "{apiVersion: v1, kind: Pod, status: {phase: Running}}",
            Progressing,
        ),
        (
            "{apiVersion: v1, kind: Pod, status: {phase: Running, containerStatuses: [{lastState: {terminated: {exitCode: 1}}}]}}",
            Degraded,
        ),
        (
            "{apiVersion: v1, kind: Pod, spec: {restartPolicy: OnFailure}, status: {phase: Running, conditions: [{type: Ready, status: 'True'}]}}",
            Progressing,
        ),
        (
            "{apiVersion: v1, kind: Pod, status: {phase: Succeeded}}",
            Healthy,
        ),
        (
            "{apiVersion: v1, kind: Pod, status: {phase: Failed}}",
            Degraded,
        ),
        ("{apiVersion: batch/v1, kind: Job, status: {}}", Progressing),
        (
            "{apiVersion: batch/v1, kind: Job, status: {conditions: [{type: Complete, status: 'True'}]}}",
            Healthy,
        ),
        (
            "{apiVersion: batch/v1, kind: Job, status: {conditions: [{type: Failed, status: 'True'}]}}",
            Degraded,
        ),
        (
            "{apiVersion: batch/v1, kind: Job, status: {conditions: [{type: Suspended, status: 'True'}]}}",
            Suspended,
        ),
    ] {
        assert_eq!(code(text), Some(expected), "{text}");
    }
}

#[test]
fn a_failed_pod_says_which_container_failed() {
    let pod = yaml(
        "{apiVersion: v1, kind: Pod, status: {phase: Failed, containerStatuses: [\
         {name: migrate, state: {terminated: {exitCode: 3}}}]}}",
    );
    assert_eq!(
        health::of(&pod),
        Some(Health::new(
            Code::Degraded,
            "container \"migrate\" failed with exit code 3"
        ))
    );
}

#[test]
fn network_storage_and_scaling() {
    use Code::{Degraded, Healthy, Progressing, Unknown};
    for (text, expected) in [
        (
            "{apiVersion: v1, kind: Service, spec: {type: ClusterIP}}",
            Healthy,
        ),
        (
            "{apiVersion: v1, kind: Service, spec: {type: LoadBalancer}}",
            Progressing,
        ),
        (
            "{apiVersion: v1, kind: Service, spec: {type: LoadBalancer}, status: {loadBalancer: {ingress: [{ip: 1.2.3.4}]}}}",
            Healthy,
        ),
        (
            "{apiVersion: networking.k8s.io/v1, kind: Ingress}",
            Progressing,
        ),
        (
            "{apiVersion: networking.k8s.io/v1, kind: Ingress, status: {loadBalancer: {ingress: [{}]}}}",
            Healthy,
        ),
        (
            "{apiVersion: v1, kind: PersistentVolumeClaim, status: {phase: Bound}}",
            Healthy,
        ),
        (
            "{apiVersion: v1, kind: PersistentVolumeClaim, status: {phase: Lost}}",
            Degraded,
        ),
        ("{apiVersion: v1, kind: PersistentVolumeClaim}", Unknown),
        (
            "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler}",
            Progressing,
        ),
        (
            "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, status: {conditions: [{type: AbleToScale, status: 'True'}, {type: ScalingActive, reason: FailedGetResourceMetric, status: 'False'}]}}",
            Degraded,
        ),
        (
            "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, status: {conditions: [{type: AbleToScale, status: 'True'}]}}",
            Healthy,
        ),
        (
            "{apiVersion: autoscaling/v1, kind: HorizontalPodAutoscaler, metadata: {annotations: {autoscaling.alpha.kubernetes.io/conditions: '[{\"type\":\"AbleToScale\",\"status\":\"True\"}]'}}}",
            Healthy,
        ),
        (
            "{apiVersion: apiregistration.k8s.io/v1, kind: APIService, status: {conditions: [{type: Available, status: 'True'}]}}",
            Healthy,
        ),
        (
            "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, status: {conditions: [{type: Established, status: 'True'}]}}",
            Healthy,
        ),
        (
            "{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition}",
            Progressing,
        ),
        (
            "{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute}",
            Progressing,
        ),
        (
            "{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, status: {parents: [{conditions: [{type: Accepted, status: 'True'}, {type: ResolvedRefs, status: 'True'}]}]}}",
            Healthy,
        ),
        (
            "{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, status: {parents: [{conditions: [{type: Accepted, status: 'True'}, {type: ResolvedRefs, status: 'False'}]}]}}",
            Degraded,
        ),
        (
            "{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {generation: 2}, status: {parents: [{conditions: [{type: Accepted, status: 'False', observedGeneration: 1}]}]}}",
            Progressing,
        ),
        (
            "{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, status: {conditions: [{type: Accepted, status: 'True'}, {type: Programmed, status: 'True'}]}}",
            Healthy,
        ),
    ] {
        assert_eq!(code(text), Some(expected), "{text}");
    }
}

#[test]
fn kinds_of_argo() {
    use Code::{Degraded, Healthy, Progressing, Suspended, Unknown};
    for (kind, rest, expected) in [
        ("Rollout", "{metadata: {generation: 1}}", Progressing),
        (
            "Rollout",
            "{metadata: {generation: 2}, status: {observedGeneration: '1', phase: Healthy}}",
            Progressing,
        ),
        (
            "Rollout",
            "{metadata: {generation: 2}, status: {observedGeneration: '2', phase: Healthy}}",
            Healthy,
        ),
        (
            "Rollout",
            "{metadata: {generation: 2}, status: {observedGeneration: 2, phase: Paused}}",
            Suspended,
        ),
        (
            "Rollout",
            "{metadata: {generation: 2}, status: {observedGeneration: '2', phase: Degraded}}",
            Degraded,
        ),
        (
            "Rollout",
            "{metadata: {generation: 2}, status: {observedGeneration: 6b7f8, phase: Progressing}}",
            Progressing,
        ),
        (
            "Rollout",
            "{metadata: {generation: 2, annotations: {rollout.argoproj.io/workload-generation: '4'}}, spec: {workloadRef: {name: old}}, status: {observedGeneration: '2', phase: Healthy, workloadObservedGeneration: '3'}}",
            Progressing,
        ),
        (
            "Rollout",
            "{metadata: {generation: 2}, status: {observedGeneration: '2', conditions: [{type: Progressing, reason: RolloutAborted}]}}",
            Degraded,
        ),
        ("AnalysisRun", "{status: {phase: Successful}}", Healthy),
        ("AnalysisRun", "{status: {phase: Inconclusive}}", Unknown),
        ("AnalysisRun", "{status: {phase: Error}}", Degraded),
        ("Experiment", "{}", Progressing),
        ("Application", "{}", Progressing),
        (
            "Application",
            "{status: {health: {status: Degraded}}}",
            Degraded,
        ),
        ("Workflow", "{status: {phase: Succeeded}}", Healthy),
    ] {
        let mut object = yaml(rest);
        object["apiVersion"] = json!("argoproj.io/v1alpha1");
        object["kind"] = json!(kind);
        assert_eq!(health::of(&object).unwrap().code, expected, "{kind} {rest}");
    }
}

#[test]
fn the_health_of_a_config_map_cannot_be_told() {
    assert_eq!(code("{apiVersion: v1, kind: ConfigMap}"), None);
}

#[test]
fn what_is_being_deleted_progresses_unless_a_hook_holds_it() {
    let text =
        "{apiVersion: v1, kind: ConfigMap, metadata: {deletionTimestamp: '2026-01-01T00:00:00Z'}}";
    assert_eq!(code(text), Some(Code::Progressing));
    let held = "{apiVersion: v1, kind: ConfigMap, metadata: {deletionTimestamp: '2026-01-01T00:00:00Z', finalizers: [argocd.argoproj.io/hook-finalizer]}}";
    assert_eq!(code(held), None);
}

fn together(objects: &[(&Key, Option<&Value>)], itself: &Key) -> Health {
    let healths: Vec<Option<Health>> = objects
        .iter()
        .map(|(_, live)| live.and_then(health::of))
        .collect();
    health::application(
        objects
            .iter()
            .zip(&healths)
            .map(|((key, live), health)| Member {
                key,
                live: *live,
                health: health.as_ref(),
            }),
        itself,
    )
}

#[test]
fn an_application_is_as_its_worst_object() {
    let itself = Key::new("argoproj.io", "Application", "argocd", "web");
    let (a, b, c) = (
        Key::new("", "Pod", "web", "a"),
        Key::new("", "Pod", "web", "b"),
        Key::new("", "ConfigMap", "web", "c"),
    );
    let good = yaml("{apiVersion: v1, kind: Pod, status: {phase: Succeeded}}");
    let bad = yaml("{apiVersion: v1, kind: Pod, status: {phase: Failed, message: Evicted}}");
    let slow = yaml("{apiVersion: v1, kind: Pod, status: {phase: Pending}}");
    let map = yaml("{apiVersion: v1, kind: ConfigMap}");

    assert_eq!(together(&[], &itself).code, Code::Healthy);
    assert_eq!(
        together(&[(&a, Some(&good)), (&b, Some(&slow))], &itself).code,
        Code::Progressing
    );
    let health = together(
        &[(&a, Some(&bad)), (&b, Some(&slow)), (&c, Some(&map))],
        &itself,
    );
    assert_eq!(
        health,
        Health::new(Code::Degraded, "Caused by /Pod/a: Evicted")
    );
    // One missing object does not count, all missing do.
    assert_eq!(
        together(&[(&a, Some(&good)), (&b, None)], &itself).code,
        Code::Healthy
    );
    assert_eq!(
        together(&[(&a, None), (&b, None)], &itself).code,
        Code::Missing
    );
    // An Application that manages itself does not wait for itself.
    let own = yaml(
        "{apiVersion: argoproj.io/v1alpha1, kind: Application, status: {health: {status: Degraded}}}",
    );
    assert_eq!(
        together(&[(&itself, Some(&own)), (&a, Some(&good))], &itself).code,
        Code::Healthy
    );
}

#[test]
fn an_object_can_be_left_out_of_the_health_check() {
    let itself = Key::default();
    let key = Key::new("", "Pod", "web", "a");
    let bad = yaml(
        "{apiVersion: v1, kind: Pod, metadata: {annotations: {argocd.argoproj.io/ignore-healthcheck: 'true'}}, status: {phase: Failed}}",
    );
    assert_eq!(together(&[(&key, Some(&bad))], &itself).code, Code::Healthy);
}
