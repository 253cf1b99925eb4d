//! Repositories that mean harm.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use crate::common::{Bench, Repository, config_map};
use crate::http::{Content, Server};
use serde_json::{Value, json};

async fn kind(bench: &Bench, repository: &Repository, source: Value) -> (&'static str, String) {
    match bench.render(repository, source).await {
        Ok(rendered) => ("rendered", format!("{rendered:?}")),
        Err(error) => (error.kind(), error.to_string()),
    }
}

fn plain(path: &str) -> Value {
    json!({"repoURL": "x", "path": path})
}

#[tokio::test]
async fn a_symbolic_link_out_of_the_repository_refuses_the_commit() {
    for target in [
        "/etc/passwd",
        "../../../../etc/passwd",
        "../.git/config",
        "/proc/self/environ",
    ] {
        let repository = Repository::with(&[("app/a.yaml", &config_map("a"))]);
        repository.link("app/b.yaml", target);
        repository.commit(&[]);
        let bench = Bench::new();
        let (kind, message) = kind(&bench, &repository, plain("app")).await;
        // `../.git` is inside the author's repository, and simply not there in a checkout.
        let expected = if target.contains(".git") {
            "PathNotFound"
        } else {
            "PathOutsideRepository"
        };
        assert_eq!(kind, expected, "{target}: {message}");
        assert!(message.contains("app/b.yaml"), "{message}");
    }
}

#[tokio::test]
async fn a_linked_folder_does_not_lead_out() {
    let repository = Repository::with(&[("a.yaml", &config_map("a"))]);
    repository.link("app", "/etc");
    repository.commit(&[]);
    assert_eq!(
        kind(&Bench::new(), &repository, plain("app")).await.0,
        "PathOutsideRepository"
    );
}

#[tokio::test]
async fn the_path_of_the_source_does_not_lead_out() {
    let repository = Repository::with(&[("app/a.yaml", &config_map("a"))]);
    let bench = Bench::new();
    for path in ["..", "../..", "app/../../x", "/etc", "/"] {
        let (kind, message) = kind(&bench, &repository, plain(path)).await;
        assert_eq!(kind, "PathOutsideRepository", "{path}: {message}");
        assert!(message.contains("spec.source.path"), "{message}");
    }
    assert_eq!(
        kind(&bench, &repository, plain("app/../app")).await.0,
        "rendered"
    );
}

fn chart() -> Repository {
    crate::common::program("helm");
    Repository::with(&[
        (
            "chart/Chart.yaml",
            "apiVersion: v2\nname: web\nversion: 1.0.0\n",
        ),
        (
            "chart/templates/c.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {all: {{ .Values | toJson | quote }}}\n",
        ),
    ])
}

#[tokio::test]
async fn values_files_do_not_lead_out() {
    let repository = chart();
    // A name that helm would split at the comma into two files.
    repository.commit(&[
        ("chart/v.yaml", "a: 1"),
        ("chart/v.yaml,/etc/passwd", "a: 1"),
    ]);
    let bench = Bench::new();
    for (entry, expected) in [
        ("../../../../../etc/passwd", "PathOutsideRepository"),
        ("/../../../etc/passwd", "PathOutsideRepository"),
        ("/etc/passwd", "PathNotFound"),
        ("file:///etc/passwd", "Unsupported"),
        ("https://example.com/values.yaml", "Unsupported"),
        ("HTTP://example.com/values.yaml", "Unsupported"),
        ("secrets://x", "Unsupported"),
        ("v.yaml,/etc/passwd", "Invalid"),
    ] {
        for helm in [
            json!({"valueFiles": [entry]}),
            json!({"fileParameters": [{"name": "x", "path": entry}]}),
        ] {
            let (kind, message) = kind(
                &bench,
                &repository,
                json!({"repoURL": "x", "path": "chart", "helm": helm}),
            )
            .await;
            assert_eq!(kind, expected, "{entry}: {message}");
        }
    }
    let sneaky = json!({"fileParameters": [{"name": "a=/etc/passwd,b", "path": "v.yaml"}]});
    let source = json!({"repoURL": "x", "path": "chart", "helm": sneaky});
    assert_eq!(kind(&bench, &repository, source).await.0, "Invalid");
}

