//! API servers for test programs: several at once, with and without controllers, gone when they are dropped.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use sluice_e2e::cluster::control_plane;

const CRD: &str = "
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gates.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Gate, plural: gates, singular: gate}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              properties: {open: {type: integer, maximum: 100}}
";

#[tokio::test]
#[ignore = "needs the programs of `cargo xtask install`"]
async fn two_run_side_by_side_and_end_when_dropped() -> Result<()> {
    let (one, two) = tokio::try_join!(control_plane(false), control_plane(false))?;
    one.apply_crds(CRD).await?;
    let namespace = one.namespace("gates").await?;
    let gate = |open| {
        format!(
            "{{apiVersion: example.com/v1, kind: Gate, metadata: {{name: a}}, spec: {{open: {open}}}}}"
        )
    };
    namespace.apply_yaml(&gate(5)).await?;
    ensure!(
        namespace.apply_yaml(&gate(101)).await.is_err(),
        "the schema is not checked"
    );
    ensure!(
        two.kubectl(&["get", "gates"]).await.is_err(),
        "the second has the first one's CRD"
    );

    let pid = one.processes().pid("etcd").context("etcd does not run")?;
    let root = one.layout().root().to_owned();
    drop(namespace);
    drop(one);
    ensure!(!root.exists(), "{} is still there", root.display());
    ensure!(
        !std::path::Path::new(&format!("/proc/{pid}/root")).exists(),
        "etcd is still there"
    );
    Ok(())
}

#[tokio::test]
#[ignore = "needs the programs of `cargo xtask install`"]
async fn with_controllers_a_deployment_gets_its_pods() -> Result<()> {
    let cluster = control_plane(true).await?;
    cluster.kwok_nodes(1).await?;
    let namespace = cluster.namespace("controllers").await?;
    namespace
        .kubectl(&[
            "create",
            "deployment",
            "web",
            "--image=nothing.invalid/web:1",
            "--replicas=2",
        ])
        .await?;
    let limit = Duration::from_secs(30);
    sluice_e2e::wait::eventually("two pods", limit, || async {
        let pods = namespace.kubectl(&["get", "pods", "--no-headers"]).await?;
        ensure!(pods.lines().count() == 2, "{pods}");
        Ok(())
    })
    .await?;

    let processes = cluster.processes().names();
    let pids: Vec<u32> = processes
        .iter()
        .filter_map(|name| cluster.processes().pid(name))
        .collect();
    ensure!(pids.len() == 5, "not all of {processes:?} run");
    drop(namespace);
    drop(cluster);
    let alive = |pid: &&u32| std::path::Path::new(&format!("/proc/{pid}/root/.")).exists();
    let left: Vec<&u32> = pids.iter().filter(alive).collect();
    ensure!(left.is_empty(), "{left:?} of {processes:?} are still there");
    Ok(())
}
