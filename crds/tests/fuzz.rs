//! The fuzz targets of `fuzz/` as plain tests: the same bytes every time, so that a failure stays one.
#![expect(
    unreachable_pub,
    reason = "the targets are public where they are fuzzed"
)]

use proptest::collection::vec;
use proptest::prelude::any;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

#[path = "../../fuzz/src/application_decode.rs"]
mod application_decode;
#[path = "../../fuzz/src/duration.rs"]
mod duration;
#[path = "../../fuzz/src/mutation.rs"]
mod mutation;
#[path = "../../fuzz/src/rollout_decode.rs"]
mod rollout_decode;

fn try_many(target: fn(&[u8])) {
    let config = Config {
        cases: 4000,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let outcome = TestRunner::new_with_rng(config, rng).run(&vec(any::<u8>(), 0..120), |bytes| {
        target(&bytes);
        Ok(())
    });
    assert_eq!(outcome, Ok(()));
}

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
