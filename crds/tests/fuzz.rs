//! The fuzz targets of `fuzz/` as plain tests: the same bytes every time, so that a failure stays one.
#![expect(
    unreachable_pub,
    reason = "the targets are public where they are fuzzed"
)]

#[path = "../../fuzz/src/application_decode.rs"]
mod application_decode;
#[path = "../../fuzz/src/duration.rs"]
mod duration;
#[path = "../../fuzz/src/mutation.rs"]
mod mutation;
#[path = "../../fuzz/plain.rs"]
mod plain;
#[path = "../../fuzz/src/rollout_decode.rs"]
mod rollout_decode;

use plain::try_many;

#[test]
fn application_decode() {
    try_many(application_decode::run);
}

#[test]
fn duration() {
    try_many(duration::run);
}

#[test]
fn rollout_decode() {
    try_many(rollout_decode::run);
}
