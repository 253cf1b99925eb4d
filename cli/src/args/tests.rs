//! Command lines that people and scripts use with the other plugin are understood.

use clap::error::ErrorKind;

use super::*;

fn read(line: &str) -> Result<Command, clap::Error> {
    let words = ["kubectl-sluice"]
        .into_iter()
        .chain(line.split_whitespace());
    Cli::try_parse_from(words).map(|cli| cli.command)
}

#[test]
fn the_definition_is_consistent() {
    Cli::command().debug_assert();
}

#[test]
fn the_other_plugins_command_lines_are_understood() {
    for line in [
        "get rollout web",
        "get ro web -w",
        "get rollouts web --watch --no-color --timeout-seconds 60",
        "list rollouts -A",
        "list ro --all-namespaces --timestamps -w",
        "list rollout --name web",
        "status web",
        "status web -w=false",
        "status web --watch=false --timeout 60s",
        "status web -t 5m",
        "promote web",
        "promote web --full",
        "promote web -c",
        "promote web -a",
        "abort web api",
        "retry rollout web",
        "retry ro web",
        "retry rollouts web",
        "undo web",
        "undo web --to-revision=3",
        "pause web",
        "restart web",
        "restart web -i 10s",
        "restart web --in 10s",
        "set image web web=shop/web:v2",
        "set image web *=shop/web:v2",
        "terminate analysisrun run",
        "terminate ar run",
        "terminate analysisruns one two",
        "lint -f rollout.yaml",
        "version --short",
        "-n demo get rollout web",
        "get rollout web -n demo --context kind --kubeconfig /k --as admin --request-timeout 30s",
        "get rollout web --loglevel debug -v 9 -s https://host --token t",
        "list rollouts --insecure-skip-tls-verify --as-group a --as-group b",
    ] {
        assert!(read(line).is_ok(), "{line}: {}", read(line).unwrap_err());
    }
}

#[test]
fn status_waits_unless_it_is_told_not_to() {
    let watch = |line: &str| match read(line).unwrap() {
        Command::Status(args) => (args.watch, args.timeout),
        other => panic!("{other:?}"),
    };
    assert_eq!(watch("status web"), (true, 0));
    assert_eq!(watch("status web -w"), (true, 0));
    assert_eq!(watch("status web --watch=false -t 2m"), (false, 120));
    assert_eq!(watch("status -w web"), (true, 0));
}

#[test]
fn wrong_command_lines_are_refused_with_a_hint() {
    let kind = |line: &str| read(line).unwrap_err().kind();
    assert_eq!(kind("get rollout"), ErrorKind::MissingRequiredArgument);
    assert_eq!(kind("get rollout web --wach"), ErrorKind::UnknownArgument);
    assert_eq!(kind("gett rollout web"), ErrorKind::InvalidSubcommand);
    assert_eq!(kind("promote web --full -c"), ErrorKind::ArgumentConflict);
    assert_eq!(kind("status web -t soon"), ErrorKind::ValueValidation);
    let text = read("status web -t soon").unwrap_err().to_string();
    assert!(
        text.contains("write whole seconds (30) or a Go duration"),
        "{text}"
    );
    let text = read("get rollout web --wach").unwrap_err().to_string();
    assert!(text.contains("--watch"), "{text}");
}

#[test]
fn what_is_left_to_others_is_recognized_with_all_its_flags() {
    for line in [
        "create -f file.yaml",
        "create analysisrun --from template -a x=y",
        "dashboard -p 3100",
        "notifications template get",
        "completion bash",
        "get experiment e -w",
        "list exp -A",
    ] {
        assert!(read(line).is_ok(), "{line}: {}", read(line).unwrap_err());
    }
}
