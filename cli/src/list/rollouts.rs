//! `list rollouts`.

use jiff::Timestamp;
use serde_json::Value;
use sluice_crds::rollout::Rollout;

use super::Listing;
use crate::cluster;
use crate::get::owned::text;
use crate::get::{header, status, weights};

/// Rollouts.
pub(crate) const ROLLOUTS: Listing = Listing {
    kind: cluster::ROLLOUTS,
    columns: &COLUMNS,
    row,
};

const COLUMNS: [(&str, usize); 9] = [
    ("NAME", 10),
    ("STRATEGY", 9),
    ("STATUS", 12),
    ("STEP", 4),
    ("SET-WEIGHT", 10),
    ("READY", 5),
    ("DESIRED", 7),
    ("UP-TO-DATE", 10),
    ("AVAILABLE", 9),
];

fn row(item: &Value, _: Timestamp) -> Vec<String> {
    let Ok(rollout) = serde_json::from_value::<Rollout>(item.clone()) else {
        // One that cannot be decoded is listed all the same: somebody has to find it.
        let mut row = vec!["-".to_owned(); COLUMNS.len()];
        row.splice(
            0..3,
            [text(item, "/metadata/name"), "unknown", "InvalidSpec"].map(str::to_owned),
        );
        return row;
    };
    let state = rollout.status.clone().unwrap_or_default();
    let (strategy, weight) = match (rollout.spec.canary(), rollout.spec.blue_green()) {
        (Some(_), _) => ("Canary", weights::set(&rollout).to_string()),
        (None, Some(_)) => ("BlueGreen", "-".to_owned()),
        (None, None) => ("unknown", "-".to_owned()),
    };
    let count = |count: Option<i32>| count.unwrap_or(0);
    vec![
        rollout.metadata.name.clone().unwrap_or_default(),
        strategy.to_owned(),
        status::of(&rollout).0,
        header::step(&rollout).unwrap_or_else(|| "-".to_owned()),
        weight,
        format!("{}/{}", count(state.ready_replicas), count(state.replicas)),
        rollout.spec.replicas().to_string(),
        count(state.updated_replicas).to_string(),
        count(state.available_replicas).to_string(),
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::list::Table;

    fn rollouts() -> Vec<Value> {
        let healthy = json!({
            "metadata": { "name": "web", "namespace": "shop", "generation": 3 },
            "spec": { "replicas": 5, "strategy": { "canary": { "steps": [{ "setWeight": 20 }, { "pause": {} }] } } },
            "status": {
                "observedGeneration": "3", "phase": "Healthy", "currentStepIndex": 2,
                "readyReplicas": 5, "replicas": 5, "updatedReplicas": 5, "availableReplicas": 5
            }
        });
        let mut paused = healthy.clone();
        paused["metadata"]["name"] = json!("an-api-with-a-longer-name");
        paused["status"]["phase"] = json!("Paused");
        paused["status"]["currentStepIndex"] = json!(1);
        paused["status"]["pauseConditions"] = json!([{ "reason": "CanaryPauseStep" }]);
        let broken = json!({
            "metadata": { "name": "broken", "namespace": "shop" }, "spec": { "replicas": "many" }
        });
        vec![paused, broken, healthy]
    }

    #[test]
    fn the_columns_are_those_of_the_other_plugin() {
        let table = Table {
            listing: &ROLLOUTS,
            namespace: false,
            timestamps: false,
        };
        let items = rollouts();
        let text = table.text(Some(&items), &items, Timestamp::UNIX_EPOCH);
        insta::assert_snapshot!(text, @r"
        NAME                       STRATEGY   STATUS        STEP  SET-WEIGHT  READY  DESIRED  UP-TO-DATE  AVAILABLE
        an-api-with-a-longer-name  Canary     Paused        1/2   20          5/5    5        5           5
        broken                     unknown    InvalidSpec   -     -           -      -        -           -
        web                        Canary     Healthy       2/2   100         5/5    5        5           5
        ");
    }

    #[test]
    fn namespace_and_time_come_first() {
        let table = Table {
            listing: &ROLLOUTS,
            namespace: true,
            timestamps: true,
        };
        let items = rollouts().split_off(2);
        let text = table.text(Some(&items), &items, Timestamp::UNIX_EPOCH);
        insta::assert_snapshot!(text, @r"
        TIMESTAMP             NAMESPACE  NAME        STRATEGY   STATUS        STEP  SET-WEIGHT  READY  DESIRED  UP-TO-DATE  AVAILABLE
        1970-01-01T00:00:00Z  shop       web         Canary     Healthy       2/2   100         5/5    5        5           5
        ");
    }
}
