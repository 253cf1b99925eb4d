//! The YAML reader against Go's own (the one inside helm): a manifest must mean here what it means to `kubectl apply`.

use serde_json::{Value, json};
use sluice_gitops_sources::yaml;

use crate::common::{Bench, Repository, program};

/// Scalars of the kinds on which YAML readers differ, then pseudo-random ones.
fn scalars() -> Vec<String> {
    let listed = "on off On OFF oN yes no Yes NO y n Y N true True TRUE tRUE false ~ null Null NULL nULL 0 00 0644 0o17 \
                  0O17 08 09.5 0x1F 0X1f 0xg 0b101 0B101 -0b11 +0b1 0b2 1_000 _1 1_ 1__0 0_7 0x_1 +7 -12 --1 +-1 1.0 1e3 \
                  1E-2 1.5 .5 -.5 +.5 .5e1 1. -1. . .. ... 1.2.3 1:30 12:30:45 2001-01-01 2001-1-1 2001-01-01T00:00:00Z \
                  100m 1Gi 1e 1e+ e1 = -0 +0 -0.0 0.0 0e0 9007199254740993 1e16 123456789.125 Infinity NaN inf";
    let mut all: Vec<String> = listed.split_whitespace().map(str::to_owned).collect();
    let alphabet: Vec<char> = "0123456789abcdefxob_+-.~eEnNyYtTrRuUsSlLoOfF"
        .chars()
        .collect();
    let mut state = 0x5EED_u64;
    let mut next = move |bound: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % bound
    };
    for _ in 0..4000 {
        let length = 1 + next(6);
        all.push(
            (0..length)
                .map(|_| alphabet[next(alphabet.len())])
                .collect(),
        );
    }
    // Marks of documents and entries are no scalars.
    all.retain(|text| text != "-" && text != "---" && text != "...");
    all
}

#[tokio::test]
async fn plain_scalars_keys_and_merges_mean_the_same_to_go() {
    program("helm");
    let mut text = String::from("scalars:\n");
    let scalars = scalars();
    for scalar in &scalars {
        text.push_str(&format!("- {scalar}\n"));
    }
    text.push_str("keys: {on: 1, 0x10: 2, 1.5: 3, text: 4, 'y': 5}\n");
    text.push_str("twice: {a: 1, a: 2}\n");
    text.push_str("base: &b {p: 1, q: 1}\nother: &o {q: 2, r: 2}\nmerged: {<<: [*b, *o], p: 3}\n");
    text.push_str("tags: [!!str 12, !!int '7', !!float 2, 'quoted', \"on\"]\n");
    text.push_str("block: |\n  on\n  off\nfolded: >-\n  a\n  b\n\n  c\n");

    let repository = Repository::with(&[
        (
            "chart/Chart.yaml",
            "apiVersion: v2\nname: web\nversion: 1.0.0\n",
        ),
        ("chart/probe.yaml", &text),
        (
            "chart/templates/c.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {json: {{ .Files.Get \"probe.yaml\" | fromYaml | toJson | quote }}}\n",
        ),
    ]);
    let rendered = Bench::new()
        .render(&repository, json!({"repoURL": "x", "path": "chart"}))
        .await
        .unwrap();
    let go: Value =
        serde_json::from_str(rendered.objects[0]["data"]["json"].as_str().unwrap()).unwrap();
    assert_eq!(go.get("Error"), None, "{go}");
    let ours = yaml::parse_one(&text).unwrap();
    for (index, scalar) in scalars.iter().enumerate() {
        let (go, ours) = (&go["scalars"][index], &ours["scalars"][index]);
        let same = match (go.as_f64(), ours.as_f64()) {
            (Some(go), Some(ours)) => (go - ours).abs() <= go.abs() * 1e-15,
            _ => go == ours,
        };
        assert!(same, "{scalar:?} is {go} to Go and {ours} here");
    }
    for part in ["keys", "twice", "merged", "tags", "block", "folded"] {
        assert_eq!(go[part], ours[part], "{part}");
    }
}
