//! What is seen of the cluster, and when: a watch in a task of its own, which notes the moment of each event.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::StreamExt;
use kube::Api;
use kube::api::DynamicObject;
use kube::runtime::watcher::{self, Event};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;

/// One event: an object was there, or changed.
#[derive(Debug, Clone)]
pub struct Seen<T> {
    /// When it arrived in this process.
    pub at: Instant,
    /// What was of interest in the object.
    pub what: T,
}

/// A watch that runs until it is dropped.
pub struct Watch<T> {
    events: UnboundedReceiver<Seen<T>>,
    task: JoinHandle<()>,
}

impl<T> Drop for Watch<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<T: Send + 'static> Watch<T> {
    /// Watches objects, keeping of each what `look` finds in it; objects in which it finds nothing are left out.
    pub fn start(
        api: Api<DynamicObject>,
        look: impl Fn(&DynamicObject) -> Option<T> + Send + 'static,
    ) -> Self {
        let (sender, events) = unbounded_channel();
        let task = tokio::spawn(async move {
            let mut stream = watcher::watcher(api, watcher::Config::default()).boxed();
            while let Some(event) = stream.next().await {
                let at = Instant::now();
                // An error is followed by another attempt; a watch that never works shows as a wait in vain.
                let Ok(Event::Apply(object) | Event::InitApply(object)) = event else {
                    continue;
                };
                if let Some(what) = look(&object)
                    && sender.send(Seen { at, what }).is_err()
                {
                    return;
                }
            }
        });
        Self { events, task }
    }

    /// Waits for the first event that `wanted` accepts; those before it are dropped.
    ///
    /// # Errors
    /// After `limit`, naming `what`.
    pub async fn until(
        &mut self,
        what: &str,
        limit: Duration,
        mut wanted: impl FnMut(&T) -> bool,
    ) -> Result<Seen<T>> {
        let found = tokio::time::timeout(limit, async {
            loop {
                let seen = self.events.recv().await.context("the watch has ended")?;
                if wanted(&seen.what) {
                    return anyhow::Ok(seen);
                }
            }
        });
        match found.await {
            Ok(seen) => seen,
            Err(_) => bail!("waited {} s in vain for {what}", limit.as_secs()),
        }
    }

    /// Everything that has arrived and was not taken yet.
    pub fn drain(&mut self) -> Vec<Seen<T>> {
        std::iter::from_fn(|| self.events.try_recv().ok()).collect()
    }
}
