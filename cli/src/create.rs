//! `create`: objects from files, and AnalysisRuns from templates.

use anyhow::{Context, Result, anyhow, bail, ensure};
use kube::api::{Api, DynamicObject, PostParams};
use serde_json::{Value, json};
use sluice_analysis::template::{TemplateLookup, build_run_spec};
use sluice_crds::analysis::{AnalysisTemplateRef, Argument};
use sluice_crds::names::{self, GROUP, VERSION};

use crate::args::{Create, CreateArgs, CreateRunArgs, ViewArgs};
use crate::cluster::{self, Cluster, Kind};
use crate::get::experiment::ExperimentView;
use crate::get::owned::text;
use crate::get::snapshot::{self, Snapshot};
use crate::get::{self, read};
use crate::offline::check;
use crate::offline::manifest::{self, Manifest};
use crate::output;
use crate::paint::Paint;

/// Kinds that are created.
const KINDS: [(&str, Kind); 5] = [
    ("Rollout", cluster::ROLLOUTS),
    ("Experiment", cluster::EXPERIMENTS),
    ("AnalysisTemplate", cluster::ANALYSIS_TEMPLATES),
    (CLUSTER_TEMPLATE, cluster::CLUSTER_ANALYSIS_TEMPLATES),
    ("AnalysisRun", cluster::ANALYSIS_RUNS),
];

/// The one kind among them that is in no namespace.
const CLUSTER_TEMPLATE: &str = "ClusterAnalysisTemplate";

/// Labels that say who applied an object. A copy of it is not theirs, and would be taken for one to prune.
const TRACKING: [&str; 2] = ["app.kubernetes.io/instance", "argocd.argoproj.io/instance"];

/// Carries out `create`.
pub(crate) async fn run(cluster: &Cluster, args: &CreateArgs, paint: Paint) -> Result<()> {
    match &args.what {
        Some(Create::Analysisrun(args)) => analysis_run(cluster, args).await,
        None => files(cluster, args, paint).await,
    }
}

/// Creates what the files hold, in their order; nothing when there is something wrong in one of them.
async fn files(cluster: &Cluster, args: &CreateArgs, paint: Paint) -> Result<()> {
    let manifests = manifest::read(&args.files)?;
    let wanted: Vec<(&Manifest, Kind)> = manifests
        .iter()
        .map(|manifest| Ok((manifest, kind(manifest)?)))
        .collect::<Result<_>>()?;
    if args.watch {
        ensure!(
            wanted.len() == 1,
            "--watch: cannot watch multiple resources, and the files hold {}",
            wanted.len()
        );
        ensure!(
            wanted.iter().all(|(one, _)| is_shown(one)),
            "--watch: can only watch resources of type Rollout or Experiment"
        );
    }
    let problems = check::all(&manifests).problems;
    if !problems.is_empty() {
        let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
        bail!("nothing was created: {}", problems.join("\n       "));
    }
    let mut created = None;
    for (manifest, kind) in wanted {
        let home = at_home(cluster, &manifest.value);
        let name = create(&home, &kind, &manifest.value)
            .await
            .with_context(|| manifest.to_string())?;
        created = Some((manifest, home, name));
    }
    let Some((manifest, home, name)) = created.filter(|_| args.watch) else {
        return Ok(());
    };
    let view = ViewArgs {
        watch: true,
        timeout_seconds: 0,
        output: None,
    };
    if manifest.is(GROUP, "Experiment") {
        get::run::<ExperimentView>(&home, &name, &view, paint).await
    } else {
        get::run::<Snapshot>(&home, &name, &view, paint).await
    }
}

fn is_shown(manifest: &Manifest) -> bool {
    manifest.is(GROUP, "Rollout") || manifest.is(GROUP, "Experiment")
}

fn kind(manifest: &Manifest) -> Result<Kind> {
    let known = KINDS.iter().find(|(kind, _)| manifest.is(GROUP, kind));
    let known = known.with_context(|| {
        let (group, _) = text(&manifest.value, "/apiVersion")
            .split_once('/')
            .unwrap_or_default();
        let kind = text(&manifest.value, "/kind");
        format!(
            "{manifest}: creates of {group}/{kind} unsupported: use kubectl create for it, or give another --filename"
        )
    })?;
    Ok(known.1)
}

/// The cluster with the namespace that a manifest names, or that of the connection.
fn at_home(cluster: &Cluster, object: &Value) -> Cluster {
    let mut home = cluster.clone();
    let written = text(object, "/metadata/namespace");
    if !written.is_empty() {
        home.namespace = written.to_owned();
    }
    home
}

/// Creates one object, says so, and gives its name.
async fn create(cluster: &Cluster, kind: &Kind, object: &Value) -> Result<String> {
    let api: Api<DynamicObject> = match text(object, "/kind") {
        CLUSTER_TEMPLATE => cluster.api_everywhere(kind),
        _ => cluster.api(kind),
    };
    let object: DynamicObject = serde_json::from_value(object.clone())?;
    let created = api.create(&PostParams::default(), &object).await?;
    let name = created.metadata.name.unwrap_or_default();
    let singular = kind.api().kind.to_lowercase();
    output::print(&format!("{singular}.{GROUP}/{name} created\n"))?;
    Ok(name)
}

