//! The cluster itself, before anything of the product runs on it: pods, Services, names, routers, metrics, Git.
//!
//! These need a cluster that is up (`cargo xtask cluster up`); each works in a namespace of its own.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use sluice_e2e::cluster::image::Image;
use sluice_e2e::cluster::{BUSYBOX_IMAGE, Cluster, Namespace};
use sluice_e2e::wait::eventually;

/// Long enough for a pod on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// A web server that answers with its own name: pod, Service and, if asked for, an annotation for Prometheus.
fn server(name: &str) -> String {
    format!(
        r#"
apiVersion: v1
kind: Pod
metadata:
  name: {name}
  labels: {{app: {name}}}
  annotations: {{prometheus.io/scrape: "true", prometheus.io/port: "8080", prometheus.io/path: /metrics}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: web
      image: {BUSYBOX_IMAGE}
      imagePullPolicy: Never
      args:
        - -c
        - |
          mkdir -p /tmp/www
          echo {name} >/tmp/www/index.html
          echo 'answer{{of="everything"}} 42' >/tmp/www/metrics
          echo started
          exec httpd -f -p 8080 -h /tmp/www
      ports: [{{containerPort: 8080, name: http}}]
      readinessProbe: {{tcpSocket: {{port: 8080}}, periodSeconds: 1}}
---
apiVersion: v1
kind: Service
metadata: {{name: {name}}}
spec:
  selector: {{app: {name}}}
  ports: [{{name: http, port: 80, targetPort: 8080}}]
"#
    )
}

async fn ready(namespace: &Namespace, pods: &[&str]) -> Result<()> {
    for pod in pods {
        let pod = format!("pod/{pod}");
        namespace
            .kubectl(&["wait", "--for=condition=Ready", &pod, "--timeout=60s"])
            .await?;
    }
    Ok(())
}

/// Asks `url` under the name of `host` so often, and counts the answers by their text.
async fn count(url: &str, host: &str, requests: usize) -> Result<Vec<(String, usize)>> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let mut counts = std::collections::BTreeMap::new();
    for _ in 0..requests {
        let answer = client.get(url).header("Host", host).send().await?;
        let status = answer.status();
        let text = answer.text().await?.trim().to_owned();
        let key = if status.is_success() {
            text
        } else {
            status.to_string()
        };
        *counts.entry(key).or_insert(0) += 1;
    }
    Ok(counts.into_iter().collect())
}

#[tokio::test]
#[ignore = "needs the cluster of `cargo xtask cluster up`"]
async fn a_pod_runs_logs_and_executes() -> Result<()> {
    let cluster = Cluster::current()?;
    let namespace = cluster.namespace("pod").await?;
    namespace.apply_yaml(&server("one")).await?;
    ready(&namespace, &["one"]).await?;
    ensure!(
        namespace
            .kubectl(&["logs", "one"])
            .await?
            .contains("started")
    );
    let answer = namespace
        .kubectl(&["exec", "one", "--", "cat", "/tmp/www/index.html"])
        .await?;
    ensure!(answer.trim() == "one", "{answer}");
    Ok(())
}

