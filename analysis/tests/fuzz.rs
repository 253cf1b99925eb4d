//! The fuzz targets of `fuzz/` as plain tests: the same bytes every time, so that a failure stays one.
#![expect(
    unreachable_pub,
    reason = "the targets are public where they are fuzzed"
)]

#[path = "../../fuzz/src/condition.rs"]
mod condition;
#[path = "../../fuzz/plain.rs"]
mod plain;

use plain::try_many;

#[test]
fn condition() {
    try_many(condition::run);
}
