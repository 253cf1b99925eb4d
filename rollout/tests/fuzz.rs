//! The fuzz targets of `fuzz/` as plain tests: the same bytes every time, so that a failure stays one.
#![expect(
    unreachable_pub,
    reason = "the targets are public where they are fuzzed"
)]

#[path = "../../fuzz/src/mutation.rs"]
mod mutation;
#[path = "../../fuzz/plain.rs"]
mod plain;
#[path = "../../fuzz/src/pod_template_hash.rs"]
mod pod_template_hash;

use plain::try_many;

#[test]
fn pod_template_hash() {
    try_many(pod_template_hash::run);
}
