//! `list rollouts`: the columns that people know.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use kube::api::ListParams;
use serde_json::{Value, json};
use sluice_crds::rollout::Rollout;

use crate::args::ListArgs;
use crate::cluster::{self, Cluster};
use crate::get::snapshot::text;
use crate::get::{header, status, weights};
use crate::output;

/// Titles of the columns and their least widths, which keep a watched list in place.
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

/// Carries out `list rollouts`.
pub(crate) async fn run(cluster: &Cluster, args: &ListArgs) -> Result<()> {
    let items = read(cluster, args).await?;
    if let Some(format) = args.output {
        let list = json!({ "apiVersion": "v1", "kind": "List", "items": items });
        return output::object(&list, format);
    }
    if items.is_empty() && !args.watch {
        output::complain(&match args.all_namespaces {
            true => "No resources found.".to_owned(),
            false => format!("No resources found in {} namespace.", cluster.namespace),
        });
        return Ok(());
    }
    let table = Table {
        namespace: args.all_namespaces,
        timestamps: args.timestamps,
    };
    output::print(&table.text(Some(&items), &items, Timestamp::now()))?;
    if !args.watch {
        return Ok(());
    }
    tokio::select! {
        outcome = watch(cluster, args, &table, items) => outcome,
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

async fn read(cluster: &Cluster, args: &ListArgs) -> Result<Vec<Value>> {
    let mut parameters = ListParams::default();
    if let Some(name) = &args.name {
        parameters = parameters.fields(&format!("metadata.name={name}"));
    }
    let mut items = match args.all_namespaces {
        true => {
            cluster
                .list_everywhere(&cluster::ROLLOUTS, &parameters)
                .await?
        }
        false => cluster.list(&cluster::ROLLOUTS, &parameters).await?,
    };
    items.sort_by_key(place);
    Ok(items)
}

/// Prints each Rollout again whose line has changed.
async fn watch(cluster: &Cluster, args: &ListArgs, table: &Table, first: Vec<Value>) -> Result<()> {
    let cells = |items: &[Value]| -> BTreeMap<(String, String), Vec<String>> {
        items.iter().map(|item| (place(item), row(item))).collect()
    };
    let mut known = cells(&first);
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let items = read(cluster, args).await?;
        let now = cells(&items);
        let changed: Vec<Value> = items
            .iter()
            .filter(|item| known.get(&place(item)) != now.get(&place(item)))
            .cloned()
            .collect();
        if !changed.is_empty() {
            output::print(&table.text(None, &changed, Timestamp::now()))?;
        }
        known = now;
    }
}

fn place(item: &Value) -> (String, String) {
    (
        text(item, "/metadata/namespace").to_owned(),
        text(item, "/metadata/name").to_owned(),
    )
}

/// Which columns come before the others.
struct Table {
    namespace: bool,
    timestamps: bool,
}

impl Table {
    /// The lines of `items`, with titles if there is a whole list above.
    fn text(&self, titled: Option<&[Value]>, items: &[Value], now: Timestamp) -> String {
        let mut titles: Vec<String> = COLUMNS
            .iter()
            .map(|(title, _)| (*title).to_owned())
            .collect();
        let mut least: Vec<usize> = match items {
            [] => Vec::new(),
            _ => COLUMNS.iter().map(|(_, least)| *least).collect(),
        };
        let mut rows: Vec<Vec<String>> = items.iter().map(row).collect();
        let mut before = |title: &str, width: usize, cell: &dyn Fn(&Value) -> String| {
            titles.insert(0, title.to_owned());
            if !least.is_empty() {
                least.insert(0, width);
            }
            for (row, item) in rows.iter_mut().zip(items) {
                row.insert(0, cell(item));
            }
        };
        if self.namespace {
            before("NAMESPACE", 9, &|item| {
                text(item, "/metadata/namespace").to_owned()
            });
        }
        if self.timestamps {
            before("TIMESTAMP", 20, &|_| {
                now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
            });
        }
        if titled.is_some() {
            rows.insert(0, titles);
        }
        output::columns(&rows, &least)
    }
}

fn row(item: &Value) -> Vec<String> {
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
    use super::*;

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
