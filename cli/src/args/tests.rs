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
        "get experiment e",
        "get exp e -w --no-color",
        "get experiments e -o yaml",
        "list experiments -A",
        "list exp",
        "list experiment --watch",
        "retry experiment e f",
        "retry exp e",
        "terminate experiment e f",
        "terminate experiments e",
        "create -f file.yaml",
        "create -f one.yaml -f two.yaml",
        "create --filename file.yaml --watch",
        "create analysisrun --from template",
        "create ar --from template --global -a x=y --argument z=a=b",
        "create analysisrun --from-file f.yaml --name run",
        "create analysisrun --from-file f.yaml --generate-name run- --instance-id blue -n demo",
        "completion bash",
        "completion zsh",
        "completion fish",
        "completion powershell",
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
    assert_eq!(kind("create"), ErrorKind::MissingRequiredArgument);
    assert_eq!(
        kind("create analysisrun"),
        ErrorKind::MissingRequiredArgument
    );
    assert_eq!(
        kind("create ar --from a --from-file b"),
        ErrorKind::ArgumentConflict
    );
    assert_eq!(kind("completion tcsh"), ErrorKind::InvalidValue);
    let text = read("create ar").unwrap_err().to_string();
    assert!(
        text.contains("--from <TEMPLATE_NAME>|--from-file <FILE>"),
        "{text}"
    );
    let text = read("create ar --from a -a x").unwrap_err().to_string();
    assert!(
        text.contains("arguments must be in the form NAME=VALUE"),
        "{text}"
    );
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
    for line in ["dashboard -p 3100", "notifications template get"] {
        assert!(read(line).is_ok(), "{line}: {}", read(line).unwrap_err());
    }
}
