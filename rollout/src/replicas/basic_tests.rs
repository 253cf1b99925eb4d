use super::*;

fn amount(text: &str) -> Option<IntOrString> {
    text.parse::<i32>().map_or_else(
        |_| Some(IntOrString::String(text.to_owned())),
        |n| Some(IntOrString::Int(n)),
    )
}

#[test]
fn a_weight_becomes_the_nearest_pair_of_whole_numbers() {
    // (replicas, weight, surge, canary, stable)
    for (replicas, weight, surge, new, stable) in [
        // Exact.
        (10, 0, 3, 0, 10),
        (10, 10, 3, 1, 9),
        (10, 50, 3, 5, 5),
        (10, 100, 3, 10, 0),
        // One pod: with a surge there is room for both, without it the canary takes over.
        (1, 50, 1, 1, 1),
        (1, 10, 1, 1, 1),
        (1, 1, 1, 1, 1),
        (1, 90, 1, 1, 1),
        (1, 50, 0, 1, 0),
        (1, 10, 0, 0, 1),
        (1, 0, 0, 0, 1),
        (1, 100, 0, 1, 0),
        // Never empty unless the weight says so.
        (10, 1, 0, 1, 9),
        (10, 99, 0, 9, 1),
        (2, 1, 0, 1, 1),
        (2, 99, 0, 1, 1),
        // Ties round up; one more pod makes some exact.
        (3, 50, 0, 2, 1),
        (3, 50, 1, 2, 2),
        (5, 50, 0, 3, 2),
        (5, 50, 2, 3, 3),
        (5, 10, 0, 1, 4),
        (5, 10, 1, 1, 5),
        // Nearest: up or down.
        (3, 10, 0, 1, 2),
        (3, 10, 1, 1, 3),
        (3, 33, 0, 1, 2),
        (3, 40, 0, 1, 2),
        (3, 60, 0, 2, 1),
        (4, 33, 0, 1, 3),
        (6, 33, 2, 2, 4),
        (7, 20, 0, 1, 6),
        (7, 20, 1, 2, 6),
        (10, 15, 0, 2, 8),
        (10, 25, 0, 3, 7),
        (10, 25, 3, 3, 8),
        (10, 35, 3, 4, 7),
        // Nothing to split.
        (0, 50, 1, 0, 0),
    ] {
        let expected = Sizes { new, stable };
        assert_eq!(
            approximate(replicas, weight, surge),
            expected,
            "{replicas} at {weight} % with {surge}"
        );
    }
}

#[test]
fn amounts_are_numbers_or_percentages_with_or_without_the_sign() {
    for (text, replicas, surge, unavailable) in [
        ("25%", 10, 3, 2),
        ("25%", 1, 1, 0),
        ("50%", 3, 2, 1),
        ("2", 10, 2, 2),
        ("100%", 4, 4, 4),
    ] {
        let canary = CanaryStrategy {
            max_surge: amount(text),
            max_unavailable: amount(text),
            ..Default::default()
        };
        assert_eq!(
            max_surge(&canary, replicas),
            surge,
            "surge {text} of {replicas}"
        );
        assert_eq!(
            max_unavailable(&canary, replicas),
            unavailable,
            "unavailable {text} of {replicas}"
        );
    }
    let percent = Some(IntOrString::String("25".to_owned()));
    assert_eq!(
        resolve(percent.as_ref(), 10, true),
        3,
        "text without a sign is a percentage too"
    );
    assert_eq!(resolve(None, 10, true), 3);
    assert_eq!(resolve(None, 10, false), 2);
}

#[test]
fn one_pod_may_be_missing_when_nothing_could_move_otherwise() {
    let canary = CanaryStrategy {
        max_surge: amount("0"),
        max_unavailable: amount("0%"),
        ..Default::default()
    };
    assert_eq!(max_unavailable(&canary, 10), 1);
    assert_eq!(max_unavailable(&canary, 0), 0);
}

fn inputs(replicas: i32, surge: i32, unavailable: i32, wanted: (i32, i32)) -> Inputs {
    Inputs {
        replicas,
        surge,
        unavailable,
        wanted: Sizes {
            new: wanted.0,
            stable: wanted.1,
        },
        new: Size {
            pods: 0,
            available: 0,
        },
        stable: Some(Size {
            pods: replicas,
            available: replicas,
        }),
        older: 0,
    }
}

fn size(pods: i32, available: i32) -> Size {
    Size { pods, available }
}