#[tokio::test]
async fn missing_values_may_not_hide_an_escape() {
    let repository = chart();
    let helm = json!({"valueFiles": ["../../../x.yaml"], "ignoreMissingValueFiles": true});
    let source = json!({"repoURL": "x", "path": "chart", "helm": helm});
    assert_eq!(
        kind(&Bench::new(), &repository, source).await.0,
        "PathOutsideRepository"
    );
}

#[tokio::test]
async fn kustomizations_do_not_lead_out_or_to_other_servers() {
    crate::common::program("kustomize");
    let files = tempfile::tempdir().unwrap();
    std::fs::write(files.path().join("c.yaml"), config_map("remote")).unwrap();
    let server = Server::start(Content::Files(files.path().into()), None).await;
    let remote = server.url("c.yaml");
    let bench = Bench::new();
    for (text, expected) in [
        (format!("resources: ['{remote}']"), "Unsupported"),
        (
            "resources: ['github.com/org/repo//path?ref=v1']".into(),
            "Unsupported",
        ),
        (
            "resources: ['git@host.example.com:org/repo']".into(),
            "Unsupported",
        ),
        (
            "resources: ['git::https://example.com/x']".into(),
            "Unsupported",
        ),
        (format!("components: ['{remote}']"), "Unsupported"),
        (
            format!("resources: [c.yaml]\npatches: [{{path: '{remote}'}}]"),
            "Unsupported",
        ),
        (
            format!("resources: [c.yaml]\npatchesStrategicMerge: ['{remote}']"),
            "Unsupported",
        ),
        (
            format!("configMapGenerator: [{{name: x, files: ['k={remote}']}}]"),
            "Unsupported",
        ),
        (
            format!("resources: [c.yaml]\nopenapi: {{path: '{remote}'}}"),
            "Unsupported",
        ),
        (
            format!(
                "resources: [c.yaml]\ntransformers:\n- |-\n  apiVersion: builtin\n  kind: PatchTransformer\n  metadata: {{name: p}}\n  path: '{remote}'\n"
            ),
            "Unsupported",
        ),
        ("resources: [../../outside]".into(), "PathOutsideRepository"),
        ("resources: [/etc]".into(), "PathOutsideRepository"),
        (
            "configMapGenerator: [{name: x, files: [../../../../../etc/passwd]}]".into(),
            "PathOutsideRepository",
        ),
        (
            "configMapGenerator: [{name: x, files: [/etc/passwd]}]".into(),
            "PathOutsideRepository",
        ),
        (
            "secretGenerator: [{name: x, envs: [/proc/self/environ]}]".into(),
            "PathOutsideRepository",
        ),
        (
            "configMapGenerator: [{name: x, files: [../secret.txt]}]".into(),
            "RenderFailed",
        ),
        (
            "helmCharts: [{name: x, repo: 'https://example.com'}]".into(),
            "Unsupported",
        ),
    ] {
        let repository = Repository::with(&[
            ("app/c.yaml", &config_map("c")),
            ("secret.txt", "s"),
            ("app/kustomization.yaml", &text),
        ]);
        let (kind, message) = kind(&bench, &repository, plain("app")).await;
        assert_eq!(kind, expected, "{text}: {message}");
    }
    assert!(
        server.requests.lock().unwrap().is_empty(),
        "{:?}",
        server.requests.lock().unwrap()
    );
}

#[tokio::test]
async fn a_base_is_checked_like_the_overlay() {
    crate::common::program("kustomize");
    let repository = Repository::with(&[
        ("app/kustomization.yaml", "resources: [../base]"),
        (
            "base/kustomization.yaml",
            "resources: ['https://example.com/x.yaml']",
        ),
    ]);
    let (kind, message) = kind(&Bench::new(), &repository, plain("app")).await;
    assert_eq!(kind, "Unsupported");
    assert!(
        message.contains("base/kustomization.yaml: resources[0]"),
        "{message}"
    );
}