#[tokio::test]
#[ignore = "needs the cluster of `cargo xtask cluster up`"]
async fn a_service_leads_pods_and_the_machine_to_its_pods() -> Result<()> {
    let cluster = Cluster::current()?;
    let namespace = cluster.namespace("service").await?;
    namespace
        .apply_yaml(&(server("one") + "---" + &server("two")))
        .await?;
    ready(&namespace, &["one", "two"]).await?;
    let address = namespace
        .kubectl(&[
            "get",
            "service",
            "two",
            "--output=jsonpath={.spec.clusterIP}",
        ])
        .await?;
    let url = format!("http://{address}/");
    eventually("the Service to answer this machine", SOON, || async {
        let counts = count(&url, "two", 3).await?;
        ensure!(counts == [("two".to_owned(), 3)], "{counts:?}");
        Ok(())
    })
    .await?;
    // From another pod, and from its own pod back to itself.
    for pod in ["one", "two"] {
        let ask = format!("printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 5 {address} 80");
        let answer = namespace
            .kubectl(&["exec", pod, "--", "/bin/sh", "-c", &ask])
            .await?;
        ensure!(answer.contains("two"), "{pod} got {answer}");
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs the cluster of `cargo xtask cluster up`"]
async fn names_of_services_resolve_and_others_do_not_exist() -> Result<()> {
    ensure!(resolve("kubernetes.default.svc.cluster.local").await? == Some([10, 96, 0, 1]));
    ensure!(
        resolve("prometheus.monitoring.svc.cluster.local")
            .await?
            .is_some()
    );
    ensure!(resolve("example.com").await?.is_none());
    Ok(())
}

/// Asks the Service `kube-dns` for an address; nothing when the name does not exist.
async fn resolve(name: &str) -> Result<Option<[u8; 4]>> {
    let mut query = vec![0x53, 0x4c, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for part in name.split('.') {
        query.push(u8::try_from(part.len())?);
        query.extend(part.bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    let socket = tokio::net::UdpSocket::bind("0.0.0.0:0").await?;
    socket.connect("10.96.0.10:53").await?;
    socket.send(&query).await?;
    let mut answer = [0; 512];
    let length = tokio::time::timeout(Duration::from_secs(5), socket.recv(&mut answer)).await??;
    let code = answer[3] & 15;
    ensure!(code == 0 || code == 3, "the answer's code is {code}");
    let found = answer[7] > 0;
    Ok(found.then(|| answer[length - 4..length].try_into().unwrap_or_default()))
}

#[tokio::test]
#[ignore = "needs the cluster of `cargo xtask cluster up`"]
async fn the_weights_of_a_route_can_be_counted() -> Result<()> {
    let cluster = Cluster::current()?;
    let namespace = cluster.namespace("route").await?;
    namespace
        .apply_yaml(&(server("stable") + "---" + &server("canary")))
        .await?;
    let host = format!("{}.example.com", namespace.name());
    namespace
        .apply_yaml(&format!(
            "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {{name: web}}
spec:
  parentRefs: [{{name: traefik, namespace: traefik}}]
  hostnames: [{host}]
  rules:
    - backendRefs:
        - {{name: stable, port: 80, weight: 90}}
        - {{name: canary, port: 80, weight: 10}}
"
        ))
        .await?;
    ready(&namespace, &["stable", "canary"]).await?;
    weights_hold(&cluster, &host, 10).await
}

#[tokio::test]
#[ignore = "needs the cluster of `cargo xtask cluster up`"]
async fn the_weight_of_a_canary_ingress_can_be_counted() -> Result<()> {
    let cluster = Cluster::current()?;
    let namespace = cluster.namespace("ingress").await?;
    namespace
        .apply_yaml(&(server("stable") + "---" + &server("canary")))
        .await?;
    let host = format!("{}.example.com", namespace.name());
    for (name, annotations) in [
        ("stable", "{}"),
        (
            "canary",
            r#"{nginx.ingress.kubernetes.io/canary: "true", nginx.ingress.kubernetes.io/canary-weight: "20"}"#,
        ),
    ] {
        namespace
            .apply_yaml(&format!(
                "
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {{name: {name}, annotations: {annotations}}}
spec:
  ingressClassName: nginx
  rules:
    - host: {host}
      http:
        paths:
          - {{path: /, pathType: Prefix, backend: {{service: {{name: {name}, port: {{number: 80}}}}}}}}
"
            ))
            .await?;
    }
    ready(&namespace, &["stable", "canary"]).await?;
    weights_hold(&cluster, &host, 20).await
}

#[tokio::test]
#[ignore = "needs the cluster of `cargo xtask cluster up`"]
async fn the_weights_of_a_traefik_service_can_be_counted() -> Result<()> {
    let cluster = Cluster::current()?;
    let namespace = cluster.namespace("traefik").await?;
    namespace
        .apply_yaml(&(server("stable") + "---" + &server("canary")))
        .await?;
    let host = format!("{}.example.com", namespace.name());
    namespace
        .apply_yaml(&format!(
            "
apiVersion: traefik.io/v1alpha1
kind: TraefikService
metadata: {{name: web}}
spec:
  weighted:
    services:
      - {{name: stable, port: 80, weight: 70}}
      - {{name: canary, port: 80, weight: 30}}
---
apiVersion: traefik.io/v1alpha1
kind: IngressRoute
metadata: {{name: web}}
spec:
  routes:
    - kind: Rule
      match: Host(`{host}`)
      services: [{{kind: TraefikService, name: web}}]
"
        ))
        .await?;
    ready(&namespace, &["stable", "canary"]).await?;
    weights_hold(&cluster, &host, 30).await
}

/// Counts until 200 requests show the wanted share for the canary, give or take two points.
async fn weights_hold(cluster: &Cluster, host: &str, canary: usize) -> Result<()> {
    let url = cluster.web_url();
    eventually("the weights", SOON, || async {
        let counts = count(&url, host, 200).await?;
        let of = |name: &str| {
            counts
                .iter()
                .find(|(n, _)| n == name)
                .map_or(0, |(_, count)| *count)
        };
        ensure!(of("stable") + of("canary") == 200, "{counts:?}");
        ensure!(of("canary").abs_diff(canary * 2) <= 4, "{counts:?}");
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs the cluster of `cargo xtask cluster up`"]
async fn prometheus_scrapes_annotated_pods_and_the_router() -> Result<()> {
    let cluster = Cluster::current()?;
    let namespace = cluster.namespace("metrics").await?;
    namespace.apply_yaml(&server("one")).await?;
    ready(&namespace, &["one"]).await?;
    let own = format!("answer{{namespace=\"{}\",app=\"one\"}}", namespace.name());
    for (query, value) in [(own.as_str(), "42"), ("up{job=\"traefik\"}", "1")] {
        eventually(&format!("the value of {query}"), SOON, || async {
            let url = format!("{}/api/v1/query", cluster.prometheus_url());
            let client = reqwest::Client::builder().no_proxy().build()?;
            let answer: Value = client
                .get(url)
                .query(&[("query", query)])
                .send()
                .await?
                .json()
                .await?;
            let found = answer["data"]["result"][0]["value"][1].as_str();
            ensure!(found == Some(value), "{answer}");
            Ok(())
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
#[ignore = "needs the cluster of `cargo xtask cluster up`"]
async fn git_is_pushed_and_cloned_over_http_and_survives_its_servers_end() -> Result<()> {
    let cluster = Cluster::current()?;
    let repository = cluster.repository("harness").await?;
    // More than git's buffer, so that the push is sent in chunks.
    let large: String = (0..400_000_u64)
        .map(|n| format!("{:x}\n", n.wrapping_mul(0x9e37_79b9_7f4a)))
        .collect();
    let first = repository
        .push(
            "one",
            &[("app/a.yaml", Some("a: 1\n")), ("large", Some(&large))],
        )
        .await?;
    cluster.processes().kill("git-server").await?;
    ensure!(
        repository
            .push("two", &[("app/a.yaml", Some("a: 2\n"))])
            .await
            .is_err()
    );
    cluster.processes().start("git-server")?;
    let clone = tempfile::tempdir()?;
    let path = clone.path().join("clone").display().to_string();
    eventually("the Git server", SOON, || async {
        let _ = std::fs::remove_dir_all(&path);
        repository
            .git(&["clone", "--quiet", &repository.url, &path])
            .await
            .map(drop)
    })
    .await?;
    let head = repository.git(&["-C", &path, "rev-parse", "HEAD"]).await?;
    ensure!(head.trim() == first, "{head}");
    let text = std::fs::read_to_string(format!("{path}/app/a.yaml"))?;
    ensure!(text == "a: 1\n", "{text}");
    Ok(())
}

#[tokio::test]
#[ignore = "needs the cluster of `cargo xtask cluster up`"]
async fn git_in_an_image_of_ours_clones_by_the_name_of_a_service() -> Result<()> {
    let cluster = Cluster::current()?;
    let repository = cluster.repository("harness-image").await?;
    repository
        .push("one", &[("a.yaml", Some("a: 1\n"))])
        .await?;
    let image = Image::new("sluice.local/harness-git:1")
        .program("/bin/busybox", "/bin/busybox".as_ref())
        .link("/bin/sh", "busybox")
        .directory("/tmp", 0o1777)
        .file(
            "/etc/passwd",
            0o644,
            "nonroot:x:65532:65532::/tmp:/bin/sh\n",
        )
        .env("HOME", "/tmp")
        .env("PATH", "/usr/bin:/bin")
        .user("65532:65532")
        .program_with_libraries("/usr/bin/git", "/usr/bin/git".as_ref())
        .await?
        .program_with_libraries(
            "/usr/lib/git-core/git-remote-http",
            "/usr/lib/git-core/git-remote-http".as_ref(),
        )
        .await?;
    cluster.import(&image).await?;
    let namespace = cluster.namespace("image").await?;
    namespace
        .apply_yaml(&format!(
            "
apiVersion: v1
kind: Pod
metadata: {{name: clone}}
spec:
  restartPolicy: Never
  securityContext: {{runAsNonRoot: true}}
  containers:
    - name: git
      image: {}
      imagePullPolicy: IfNotPresent
      command: [/bin/sh, -c, 'git clone http://git.git/harness-image.git /tmp/x && /bin/busybox cat /tmp/x/a.yaml']
",
            image.name()
        ))
        .await?;
    eventually("the clone in the pod", SOON, || async {
        let log = namespace.kubectl(&["logs", "clone"]).await?;
        ensure!(log.contains("a: 1"), "{log}");
        Ok(())
    })
    .await
}

#[tokio::test]
#[ignore = "needs the cluster of `cargo xtask cluster up`"]
async fn a_pod_reaches_the_api_server_and_nothing_outside_of_the_machine() -> Result<()> {
    let cluster = Cluster::current()?;
    let namespace = cluster.namespace("fence").await?;
    namespace.apply_yaml(&server("one")).await?;
    ready(&namespace, &["one"]).await?;
    let connect = |address: &str| format!("nc -w 3 {address} </dev/null");
    let run = |script: String| {
        let namespace = &namespace;
        async move {
            namespace
                .kubectl(&["exec", "one", "--", "/bin/sh", "-c", &script])
                .await
        }
    };
    run(connect("10.96.0.1 443")).await?;
    ensure!(
        run(connect("192.0.2.1 80")).await.is_err(),
        "a pod's packets leave the machine"
    );
    Ok(())
}

#[tokio::test]
#[ignore = "needs the cluster of `cargo xtask cluster up`"]
async fn simulated_nodes_run_pods_without_containers() -> Result<()> {
    let cluster = Cluster::current()?;
    cluster.kwok_nodes(2).await?;
    let namespace = cluster.namespace("simulated").await?;
    namespace
        .apply_yaml(
            "
apiVersion: apps/v1
kind: Deployment
metadata: {name: many}
spec:
  replicas: 50
  selector: {matchLabels: {app: many}}
  template:
    metadata: {labels: {app: many}}
    spec:
      nodeSelector: {type: kwok}
      tolerations: [{key: kwok.x-k8s.io/node, operator: Exists}]
      containers: [{name: app, image: nothing.invalid/app:1}]
",
        )
        .await?;
    namespace
        .kubectl(&["rollout", "status", "deployment/many", "--timeout=60s"])
        .await?;
    Ok(())
}

#[tokio::test]
#[ignore = "needs the cluster of `cargo xtask cluster up`"]
async fn an_object_that_the_api_server_refuses_is_named() -> Result<()> {
    let cluster = Cluster::current()?;
    let namespace = cluster.namespace("refused").await?;
    let error = namespace
        .apply_yaml("{apiVersion: v1, kind: Service, metadata: {name: odd}, spec: {ports: []}}")
        .await
        .err()
        .context("a Service without ports was taken")?;
    ensure!(
        format!("{error:#}").contains("cannot apply Service"),
        "{error:#}"
    );
    Ok(())
}
