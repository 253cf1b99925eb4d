//! What holds for every route, Ingress and TraefikService that a person may have written.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says no more than where it failed"
)]

mod experiments;
mod scenes;
#[path = "../support/mod.rs"]
mod support;

use proptest::prelude::*;
use scenes::{ANNOTATION, lists, masked, scene, unmarked, weights};
use serde_json::{Value, json};
use sluice_crds::rollout::Rollout;
use sluice_crds::split::SplitRoute;
use sluice_traffic::overlay_controlled;
use support::{Store, split};

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..Default::default() })]

    #[test]
    fn edits_reach_the_wanted_weight_and_then_there_are_none(
        (rollout, object) in scene(), first in 0..=1000, second in 0..=1000,
    ) {
        let max = rollout.spec.canary().unwrap().max_weight();
        let mut store = Store(vec![object.clone()]);
        for wanted in [first % (max + 1), second % (max + 1), 0] {
            let readable = store.observe(&rollout, max).iter().all(|entry| entry.canary.is_ok())
                && lists(&mut store.0[0].clone()).into_iter().all(|list| can_be_split(list, max));
            let edits = store.edits(&rollout, &split(&rollout, wanted));
            store.apply_all(&edits);
            prop_assert_eq!(store.edits(&rollout, &split(&rollout, wanted)), vec![]);
            if readable {
                for entry in store.observe(&rollout, max) {
                    prop_assert_eq!(entry.canary, Ok(wanted));
                }
            }
        }
    }

    #[test]
    fn an_abort_is_always_possible((rollout, object) in scene(), wanted in 0..=1000) {
        prop_assume!(object["kind"] != "Ingress");
        let max = rollout.spec.canary().unwrap().max_weight();
        let mut store = Store(vec![object]);
        for wanted in [wanted % (max + 1), 0] {
            store.apply_all(&store.edits(&rollout, &split(&rollout, wanted)));
        }
        for list in lists(&mut store.0[0]) {
            let (canary, stable, others) = weights(list);
            let pair = list.iter().any(|item| item["name"] == "web-canary");
            prop_assert!(!pair || canary == 0, "{canary} and {stable} beside {others}");
        }
        for entry in store.observe(&rollout, max) {
            prop_assert!(matches!(entry.canary, Ok(0) | Err(_)), "{:?}", entry);
        }
    }

    /// argo-rollouts#2268, #2692, the Gateway API plugin's #203: fields that the controller did not know, and backends of
    /// others, were gone after an edit.
    #[test]
    fn r13_what_others_wrote_is_not_touched((rollout, object) in scene(), wanted in 0..=1000) {
        let max = rollout.spec.canary().unwrap().max_weight();
        let mut store = Store(vec![object.clone()]);
        let edits = store.edits(&rollout, &split(&rollout, wanted % (max + 1)));
        store.apply_all(&edits);
        prop_assert_eq!(masked(&store.0[0]), masked(&object));
    }

    /// argo-rollouts#3474, #3467, #4646: weights above the maximum or below 0.
    #[test]
    fn r10_weights_sum_to_the_maximum_or_to_what_the_pair_had(
        (rollout, object) in scene(), wanted in 0..=1000,
    ) {
        prop_assume!(object["kind"] != "Ingress");
        let max = rollout.spec.canary().unwrap().max_weight();
        let wanted = wanted % (max + 1);
        let mut store = Store(vec![object.clone()]);
        store.apply_all(&store.edits(&rollout, &split(&rollout, wanted)));
        let (mut before, mut after) = (object, store.0[0].clone());
        for (before, after) in lists(&mut before).into_iter().zip(lists(&mut after)) {
            let (was, now) = (weights(before), weights(after));
            prop_assert_eq!(was.2, now.2, "the weight of others");
            if was != now && was.2 > 0 {
                prop_assert_eq!(was.0 + was.1, now.0 + now.1);
            } else if was != now {
                prop_assert_eq!(now.0 + now.1, i64::from(max));
            }
            if was != now {
                prop_assert_eq!(now.0 * i64::from(max), i64::from(wanted) * (now.0 + now.1));
            }
        }
    }

    #[test]
    fn removal_undoes_what_edits_did((rollout, object) in scene(), wanted in 0..=1000) {
        let max = rollout.spec.canary().unwrap().max_weight();
        let mut store = Store(vec![object.clone()]);
        store.apply_all(&store.edits(&rollout, &split(&rollout, wanted % (max + 1))));
        store.apply_all(&store.removal(&rollout));
        prop_assert_eq!(store.removal(&rollout), vec![]);
        prop_assert_eq!(store.0.len(), 1, "what was made is gone");
        prop_assert_eq!(masked(&store.0[0]), masked(&object));
        let listed = store.0[0]["metadata"]["annotations"][ANNOTATION].as_str().unwrap_or_default();
        let entries = store.observe(&rollout, max);
        if entries.iter().all(|entry| entry.canary.is_ok()) && object["kind"] == "HTTPRoute" {
            let drives = rollout_json(&rollout).contains("disableInProgressLabel");
            prop_assert!(drives || !listed.contains("shop/web"), "{}", listed);
        }
        for entry in entries {
            prop_assert!(matches!(entry.canary, Ok(0) | Err(_)), "{:?}", entry);
        }
    }

    #[test]
    fn a_list_that_was_reordered_after_it_was_read_refuses_the_edit(
        (rollout, object) in scene(), wanted in 0..=1000,
    ) {
        prop_assume!(object["kind"] != "Ingress");
        let max = rollout.spec.canary().unwrap().max_weight();
        let store = Store(vec![object.clone()]);
        let edits = store.edits(&rollout, &split(&rollout, wanted % (max + 1)));
        let mut moved = object.clone();
        for list in lists(&mut moved) {
            list.reverse();
        }
        let mut store = Store(vec![moved.clone()]);
        for edit in edits {
            if store.apply(&edit).is_ok() {
                prop_assert_eq!(masked(&store.0[0]), masked(&moved));
                for entry in store.observe(&rollout, max) {
                    prop_assert!(entry.canary.is_err() || entry.canary == Ok(wanted % (max + 1)));
                }
            }
        }
    }

    /// argo-rollouts#3898, #4307, #4831: header and mirror routes that were left behind.
    #[test]
    fn r12_header_and_mirror_routes_come_and_go_and_leave_no_trace(
        (rollout, object) in scene(), wanted in 0..=1000, second in 0..=1000, names_are_kept: bool,
    ) {
        if object["kind"] != "HTTPRoute" {
            return Ok(());
        }
        let max = rollout.spec.canary().unwrap().max_weight();
        let mut store = Store(vec![object.clone()]);
        let mut told = split(&rollout, wanted % (max + 1));
        let (before, count) = (masked(&object), rules_of(&object).len());
        let can_be_moved =
            lists(&mut object.clone()).into_iter().all(|list| can_be_split(list, max));
        let kept = |object: &Value| {
            let mut object = object.clone();
            let rules = object["spec"]["rules"].as_array_mut().unwrap();
            rules.drain(..rules.len() - count);
            masked(&object)
        };
        for (routes, wanted) in [
            (routes(&["yes"]), told.canary), (routes(&["no"]), second % (max + 1)), (Vec::new(), 0),
        ] {
            (told.routes, told.canary) = (routes, wanted);
            let can_be_moved =
                can_be_moved && store.observe(&rollout, max).iter().all(|entry| entry.canary.is_ok());
            let mut after = store.clone();
            after.apply_all(&after.edits(&rollout, &told));
            if !names_are_kept {
                for rule in after.0[0]["spec"]["rules"].as_array_mut().unwrap() {
                    rule.as_object_mut().unwrap().remove("name");
                }
            }
            prop_assert_eq!(after.edits(&rollout, &told), vec![]);
            prop_assert_eq!(kept(&after.0[0]), before.clone(), "rules of others");
            for entry in after.observe(&rollout, max) {
                if entry.canary.is_ok() {
                    let shown = entry.routes.unwrap();
                    prop_assert!(shown.intact);
                    if can_be_moved {
                        prop_assert_eq!(&shown.routes, &told.routes);
                    }
                }
            }
            // What Git says, applied in the middle, is the same again; where others have weight, their share may change.
            let mut desired = unmarked(object.clone());
            let alone = lists(&mut desired).into_iter().all(|list| weights(list).2 == 0);
            overlay_controlled(&mut desired, &after.0[0], &[&rollout]);
            let applied = Store(vec![desired]);
            let marks = |store: &Store| store.0[0]["metadata"]["annotations"][ANNOTATION].clone();
            if alone && marks(&after) == marks(&applied) {
                prop_assert_eq!(applied.edits(&rollout, &told), vec![]);
            }
            store = after;
        }
        prop_assert_eq!(masked(&store.0[0]), before);
    }

    #[test]
    fn applying_what_git_says_does_not_move_the_traffic(
        (rollout, object) in scene(), wanted in 0..=1000,
    ) {
        let max = rollout.spec.canary().unwrap().max_weight();
        let wanted = split(&rollout, wanted % (max + 1));
        let object = unmarked(object);
        let mut store = Store(vec![object.clone()]);
        store.apply_all(&store.edits(&rollout, &wanted));
        // Git changes something else of the object in the middle of the canary.
        let mut desired = object.clone();
        desired["spec"]["fromGit"] = json!("new");
        let before = masked(&desired);
        overlay_controlled(&mut desired, &store.0[0], &[&rollout]);
        prop_assert_eq!(masked(&desired), before);
        store.0[0] = desired;
        prop_assert_eq!(store.edits(&rollout, &wanted), vec![]);
    }
}

fn rules_of(route: &Value) -> &[Value] {
    route["spec"]["rules"].as_array().map_or(&[], Vec::as_slice)
}

/// A header route that wants this value, and a mirror route of everything.
fn routes(values: &[&str]) -> Vec<SplitRoute> {
    let header = values.iter().map(|value| {
        json!({"name": "beta", "kind": {"header": [
            {"headerName": "X-Beta", "headerValue": {"exact": value}},
        ]}})
    });
    let everything = json!({"matches": [{"path": {"prefix": "/"}}], "percentage": 5});
    let mirror = json!({"name": "copy", "kind": {"mirror": everything}});
    header
        .chain([mirror])
        .map(|route| serde_json::from_value(route).unwrap())
        .collect()
}

/// Whether a list can carry any split, because only the two backends have weight or their sum is a multiple.
fn can_be_split(list: &[Value], max: i32) -> bool {
    let (canary, stable, others) = weights(list);
    others == 0 || (canary + stable) % i64::from(max) == 0
}

fn rollout_json(rollout: &Rollout) -> String {
    serde_json::to_string(rollout).unwrap()
}
