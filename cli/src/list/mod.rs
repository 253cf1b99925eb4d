//! `list`: the columns that people know, of [`rollouts`] and of [`experiments`].

mod experiments;
mod rollouts;

pub(crate) use experiments::EXPERIMENTS;
pub(crate) use rollouts::ROLLOUTS;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use jiff::Timestamp;
use kube::api::ListParams;
use serde_json::{Value, json};

use crate::args::ListArgs;
use crate::cluster::{Cluster, Kind};
use crate::get::owned::text;
use crate::output;

/// What is listed of a kind.
pub(crate) struct Listing {
    /// The kind.
    kind: Kind,
    /// Titles of the columns and their least widths, which keep a watched list in place.
    columns: &'static [(&'static str, usize)],
    /// The cells of an object at a moment.
    row: fn(&Value, Timestamp) -> Vec<String>,
}

/// Carries out `list`.
pub(crate) async fn run(cluster: &Cluster, listing: &Listing, args: &ListArgs) -> Result<()> {
    let items = read(cluster, listing, args).await?;
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
        listing,
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

async fn read(cluster: &Cluster, listing: &Listing, args: &ListArgs) -> Result<Vec<Value>> {
    let mut parameters = ListParams::default();
    if let Some(name) = &args.name {
        parameters = parameters.fields(&format!("metadata.name={name}"));
    }
    let mut items = match args.all_namespaces {
        true => cluster.list_everywhere(&listing.kind, &parameters).await?,
        false => cluster.list(&listing.kind, &parameters).await?,
    };
    items.sort_by_key(place);
    Ok(items)
}

/// Prints each object again whose line has changed, be it not by the time alone.
async fn watch(
    cluster: &Cluster,
    args: &ListArgs,
    table: &Table<'_>,
    first: Vec<Value>,
) -> Result<()> {
    let began = Timestamp::now();
    let cells = |items: &[Value]| -> BTreeMap<(String, String), Vec<String>> {
        items
            .iter()
            .map(|item| (place(item), (table.listing.row)(item, began)))
            .collect()
    };
    let mut known = cells(&first);
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        let items = read(cluster, table.listing, args).await?;
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

/// What is listed, and which columns come before the others.
struct Table<'a> {
    listing: &'a Listing,
    namespace: bool,
    timestamps: bool,
}

impl Table<'_> {
    /// The lines of `items`, with titles if there is a whole list above.
    fn text(&self, titled: Option<&[Value]>, items: &[Value], now: Timestamp) -> String {
        let columns = self.listing.columns;
        let mut titles: Vec<String> = columns
            .iter()
            .map(|(title, _)| (*title).to_owned())
            .collect();
        let mut least: Vec<usize> = match items {
            [] => Vec::new(),
            _ => columns.iter().map(|(_, least)| *least).collect(),
        };
        let mut rows: Vec<Vec<String>> = items
            .iter()
            .map(|item| (self.listing.row)(item, now))
            .collect();
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