/// `create analysisrun`.
async fn analysis_run(cluster: &Cluster, args: &CreateRunArgs) -> Result<()> {
    let template = template(cluster, args).await?;
    let mut objects = vec![template.clone()];
    let nested = template
        .pointer("/spec/templates")
        .and_then(Value::as_array);
    if nested.is_some_and(|nested| !nested.is_empty()) {
        let (found, unread) = read::templates(cluster).await;
        if let Some(unread) = unread.first() {
            bail!(
                "the templates that {} names in spec.templates: {} ({})",
                title(&template),
                unread.what,
                unread.why
            );
        }
        // The one that was given counts, though the cluster may have another of its name.
        objects.extend(found.into_iter().filter(|it| title(it) != title(&template)));
    }
    let templates = snapshot::templates(&objects, &cluster.namespace);
    let (run, unused) = build(&template, &templates, args)?;
    for name in unused {
        let title = title(&template);
        output::complain(&format!(
            "Warning: --argument {name}: {title} declares no such argument, it is left out"
        ));
    }
    create(cluster, &cluster::ANALYSIS_RUNS, &run).await?;
    Ok(())
}

fn title(template: &Value) -> String {
    let name = text(template, "/metadata/name");
    format!("{} {name}", text(template, "/kind"))
}

/// The template that the flags name, in the namespace of the connection.
async fn template(cluster: &Cluster, args: &CreateRunArgs) -> Result<Value> {
    let mut template = match (&args.from, &args.from_file) {
        (Some(name), _) => {
            let kind = if args.global {
                &cluster::CLUSTER_ANALYSIS_TEMPLATES
            } else {
                &cluster::ANALYSIS_TEMPLATES
            };
            let found = match args.global {
                true => cluster.get_everywhere(kind, name).await,
                false => cluster.get(kind, name).await,
            };
            let mut found = found.context("--from")?;
            found["kind"] = json!(kind.api().kind);
            found
        }
        (None, Some(file)) => from_file(args, &manifest::read(std::slice::from_ref(file))?)
            .with_context(|| format!("--from-file {}", file.display()))?,
        (None, None) => bail!("one of --from or --from-file must be specified"),
    };
    if text(&template, "/kind") != CLUSTER_TEMPLATE {
        template["metadata"]["namespace"] = json!(cluster.namespace);
    }
    Ok(template)
}

/// The only template among manifests.
fn from_file(args: &CreateRunArgs, manifests: &[Manifest]) -> Result<Value> {
    let is_template =
        |it: &&Manifest| it.is(GROUP, "AnalysisTemplate") || it.is(GROUP, CLUSTER_TEMPLATE);
    let found: Vec<&Manifest> = manifests.iter().filter(is_template).collect();
    let [manifest] = found.as_slice() else {
        bail!(
            "it must hold one AnalysisTemplate or ClusterAnalysisTemplate, and holds {}",
            found.len()
        );
    };
    ensure!(
        !args.global || manifest.is(GROUP, CLUSTER_TEMPLATE),
        "--global asks for a ClusterAnalysisTemplate, and it holds {}",
        title(&manifest.value)
    );
    let problems = check::all(std::slice::from_ref(manifest)).problems;
    match problems.first() {
        Some(problem) => Err(anyhow!("{problem}")),
        None => Ok(manifest.value.clone()),
    }
}

/// The run of a template, and the given arguments that it does not take.
///
/// # Errors
/// When it would have no name, or the template or one of its arguments is not right; the message names the field.
fn build(
    template: &Value,
    templates: &dyn TemplateLookup,
    args: &CreateRunArgs,
) -> Result<(Value, Vec<String>)> {
    let name = text(template, "/metadata/name");
    let given: Vec<Argument> = args
        .arguments
        .iter()
        .map(|(name, value)| Argument {
            name: name.clone(),
            value: Some(value.clone()),
            ..Argument::default()
        })
        .collect();
    let reference = AnalysisTemplateRef {
        template_name: Some(name.to_owned()),
        cluster_scope: (text(template, "/kind") == CLUSTER_TEMPLATE).then_some(true),
    };
    let spec = build_run_spec(&[reference], templates, &given, &[], &[]).map_err(|error| {
        let hint = match error.field.as_str() {
            "args" => " (with --argument NAME=VALUE)",
            _ => "",
        };
        anyhow!("{}: {}{hint}", title(template), error.message)
    })?;
    let taken: Vec<&str> = spec
        .args
        .iter()
        .flatten()
        .map(|it| it.name.as_str())
        .collect();
    let names = args.arguments.iter().map(|(name, _)| name.clone());
    let unused = names
        .filter(|name| !taken.contains(&name.as_str()))
        .collect();
    let mut metadata = match (&args.name, &args.generate_name) {
        (Some(name), _) => json!({ "name": name }),
        (None, Some(prefix)) => json!({ "generateName": prefix }),
        (None, None) if name.is_empty() => {
            bail!("name is invalid: the template has none, so give --name or --generate-name")
        }
        (None, None) => json!({ "generateName": format!("{name}-") }),
    };
    let labels = template
        .pointer("/metadata/labels")
        .and_then(Value::as_object);
    let mut labels = labels.cloned().unwrap_or_default();
    labels.retain(|key, _| !TRACKING.contains(&key.as_str()));
    if let Some(id) = &args.instance_id {
        labels.insert(names::INSTANCE_ID.to_owned(), json!(id));
    }
    if !labels.is_empty() {
        metadata["labels"] = Value::Object(labels);
    }
    let run = json!({
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": "AnalysisRun",
        "metadata": metadata,
        "spec": spec,
    });
    Ok((run, unused))
}

#[cfg(test)]
mod tests;
