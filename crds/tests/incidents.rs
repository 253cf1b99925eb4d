//! R28: what happened elsewhere with the definitions themselves; see `docs/testing.md`.

/// Upstream's definitions cannot be applied by a client that keeps the last applied object in an annotation: annotations
/// of one object may have 262,144 bytes together. Half of that leaves room for others, and for fields to come.
#[test]
fn r28_every_definition_fits_into_an_annotation_of_itself() {
    let all = sluice_crds::crd::all();
    assert_eq!(all.len(), 7);
    for crd in all {
        let size = serde_json::to_string(&crd).unwrap().len();
        assert!(size < 128 * 1024, "{}: {size} bytes", crd.spec.names.kind);
    }
}
