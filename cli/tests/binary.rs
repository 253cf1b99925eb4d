//! The program as people and scripts call it: under both of its names, into pipes, with mistakes.

#![expect(clippy::unwrap_used, reason = "helpers of tests")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

const BINARY: &str = env!("CARGO_BIN_EXE_kubectl-sluice");

fn demo(file: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/demo");
    folder.join(file).display().to_string()
}

fn run_as(program: &Path, args: &[&str]) -> Output {
    // No test may find a cluster by accident.
    Command::new(program)
        .args(args)
        .env_remove("KUBERNETES_SERVICE_HOST")
        .env("KUBECONFIG", "/nonexistent/kubeconfig")
        .env("HOME", "/nonexistent")
        .output()
        .unwrap()
}

fn run(args: &[&str]) -> Output {
    run_as(Path::new(BINARY), args)
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// The program under the name of the other plugin.
fn argo(folder: &Path) -> PathBuf {
    let link = folder.join("kubectl-argo-rollouts");
    std::os::unix::fs::symlink(BINARY, &link).unwrap();
    link
}

#[test]
fn help_and_version_show_the_name_that_was_called() {
    let folder = tempfile::tempdir().unwrap();
    let argo = argo(folder.path());
    let help = stdout(&run_as(&argo, &["--help"]));
    assert!(help.contains("Usage: kubectl-argo-rollouts"), "{help}");
    assert!(help.contains("kubectl argo rollouts promote web"), "{help}");
    let help = stdout(&run_as(&argo, &["get", "rollout", "--help"]));
    assert!(
        help.contains("Usage: kubectl-argo-rollouts get rollout"),
        "{help}"
    );
    let version = stdout(&run_as(&argo, &["version", "--short"]));
    assert_eq!(
        version,
        format!("kubectl-argo-rollouts: v{}\n", env!("CARGO_PKG_VERSION"))
    );

    let help = stdout(&run(&["--help"]));
    assert!(help.contains("Usage: kubectl sluice"), "{help}");
    assert!(help.contains("kubectl sluice promote web"), "{help}");
    assert!(stdout(&run(&["version"])).starts_with("kubectl-sluice: v"));
}

#[test]
fn a_wrong_command_line_ends_with_2_and_says_what_is_right() {
    for (args, hint) in [
        (&["get"][..], "rollout"),
        (&["get", "rollout"], "ROLLOUT_NAME"),
        (&["get", "rollout", "web", "--wach"], "--watch"),
        (&["simulate"], "--filename"),
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(
            stderr(&output).contains(hint),
            "{args:?}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn what_the_other_plugin_can_and_this_one_cannot_is_answered() {
    for (args, hint) in [
        (&["dashboard"][..], "get rollout NAME --watch"),
        (&["notifications", "template", "get"], "kubectl get events"),
    ] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(
            stderr(&output).contains(hint),
            "{args:?}: {}",
            stderr(&output)
        );
    }
}

#[test]
fn every_shell_gets_a_script_that_completes_the_name_that_was_called() {
    let folder = tempfile::tempdir().unwrap();
    let argo = argo(folder.path());
    for shell in ["bash", "zsh", "fish", "powershell"] {
        for (program, name) in [
            (Path::new(BINARY), "kubectl-sluice"),
            (argo.as_path(), "kubectl-argo-rollouts"),
        ] {
            let output = run_as(program, &["completion", shell]);
            assert!(output.status.success(), "{shell}: {}", stderr(&output));
            let script = stdout(&output);
            for word in [name, "experiment", "analysisrun", "watch"] {
                assert!(script.contains(word), "{shell}: {word}");
            }
        }
    }
}

#[test]
fn without_a_cluster_it_is_said_how_to_name_one() {
    let output = run(&["get", "rollout", "web"]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(
        text.starts_with("Error: no cluster: set KUBECONFIG or give --kubeconfig"),
        "{text}"
    );
    let output = run(&["get", "rollout", "web", "--kubeconfig", "/nonexistent/file"]);
    assert!(
        stderr(&output).contains("/nonexistent/file"),
        "{}",
        stderr(&output)
    );
}

fn demo_files() -> [String; 4] {
    [
        "rollout.yaml",
        "services.yaml",
        "route.yaml",
        "analysis.yaml",
    ]
    .map(demo)
}

fn simulate(more: &[&str]) -> Output {
    let files = demo_files();
    let mut args = vec!["simulate", "-f"];
    args.extend(files.iter().map(String::as_str));
    args.extend(more);
    run(&args)
}

#[test]
fn an_update_that_goes_well_is_played_to_its_end() {
    let output = simulate(&[]);
    assert!(output.status.success(), "{}", stderr(&output));
    insta::assert_snapshot!(stdout(&output));
}

#[test]
fn an_update_that_fails_is_aborted_and_ends_at_weight_0() {
    let output = simulate(&["--fail-from", "10s"]);
    assert!(output.status.success(), "{}", stderr(&output));
    insta::assert_snapshot!(stdout(&output));
}

#[test]
fn routes_have_their_moments_and_an_experiment_takes_its_time() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/experiment.yaml");
    let output = run(&["simulate", "-f", &file.display().to_string()]);
    assert!(output.status.success(), "{}", stderr(&output));
    insta::assert_snapshot!(stdout(&output));
}

#[test]
fn a_timeline_is_also_an_object() {
    let output = simulate(&["--fail-from", "10s", "-o", "json"]);
    let timeline: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(timeline["phase"], "Degraded");
    let moments = timeline["moments"].as_array().unwrap();
    assert!(moments.iter().any(|moment| moment["weight"] == 10));
    assert_eq!(moments.last().unwrap()["weight"], 0);
    let yaml = stdout(&simulate(&["-o", "yaml"]));
    assert!(yaml.contains("phase: Healthy"), "{yaml}");
}

#[test]
fn metrics_follow_a_script() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("metrics.yaml");
    std::fs::write(
        &script,
        "success-rate: [{at: 0s, value: 0.99}, {at: 30s, value: 0.5}]",
    )
    .unwrap();
    let script = script.display().to_string();
    let text = stdout(&simulate(&["--metrics", &script]));
    assert!(text.contains("Degraded after"), "{text}");
    std::fs::write(&script, "success: [{at: 0s, value: 0.99}]").unwrap();
    let output = simulate(&["--metrics", &script]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(
        text.contains("no template has a metric \"success\"; there are success-rate"),
        "{text}"
    );
    std::fs::write(&script, "success-rate: 7").unwrap();
    assert!(stderr(&simulate(&["--metrics", &script])).contains("success-rate"));
}

#[test]
fn services_and_routes_that_are_left_out_are_assumed() {
    let (rollout, analysis) = (demo("rollout.yaml"), demo("analysis.yaml"));
    let output = run(&["simulate", "-f", &rollout, "-f", &analysis]);
    let text = stdout(&output);
    assert!(text.starts_with("Assumed, since they are not among the files: HTTPRoute demo/web, Service web-canary, Service web-stable\n"), "{text}{}", stderr(&output));
    assert!(text.contains("Healthy after"), "{text}");
    let output = run(&["simulate", "-f", &rollout]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).contains("AnalysisTemplate success-rate"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_bad_manifest_is_named_with_its_field() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.yaml");
    let rollout = std::fs::read_to_string(demo("rollout.yaml")).unwrap();
    let name = file.display().to_string();
    for (from, to, hint) in [
        (
            "setWeight: 10",
            "setWeight: 110",
            "spec.strategy.canary.steps[0].setWeight",
        ),
        (
            "setWeight: 10",
            "setWeight: [10]",
            "spec.strategy.canary.steps[0].setWeight",
        ),
        (
            "duration: 25",
            "duration: soon",
            "spec.strategy.canary.steps[1].pause.duration",
        ),
        (
            "canaryService",
            "canaryServices",
            "spec.strategy.canary.canaryServices",
        ),
        ("kind: Rollout", "kind: Rollout\n\tx: y", "not valid YAML"),
    ] {
        std::fs::write(&file, rollout.replace(from, to)).unwrap();
        for command in ["simulate", "lint"] {
            let output = run(&[command, "-f", &name]);
            assert_eq!(output.status.code(), Some(1), "{command} {to}");
            let text = stdout(&output) + &stderr(&output);
            assert!(
                text.contains(&name) && text.contains(hint),
                "{command} {to}: {text}"
            );
        }
    }
    let output = run(&["simulate", "-f", "/nonexistent.yaml"]);
    assert!(
        stderr(&output).contains("cannot read /nonexistent.yaml"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn the_examples_are_without_fault() {
    let folder = demo("");
    let output = run(&["lint", "-f", &folder]);
    assert!(
        output.status.success(),
        "{}{}",
        stdout(&output),
        stderr(&output)
    );
    assert!(
        stdout(&output).ends_with("nothing is wrong\n"),
        "{}",
        stdout(&output)
    );
}

#[test]
fn a_pipe_gets_no_colours() {
    let output = simulate(&["--fail-from", "10s"]);
    assert!(!output.stdout.contains(&0x1b));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let files = demo_files();
    let mut child = Command::new(BINARY)
        .args(["simulate", "-f"])
        .args(&files)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    assert_eq!(stderr(&output), "");
}

#[test]
fn manifests_may_come_through_standard_input() {
    let all: String = demo_files()
        .iter()
        .map(|file| format!("---\n{}", std::fs::read_to_string(file).unwrap()))
        .collect();
    let mut child = Command::new(BINARY)
        .args(["lint", "-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), all.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(stdout(&output), "✔ 2 objects checked, nothing is wrong\n");
}
