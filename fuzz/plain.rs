//! Runs a fuzz target as a plain test, with the same bytes every time, so that a failure stays one. The tests of other
//! crates include this file, and the targets in `src/`, by path.

use proptest::collection::vec;
use proptest::prelude::any;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

/// Gives a target thousands of inputs.
pub(crate) fn try_many(target: fn(&[u8])) {
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
