use super::Reason;

fn waiting(available: i32, needed: i32) -> String {
    let replica_set = "web-1".to_owned();
    Reason::PodsNotAvailable {
        replica_set,
        available,
        needed,
    }
    .to_string()
}

#[test]
fn a_set_with_too_many_pods_does_not_wait_for_pods() {
    assert_eq!(
        waiting(0, 1),
        "Waiting for pods of web-1: 0 available < 1 needed"
    );
    assert_eq!(
        waiting(2, 1),
        "Waiting for web-1 to be scaled down: 2 available > 1 wanted"
    );
    assert_eq!(
        waiting(1, 1),
        "Waiting for web-1 to have its size: 1 available as needed"
    );
}

#[test]
fn an_experiment_that_is_waited_for_has_its_own_words_told() {
    for (message, told) in [
        ("", "Waiting for experiment web-2"),
        ("slow", "Waiting for experiment web-2: slow"),
    ] {
        let reason = Reason::ExperimentRunning {
            experiment: "web-2".to_owned(),
            message: message.to_owned(),
        };
        assert_eq!(reason.to_string(), told);
    }
}
