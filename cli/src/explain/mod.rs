//! `explain`: why a Rollout is where it is, as a chain of causes, and what comes next.
//!
//! The decision is made here with the controller's own function over what the API server says ([`crate::get`]); what the
//! controller remembers of its decisions is read from it if the API server lets us through ([`decisions`]).

mod decisions;
mod effect;
mod text;

use anyhow::Result;
use jiff::Timestamp;
use kube::api::ListParams;
use serde_json::Value;

use crate::cluster::{self, Cluster};
use crate::failure;
use crate::get::owned::text;
use crate::get::read;
use crate::invocation::Plugin;
use crate::output;
use text::View;

/// Carries out `explain`.
pub(crate) async fn run(cluster: &Cluster, names: &[String], plugin: Plugin) -> Result<()> {
    for (index, name) in names.iter().enumerate() {
        let snapshot = read::read(cluster, name).await?;
        let uid = snapshot.rollout.metadata.uid.clone().unwrap_or_default();
        let about = ListParams::default().fields(&format!("involvedObject.uid={uid}"));
        let (events, decisions) = futures::join!(
            cluster.list(&cluster::EVENTS, &about),
            decisions::read(cluster, "Rollout", name)
        );
        let view = View {
            snapshot: &snapshot,
            events: events.map_err(|error| failure::of_client(&error)),
            decisions,
            typed: plugin.typed(),
        };
        let gap = if index > 0 { "\n" } else { "" };
        output::print(&format!("{gap}{}", view.text(Timestamp::now())))?;
    }
    Ok(())
}

/// When an Event happened last.
fn when(event: &Value) -> String {
    [
        "/series/lastObservedTime",
        "/lastTimestamp",
        "/eventTime",
        "/metadata/creationTimestamp",
    ]
    .iter()
    .map(|pointer| text(event, pointer))
    .find(|text| !text.is_empty())
    .unwrap_or_default()
    .to_owned()
}
