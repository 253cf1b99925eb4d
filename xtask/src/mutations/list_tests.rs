//! The list must not rot: its texts are in the code, its tests exist, and no incident is without a defect.

use std::collections::BTreeSet;
use std::path::PathBuf;

use super::*;

fn root() -> PathBuf {
    sluice_e2e::product::checkout().unwrap()
}

/// All Rust files below a folder.
fn sources(folder: &Path) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else {
        return files;
    };
    for entry in entries {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            files.push((path, text));
        }
    }
    files
}

/// Names of the tests that tell an incident: `r01_…`.
fn incidents(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for line in text.lines().map(str::trim_start) {
        let rest = line.strip_prefix("async fn ").or(line.strip_prefix("fn "));
        let Some((name, _)) = rest.and_then(|rest| rest.split_once('(')) else {
            continue;
        };
        let number = name.strip_prefix('r').and_then(|rest| rest.split_once('_'));
        if number.is_some_and(|(digits, _)| digits.len() == 2 && digits.parse::<u8>().is_ok()) {
            names.push(name.to_owned());
        }
    }
    names
}

fn all_incidents() -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for crate_ in fs::read_dir(root()).unwrap() {
        let folder = crate_.unwrap().path();
        if folder.join("Cargo.toml").is_file() {
            for part in ["src", "tests", "providers/tests"] {
                for (_, text) in sources(&folder.join(part)) {
                    all.extend(incidents(&text));
                }
            }
        }
    }
    all
}

#[test]
fn every_text_to_be_found_is_there_once_and_is_changed() {
    let root = root();
    let mutations = read(&root).unwrap();
    assert!(!mutations.is_empty());
    let mut ids = BTreeSet::new();
    for mutation in &mutations {
        assert!(ids.insert(mutation.id.clone()), "{} twice", mutation.id);
        assert!(!mutation.edits.is_empty(), "{}", mutation.id);
        for edit in &mutation.edits {
            let text = fs::read_to_string(root.join(&edit.file)).unwrap();
            let changed = edit.apply(&text).unwrap();
            assert_ne!(changed, text, "{}", mutation.id);
        }
    }
}

#[test]
fn every_test_that_catches_exists_and_has_the_number_of_the_defect() {
    let root = root();
    for Mutation { id, caught_by, .. } in read(&root).unwrap() {
        let folder = root.join(&caught_by.folder);
        let files = match caught_by.binary.as_str() {
            "lib" => sources(&folder.join("src")),
            binary => {
                let mut files = sources(&folder.join("tests").join(binary));
                let single = folder.join("tests").join(format!("{binary}.rs"));
                files.extend(fs::read_to_string(&single).ok().map(|text| (single, text)));
                files
            }
        };
        let name = caught_by.name.rsplit("::").next().unwrap();
        let mut homes = files
            .iter()
            .filter(|(_, text)| incidents(text).iter().any(|it| it == name));
        let (path, _) = homes
            .next()
            .unwrap_or_else(|| panic!("{id}: no test {name}"));
        assert!(homes.next().is_none(), "{id}: {name} is there twice");
        if let Some((module, _)) = caught_by.name.split_once("::") {
            let stem = path.file_stem().unwrap().to_string_lossy();
            assert_eq!(stem, module, "{id}: the module of {name}");
        }
        let number: u8 = name[1..3].parse().unwrap();
        assert!(is_chosen(&id, Some(&format!("R{number}"))), "{id}: {name}");
    }
}

#[test]
fn every_incident_has_a_defect_that_it_catches_and_a_row_in_the_documentation() {
    let root = root();
    let caught: BTreeSet<String> = read(&root)
        .unwrap()
        .into_iter()
        .map(|mutation| {
            mutation
                .caught_by
                .name
                .rsplit("::")
                .next()
                .unwrap()
                .to_owned()
        })
        .collect();
    let all = all_incidents();
    assert!(all.len() > 40, "{all:?}");
    let without: Vec<&String> = all.difference(&caught).collect();
    assert!(without.is_empty(), "tests without a defect: {without:#?}");
    let documentation = fs::read_to_string(root.join("docs/testing.md")).unwrap();
    for number in 1..=30 {
        let row = format!("| R{number} |");
        assert!(
            documentation.contains(&row),
            "docs/testing.md: no row {row}"
        );
    }
    for name in &all {
        assert!(
            documentation.contains(name.as_str()),
            "docs/testing.md: {name}"
        );
    }
    for mutation in read(&root).unwrap() {
        let id = mutation.id;
        assert!(documentation.contains(&id), "docs/testing.md: {id}");
    }
}

#[test]
fn a_number_chooses_its_defects_and_no_others() {
    assert!(is_chosen("R7-inherited-weight", Some("r7")));
    assert!(is_chosen(
        "R7-inherited-weight",
        Some("R7-inherited-weight")
    ));
    assert!(is_chosen("R7-inherited-weight", None));
    assert!(!is_chosen("R17-missing-workload", Some("R7")));
    assert!(!is_chosen("R10-maximum", Some("R1")));
}

#[test]
fn a_text_that_is_there_twice_is_refused() {
    let edit = Edit {
        file: "a.rs".to_owned(),
        find: "x".to_owned(),
        replace: "y".to_owned(),
    };
    assert_eq!(edit.apply("a x b").unwrap(), "a y b");
    assert!(
        edit.apply("x x")
            .unwrap_err()
            .to_string()
            .contains("2 times")
    );
    assert!(edit.apply("a").unwrap_err().to_string().contains("0 times"));
}
