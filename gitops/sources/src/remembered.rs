//! Renderings that are remembered: the same inputs give the same objects, so a poll that finds the same commit costs
//! no child process.
//!
//! They are kept as JSON text, which is several times smaller than the objects, and parsed when they are asked for.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::request::{Rendered, SourceType};

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
    objects: Box<[u8]>,
    source_type: SourceType,
    warnings: Vec<String>,
}

impl Remembered {
    /// Remembers up to `limit` bytes of JSON text.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            limit,
            inner: Mutex::default(),
        }
    }

    pub(crate) fn get(&self, digest: &str) -> Option<Rendered> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.clock += 1;
        let now = inner.clock;
        let entry = inner.entries.get_mut(digest)?;
        entry.used = now;
        Some(Rendered {
            objects: serde_json::from_slice(&entry.objects).ok()?,
            source_type: entry.source_type,
            digest_inputs: digest.to_owned(),
            warnings: entry.warnings.clone(),
        })
    }

    pub(crate) fn insert(&self, rendered: &Rendered) {
        let Ok(objects) = serde_json::to_vec(&rendered.objects) else {
            return;
        };
        if objects.len() > self.limit {
            return;
        }
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.clock += 1;
        inner.total += objects.len();
        let entry = Entry {
            used: inner.clock,
            objects: objects.into_boxed_slice(),
            source_type: rendered.source_type,
            warnings: rendered.warnings.clone(),
        };
        if let Some(old) = inner.entries.insert(rendered.digest_inputs.clone(), entry) {
            inner.total -= old.objects.len();
        }
        while inner.total > self.limit {
            let oldest = inner
                .entries
                .iter()
                .min_by_key(|(_, entry)| entry.used)
                .map(|(key, _)| key.clone());
            let Some(entry) = oldest.and_then(|key| inner.entries.remove(&key)) else {
                break;
            };
            inner.total -= entry.objects.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(digest: &str) -> Rendered {
        Rendered {
            objects: vec![serde_json::json!("xxxxxxxx")],
            source_type: SourceType::Directory,
            digest_inputs: digest.into(),
            warnings: vec!["w".into()],
        }
    }

    #[test]
    fn the_least_recently_used_go_first() {
        let remembered = Remembered::new(25);
        remembered.insert(&rendered("a"));
        remembered.insert(&rendered("b"));
        assert_eq!(remembered.get("a"), Some(rendered("a")));
        remembered.insert(&rendered("c"));
        assert_eq!(remembered.get("b"), None);
        assert!(remembered.get("a").is_some() && remembered.get("c").is_some());
    }

    #[test]
    fn the_same_rendering_counts_once() {
        let remembered = Remembered::new(25);
        for _ in 0..10 {
            remembered.insert(&rendered("a"));
        }
        remembered.insert(&rendered("b"));
        assert!(remembered.get("a").is_some() && remembered.get("b").is_some());
    }
}