#[tokio::test]
async fn too_much_is_refused_before_it_is_written_or_read() {
    let repository = Repository::with(&[
        (
            "app/a.yaml",
            &format!("# {}\n{}", "x".repeat(60_000), config_map("a")),
        ),
        (
            "app/b.yaml",
            &format!("# {}\n{}", "y".repeat(60_000), config_map("b")),
        ),
    ]);
    let directory = Bench::with(|config| config.limits.directory_bytes = 100_000);
    let (kind_found, message) = kind(&directory, &repository, plain("app")).await;
    assert!(
        kind_found == "TooLarge" && message.contains("the manifests in app"),
        "{message}"
    );
    let files = Bench::with(|config| config.limits.checkout_files = 1);
    assert_eq!(kind(&files, &repository, plain("app")).await.0, "TooLarge");
    let bytes = Bench::with(|config| config.limits.checkout_bytes = 50_000);
    assert_eq!(kind(&bytes, &repository, plain("app")).await.0, "TooLarge");
    let noise: String = (0..40_000_u64)
        .map(|n| format!("{:x}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15)))
        .collect();
    repository.commit(&[("noise.txt", &noise)]);
    let whole = Bench::with(|config| config.limits.repository_bytes = 40_000);
    let (kind_found, message) = kind(&whole, &repository, plain("app")).await;
    assert_eq!(kind_found, "TooLarge", "{message}");
}

#[tokio::test]
async fn an_alias_bomb_is_refused() {
    let mut text = String::from(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\na0: &a0 [x,x,x,x,x,x,x,x,x,x]\n",
    );
    for level in 1..20 {
        let items = vec![format!("*a{}", level - 1); 10].join(",");
        text.push_str(&format!("a{level}: &a{level} [{items}]\n"));
    }
    let repository = Repository::with(&[("app/a.yaml", &text)]);
    let (kind, message) = kind(&Bench::new(), &repository, plain("app")).await;
    assert!(
        kind == "ManifestInvalid" && message.contains("aliases"),
        "{message}"
    );
}

#[tokio::test]
async fn a_hanging_tool_is_stopped_and_the_next_rendering_works() {
    let folder = tempfile::tempdir().unwrap();
    let fake = folder.path().join("helm");
    std::fs::write(&fake, "#!/bin/sh\n/bin/sleep 600 &\nwait\n").unwrap();
    std::fs::set_permissions(&fake, std::fs::Permissions::from_mode(0o755)).unwrap();
    let bench = Bench::with(|config| {
        config.helm = fake;
        config.timeouts.render = Duration::from_secs(2);
        config.concurrency = 1;
    });
    let repository = chart();
    repository.commit(&[("app/a.yaml", &config_map("a"))]);
    let (kind_found, message) = kind(&bench, &repository, plain("chart")).await;
    assert!(
        kind_found == "Timeout" && message.contains("helm template"),
        "{message}"
    );
    assert_eq!(kind(&bench, &repository, plain("app")).await.0, "rendered");
}

#[tokio::test]
async fn endless_output_of_a_tool_is_cut_off() {
    let repository = chart();
    repository.commit(&[(
        "chart/templates/c.yaml",
        "{{ range until 100000 }}\n---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c{{ . }}}\n{{ end }}",
    )]);
    let bench = Bench::with(|config| config.limits.rendered_bytes = 100_000);
    assert_eq!(
        kind(&bench, &repository, plain("chart")).await.0,
        "TooLarge"
    );
}

#[tokio::test]
async fn the_tools_see_no_secret_of_the_controller() {
    // Whatever a template can print is what its environment and its files hold.
    let folder = tempfile::tempdir().unwrap();
    let fake = folder.path().join("helm");
    let script = "#!/bin/sh\nprintf 'apiVersion: v1\\nkind: ConfigMap\\nmetadata: {name: e}\\ndata:\\n'\n/usr/bin/env | sed 's/=.*//; s/^/  /; s/$/: x/'\n";
    std::fs::write(&fake, script.replace("sed", "/usr/bin/sed")).unwrap();
    std::fs::set_permissions(&fake, std::fs::Permissions::from_mode(0o755)).unwrap();
    let bench = Bench::with(|config| config.helm = fake);
    let rendered = bench.render(&chart(), plain("chart")).await.unwrap();
    let data = rendered.objects[0]["data"].as_object().unwrap();
    for name in data.keys() {
        let known = [
            "PATH", "HOME", "TMPDIR", "LC_ALL", "PWD", "OLDPWD", "SHLVL", "_",
        ]
        .contains(&name.as_str())
            || [
                "ARGOCD_",
                "KUBE_VERSION",
                "KUBE_API_VERSIONS",
                "HELM_",
                "XDG_",
            ]
            .iter()
            .any(|start| name.starts_with(start))
            || name.to_uppercase().ends_with("_PROXY");
        assert!(known, "{name} is inherited");
    }
}
