//! Renderings that are remembered: the same inputs give the same objects, so a poll that finds the same commit costs
//! no child process.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use crate::request::Rendered;

/// Renderings by the digest of their inputs; the least recently used go when all together are too large.
#[derive(Debug)]
pub(crate) struct Remembered {
    limit: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    clock: u64,
    total: usize,
    entries: BTreeMap<String, Entry>,
}

#[derive(Debug)]
struct Entry {
    used: u64,
    size: usize,
    rendered: Arc<Rendered>,
}

impl Remembered {
    /// Remembers up to `limit` bytes of JSON text.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            inner: Mutex::default(),
        }
    }

    pub(crate) fn get(&self, digest: &str) -> Option<Arc<Rendered>> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.clock += 1;
        let now = inner.clock;
        let entry = inner.entries.get_mut(digest)?;
        entry.used = now;
        Some(Arc::clone(&entry.rendered))
    }

    pub(crate) fn insert(&self, rendered: Arc<Rendered>) {
        let size: usize = rendered
            .objects
            .iter()
            .map(|object| object.to_string().len())
            .sum();
        if size > self.limit {
            return;
        }
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.clock += 1;
        let used = inner.clock;
        let digest = rendered.digest_inputs.clone();
        if let Some(old) = inner.entries.insert(
            digest,
            Entry {
                used,
                size,
                rendered,
            },
        ) {
            inner.total -= old.size;
        }
        inner.total += size;
        while inner.total > self.limit {
            let oldest = inner
                .entries
                .iter()
                .min_by_key(|(_, entry)| entry.used)
                .map(|(key, _)| key.clone());
            let Some(entry) = oldest.and_then(|key| inner.entries.remove(&key)) else {
                break;
            };
            inner.total -= entry.size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::SourceType;

    fn rendered(digest: &str) -> Arc<Rendered> {
        Arc::new(Rendered {
            objects: vec![serde_json::json!("xxxxxxxx")],
            source_type: SourceType::Directory,
            digest_inputs: digest.into(),
            warnings: Vec::new(),
        })
    }

    #[test]
    fn the_least_recently_used_go_first() {
        let remembered = Remembered::new(25);
        remembered.insert(rendered("a"));
        remembered.insert(rendered("b"));
        assert!(remembered.get("a").is_some());
        remembered.insert(rendered("c"));
        assert!(remembered.get("b").is_none());
        assert!(remembered.get("a").is_some() && remembered.get("c").is_some());
    }
}