#[test]
fn each_stretch_keeps_within_surge_and_availability() {
    // (what, inputs, new, stable)
    for (what, inputs, new, stable) in [
        (
            "surges before anything goes",
            inputs(10, 3, 0, (5, 5)),
            3,
            10,
        ),
        (
            "uses both allowances at once",
            inputs(10, 3, 2, (5, 5)),
            3,
            8,
        ),
        (
            "waits for the new pods",
            Inputs {
                new: size(3, 0),
                stable: Some(size(8, 8)),
                ..inputs(10, 3, 2, (5, 5))
            },
            5,
            8,
        ),
        (
            "gives up stable pods for available new ones",
            Inputs {
                new: size(5, 5),
                stable: Some(size(8, 8)),
                ..inputs(10, 3, 2, (5, 5))
            },
            5,
            5,
        ),
        (
            "without a surge takes away first",
            inputs(10, 0, 2, (5, 5)),
            0,
            8,
        ),
        (
            "then adds",
            Inputs {
                stable: Some(size(8, 8)),
                ..inputs(10, 0, 2, (5, 5))
            },
            2,
            8,
        ),
        (
            "unavailable stable pods do not hold the update up",
            Inputs {
                new: size(3, 3),
                stable: Some(size(10, 0)),
                ..inputs(10, 3, 2, (5, 5))
            },
            3,
            5,
        ),
        (
            "an abort brings stable back first",
            Inputs {
                new: size(5, 5),
                stable: Some(size(5, 5)),
                ..inputs(10, 3, 2, (0, 10))
            },
            3,
            8,
        ),
        (
            "an abort takes broken canary pods away at once",
            Inputs {
                new: size(5, 0),
                stable: Some(size(8, 8)),
                ..inputs(10, 3, 2, (0, 10))
            },
            0,
            8,
        ),
        (
            "older sets are drained first",
            Inputs {
                new: size(1, 1),
                stable: Some(size(9, 9)),
                older: 2,
                ..inputs(10, 3, 2, (5, 5))
            },
            2,
            9,
        ),
        (
            "older sets leave room, which stable gets first",
            Inputs {
                new: size(0, 0),
                stable: Some(size(0, 0)),
                older: 2,
                ..inputs(4, 0, 1, (2, 2))
            },
            0,
            2,
        ),
        (
            "scaling in the middle shrinks both sides at once when both have pods to spare",
            Inputs {
                new: size(8, 8),
                stable: Some(size(8, 8)),
                ..inputs(10, 0, 2, (5, 5))
            },
            5,
            5,
        ),
        (
            "and the broken side by more when the other one has none",
            Inputs {
                new: size(8, 0),
                stable: Some(size(10, 10)),
                ..inputs(10, 0, 2, (5, 5))
            },
            2,
            8,
        ),
        (
            "scaling out in the middle grows stable first",
            Inputs {
                new: size(2, 2),
                stable: Some(size(2, 2)),
                ..inputs(8, 2, 0, (4, 4))
            },
            4,
            4,
        ),
        (
            "one pod, surge of one: the canary comes beside it",
            inputs(1, 1, 0, (1, 1)),
            1,
            1,
        ),
        (
            "one pod, no surge: stable goes first",
            inputs(1, 0, 1, (1, 0)),
            0,
            0,
        ),
        (
            "one pod, at the end stable goes when the new one is available",
            Inputs {
                new: size(1, 1),
                ..inputs(1, 1, 0, (1, 0))
            },
            1,
            0,
        ),
        (
            "one pod, and not before",
            Inputs {
                new: size(1, 0),
                ..inputs(1, 1, 0, (1, 0))
            },
            1,
            1,
        ),
    ] {
        assert_eq!(next(inputs), Sizes { new, stable }, "{what}");
    }
}

#[test]
fn the_first_revision_grows_to_full_size_at_once() {
    let first = Inputs {
        stable: None,
        ..inputs(10, 3, 2, (10, 0))
    };
    assert_eq!(next(first), Sizes { new: 10, stable: 0 });
    let shrinking = Inputs {
        new: size(10, 10),
        stable: None,
        ..inputs(4, 1, 1, (4, 0))
    };
    assert_eq!(next(shrinking).new, 4, "scaling in the only revision");
}

proptest::proptest! {
    #[test]
    fn available_pods_stay_above_the_limit_and_pods_below_theirs(
        replicas in 0..30_i32, weight in 0..=100_i32, surge in 0..8_i32, unavailable in 0..8_i32,
        new in 0..30_i32, stable in 0..30_i32, new_ready in 0..30_i32, stable_ready in 0..30_i32,
    ) {
        let unavailable = if surge == 0 { unavailable.max(1) } else { unavailable }.min(replicas);
        let inputs = Inputs {
            replicas, surge, unavailable,
            wanted: approximate(replicas, weight, surge),
            new: size(new, new_ready.min(new)),
            stable: Some(size(stable, stable_ready.min(stable))),
            older: 0,
        };
        let next = next(inputs);
        let before = new_ready.min(new) + stable_ready.min(stable);
        // Pods that are not available are deleted first.
        let after = new_ready.min(next.new) + stable_ready.min(next.stable);
        proptest::prop_assert!(after >= before.min(replicas - unavailable), "{inputs:?} -> {next:?}");
        proptest::prop_assert!(next.new + next.stable <= (replicas + surge).max(new + stable), "{inputs:?} -> {next:?}");
        proptest::prop_assert!(next.new >= 0 && next.stable >= 0);
    }

    #[test]
    fn with_pods_that_become_available_the_wanted_sizes_are_reached(
        replicas in 0..30_i32, weight in 0..=100_i32, surge in 0..8_i32, unavailable in 0..8_i32,
        new in 0..30_i32, stable in 0..30_i32,
    ) {
        let unavailable = if surge == 0 { unavailable.max(1) } else { unavailable }.min(replicas);
        let wanted = approximate(replicas, weight, surge);
        let mut now = Sizes { new, stable };
        for _ in 0..100 {
            now = next(Inputs {
                replicas, surge, unavailable, wanted,
                new: size(now.new, now.new), stable: Some(size(now.stable, now.stable)), older: 0,
            });
        }
        proptest::prop_assert_eq!(now, wanted);
    }
}
