//! `list experiments`.

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use sluice_crds::duration;
use sluice_crds::experiment::Experiment;

use super::Listing;
use crate::cluster;
use crate::get::age::{age, short};
use crate::get::experiment::view;
use crate::get::owned::text;

/// Experiments.
pub(crate) const EXPERIMENTS: Listing = Listing {
    kind: cluster::EXPERIMENTS,
    columns: &COLUMNS,
    row,
};

const COLUMNS: [(&str, usize); 5] = [
    ("NAME", 10),
    ("STATUS", 6),
    ("DURATION", 8),
    ("REMAINING", 9),
    ("AGE", 3),
];

fn row(item: &Value, now: Timestamp) -> Vec<String> {
    let name = text(item, "/metadata/name").to_owned();
    let age = age(text(item, "/metadata/creationTimestamp").parse().ok(), now);
    let nothing = || "-".to_owned();
    let Ok(experiment) = serde_json::from_value::<Experiment>(item.clone()) else {
        // One that cannot be decoded is listed all the same: somebody has to find it.
        return vec![name, "InvalidSpec".to_owned(), nothing(), nothing(), age];
    };
    let length = experiment.spec.duration.as_deref().map(duration::parse);
    let length = length.and_then(Result::ok).map_or_else(nothing, short);
    let left = view::ends(&experiment)
        .map(|at| at.duration_since(now))
        .filter(SignedDuration::is_positive);
    vec![
        name,
        view::phase(&experiment).to_owned(),
        length,
        left.map_or_else(nothing, short),
        age,
    ]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::list::Table;

    #[test]
    fn the_columns_are_those_of_the_other_plugin() {
        let running = json!({
            "metadata": { "name": "web-6fbd9-2-0", "creationTimestamp": "2026-03-01T11:55:00Z" },
            "spec": { "duration": "5m" },
            "status": { "phase": "Running", "availableAt": "2026-03-01T11:56:00Z" }
        });
        let mut over = running.clone();
        over["metadata"]["name"] = json!("over");
        over["status"]["phase"] = json!("Successful");
        let endless = json!({
            "metadata": { "name": "endless", "creationTimestamp": "2026-02-27T12:00:00Z" }, "spec": {}
        });
        let broken = json!({ "metadata": { "name": "broken" }, "spec": { "duration": 5 } });
        let items = [broken, endless, over, running];
        let table = Table {
            listing: &EXPERIMENTS,
            namespace: false,
            timestamps: false,
        };
        let text = table.text(
            Some(&items),
            &items,
            "2026-03-01T12:00:00Z".parse().unwrap(),
        );
        insta::assert_snapshot!(text, @r"
        NAME           STATUS       DURATION  REMAINING  AGE
        broken         InvalidSpec  -         -          <unknown>
        endless        Pending      -         -          2d
        over           Successful   5m        -          5m
        web-6fbd9-2-0  Running      5m        60s        5m
        ");
    }
}
