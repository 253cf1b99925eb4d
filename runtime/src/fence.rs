//! The permission to write: held while this process is the leader.
//!
//! The lease loop extends the permission at each renewal; the executor asks before each write. A process that cannot
//! renew loses the permission by the passing of time alone, even if its lease loop hangs. Writes that were already
//! under way are fenced by uid and resourceVersion.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Shared permission to write; cheap to clone.
#[derive(Debug, Clone)]
pub struct Fence {
    until: Arc<Mutex<Permission>>,
}

#[derive(Debug, Clone, Copy)]
enum Permission {
    Never,
    Always,
    Until(Instant),
}

impl Fence {
    /// A fence that is shut until it is extended.
    #[must_use]
    pub fn shut() -> Self {
        Self {
            until: Arc::new(Mutex::new(Permission::Never)),
        }
    }

    /// A fence that is always open: for a process without leader election.
    #[must_use]
    pub fn open() -> Self {
        Self {
            until: Arc::new(Mutex::new(Permission::Always)),
        }
    }

    /// Allows writes until an instant.
    pub fn extend(&self, until: Instant) {
        self.set(Permission::Until(until));
    }

    /// Forbids writes at once.
    pub fn close(&self) {
        self.set(Permission::Never);
    }

    /// How long writes are still allowed; `None` when they are not.
    #[must_use]
    pub fn remaining(&self) -> Option<Duration> {
        match *self.until.lock().unwrap_or_else(PoisonError::into_inner) {
            Permission::Never => None,
            Permission::Always => Some(Duration::MAX),
            Permission::Until(until) => {
                Some(until.saturating_duration_since(Instant::now())).filter(|left| !left.is_zero())
            }
        }
    }

    /// Whether writes are allowed now.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.remaining().is_some()
    }

    fn set(&self, permission: Permission) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = permission;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn permission_ends_with_time_alone() {
        let fence = Fence::shut();
        assert!(!fence.is_open());
        fence.extend(Instant::now() + Duration::from_secs(10));
        tokio::time::advance(Duration::from_secs(9)).await;
        assert!(fence.is_open());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(!fence.is_open());
        fence.extend(Instant::now() + Duration::from_secs(10));
        fence.close();
        assert!(!fence.is_open());
    }
}
