//! Diaries: whole updates from the first decision to the last, with everything that is decided, written, said and put
//! into the status. The other stories say what must hold; these show what people and other tools get to read, and that
//! it stays the same. After a change that is wanted: `INSTA_UPDATE=always cargo test -p sluice-rollout diaries`, and read
//! the difference.

mod blue_green;
mod canary;
mod measured;
mod people;
mod templates;

use crate::fixtures::Cluster;

impl Cluster {
    /// A chapter that goes on to rest, with time standing still.
    fn then(&mut self, title: &str, act: impl FnOnce(&mut Self)) -> &mut Self {
        self.chapter(title);
        act(self);
        self.settle();
        self
    }

    /// A chapter in which so many seconds go by.
    fn later(&mut self, seconds: i64) -> &mut Self {
        self.then(&format!("{seconds} s later"), |cluster| {
            cluster.wait(seconds);
        })
    }
}
