//! The objects of all moments, as they are recorded.
//!
//! After a change of what the engines write: `SLUICE_RECORD=1 cargo test -p sluice-simulation --test argo_cd`, then
//! `go run .` in `e2e/vectors/health`.

use serde_json::{Value, json};

use crate::plays::{Moment, moments};

pub(crate) const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../e2e/vectors/health");

/// The object as Argo CD's scripts look at it: without pod templates, measurements, and what the API server adds.
fn trimmed(object: &Value) -> Value {
    let pick = |section: &str, fields: &[&str]| {
        let chosen = fields.iter().filter_map(|field| {
            let value = object[section].get(*field)?;
            Some(((*field).to_owned(), value.clone()))
        });
        Value::Object(chosen.collect())
    };
    let metadata = pick(
        "metadata",
        &["name", "namespace", "generation", "annotations"],
    );
    let (spec, status) = if object["kind"] == "Rollout" {
        let fields = ["replicas", "paused", "restartAt", "workloadRef", "strategy"];
        (pick("spec", &fields), object["status"].clone())
    } else {
        let status = pick("status", &["phase", "message", "startedAt", "completedAt"]);
        (pick("spec", &["terminate", "duration"]), status)
    };
    let mut trimmed = json!({
        "apiVersion": object["apiVersion"], "kind": object["kind"], "metadata": metadata, "spec": spec
    });
    if object.get("status").is_some() {
        trimmed["status"] = status;
    }
    trimmed
}

/// One line for each object.
fn lines(moments: &[Moment]) -> String {
    let line = |moment: &Moment| {
        json!({ "name": moment.name, "object": trimmed(&moment.object) }).to_string()
    };
    let lines: Vec<String> = moments.iter().map(line).collect();
    format!("[\n{}\n]\n", lines.join(",\n"))
}

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "on demand the record is written, which is a file"
)]
fn the_objects_that_argo_cd_is_asked_about_are_those_that_the_engines_write() {
    let found = lines(&moments());
    let file = format!("{FOLDER}/objects.json");
    if std::env::var("SLUICE_RECORD").is_ok() {
        std::fs::write(&file, &found).unwrap();
    }
    let recorded = std::fs::read_to_string(&file).unwrap();
    let (mut known, mut new) = (recorded.lines(), found.lines());
    loop {
        match (known.next(), new.next()) {
            (None, None) => return,
            (known, new) => assert_eq!(
                known, new,
                "the engines write something else: record it anew (see the head of this file)"
            ),
        }
    }
}
