//! The work queue: one piece of work at a time for each key, and none lost.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sluice_runtime::queue::{Next, Queue, retry_delay};
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

struct Log {
    start: Instant,
    runs: Mutex<Vec<(String, u128)>>,
}

impl Log {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            runs: Mutex::default(),
        })
    }

    fn add(&self, key: &str) {
        self.runs
            .lock()
            .unwrap()
            .push((key.to_owned(), self.start.elapsed().as_millis()));
    }

    fn times(&self, key: &str) -> Vec<u128> {
        let runs = self.runs.lock().unwrap();
        runs.iter()
            .filter(|(of, _)| of == key)
            .map(|(_, at)| *at)
            .collect()
    }
}

/// A storm of changes to one object is one piece of work.
#[tokio::test(start_paused = true)]
async fn r21_a_key_added_often_is_worked_on_once_and_once_more_if_added_meanwhile() {
    let queue: Queue<String> = Queue::new("test");
    let log = Log::new();
    for _ in 0..5 {
        queue.add("a".to_owned());
    }
    let copy = Arc::clone(&log);
    let running = queue.clone();
    tokio::spawn(async move {
        running
            .run(4, CancellationToken::new(), move |key: String| {
                let log = Arc::clone(&copy);
                async move {
                    log.add(&key);
                    sleep(Duration::from_millis(100)).await;
                    Next::Done
                }
            })
            .await;
    });
    sleep(Duration::from_millis(50)).await;
    assert_eq!(log.times("a"), [0]);
    for _ in 0..5 {
        queue.add("a".to_owned());
    }
    sleep(Duration::from_secs(1)).await;
    assert_eq!(log.times("a"), [0, 100]);
}

#[tokio::test(start_paused = true)]
async fn no_more_workers_than_allowed() {
    let queue: Queue<String> = Queue::new("test");
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    for key in 0..20 {
        queue.add(key.to_string());
    }
    let copies = (Arc::clone(&now), Arc::clone(&most));
    let running = queue.clone();
    tokio::spawn(async move {
        running
            .run(3, CancellationToken::new(), move |_: String| {
                let (now, most) = (Arc::clone(&copies.0), Arc::clone(&copies.1));
                async move {
                    most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    sleep(Duration::from_millis(10)).await;
                    now.fetch_sub(1, Ordering::SeqCst);
                    Next::Done
                }
            })
            .await;
    });
    sleep(Duration::from_secs(1)).await;
    assert_eq!(most.load(Ordering::SeqCst), 3);
    assert_eq!(queue.depth(), 0);
}

#[tokio::test(start_paused = true)]
async fn errors_and_panics_back_off_for_their_key_alone() {
    let queue: Queue<String> = Queue::new("test");
    let log = Log::new();
    queue.add("panics".to_owned());
    queue.add("fails".to_owned());
    queue.add("works".to_owned());
    let copy = Arc::clone(&log);
    let running = queue.clone();
    tokio::spawn(async move {
        running
            .run(2, CancellationToken::new(), move |key: String| {
                let log = Arc::clone(&copy);
                async move {
                    log.add(&key);
                    match key.as_str() {
                        "panics" => panic!("on purpose"),
                        "fails" => Next::Retry,
                        _ => Next::Done,
                    }
                }
            })
            .await;
    });
    sleep(Duration::from_millis(20)).await;
    assert_eq!(log.times("works"), [0]);
    assert_eq!(log.times("fails"), [0, 1, 3, 7, 15]);
    assert_eq!(log.times("panics"), [0, 1, 3, 7, 15]);
    sleep(Duration::from_secs(120)).await;
    let fails = log.times("fails");
    let last = fails.windows(2).last().unwrap();
    assert_eq!(last[1] - last[0], 10_000);
}

#[test]
fn the_backoff_doubles_up_to_ten_seconds() {
    let delays: Vec<u128> = [0, 1, 9, 13, 14, 40]
        .map(|failures| retry_delay(failures).as_millis())
        .to_vec();
    assert_eq!(delays, [1, 2, 512, 8192, 10_000, 10_000]);
}

#[tokio::test(start_paused = true)]
async fn a_wish_to_be_woken_is_kept_replaced_and_overtaken_by_events() {
    let queue: Queue<String> = Queue::new("test");
    let log = Log::new();
    queue.add("a".to_owned());
    let copy = Arc::clone(&log);
    let running = queue.clone();
    tokio::spawn(async move {
        running
            .run(1, CancellationToken::new(), move |key: String| {
                let log = Arc::clone(&copy);
                async move {
                    log.add(&key);
                    // Each run wants to be woken 100 ms later, and that replaces the wish before.
                    if log.times(&key).len() < 3 {
                        Next::After(Duration::from_millis(100))
                    } else {
                        Next::Done
                    }
                }
            })
            .await;
    });
    sleep(Duration::from_millis(40)).await;
    queue.add("a".to_owned());
    sleep(Duration::from_secs(1)).await;
    assert_eq!(log.times("a"), [0, 40, 140]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_wait_is_worked_on_before_what_waits_already() {
    let queue: Queue<String> = Queue::new("test");
    let log = Log::new();
    for key in ["a", "b", "c", "d"] {
        queue.add(key.to_owned());
    }
    let (copy, running) = (Arc::clone(&log), queue.clone());
    tokio::spawn(async move {
        running
            .run(1, CancellationToken::new(), move |key: String| {
                let log = Arc::clone(&copy);
                async move {
                    log.add(&key);
                    sleep(Duration::from_millis(100)).await;
                    Next::Done
                }
            })
            .await;
    });
    sleep(Duration::from_millis(50)).await;
    // One that waits comes before the others, and one that is worked on comes once more right afterwards.
    queue.add_first("d".to_owned());
    queue.add_first("a".to_owned());
    sleep(Duration::from_secs(2)).await;
    assert_eq!(log.times("a"), [0, 100]);
    assert_eq!(log.times("d"), [200]);
    assert_eq!(log.times("b"), [300]);
    assert_eq!(log.times("c"), [400]);
}

#[tokio::test(start_paused = true)]
async fn the_end_finishes_what_is_under_way_and_takes_nothing_new() {
    let queue: Queue<String> = Queue::new("test");
    let log = Log::new();
    let stop = CancellationToken::new();
    queue.add("a".to_owned());
    queue.add("b".to_owned());
    let (copy, token, running) = (Arc::clone(&log), stop.clone(), queue.clone());
    let run = tokio::spawn(async move {
        running
            .run(1, token, move |key: String| {
                let log = Arc::clone(&copy);
                async move {
                    sleep(Duration::from_millis(100)).await;
                    log.add(&key);
                    Next::Done
                }
            })
            .await;
    });
    sleep(Duration::from_millis(10)).await;
    stop.cancel();
    run.await.unwrap();
    assert_eq!(log.times("a"), [100]);
    assert!(log.times("b").is_empty());
}
