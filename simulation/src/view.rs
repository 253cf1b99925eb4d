//! A watch cache that lags: the store as it was, kind by kind, some changes ago.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::store::{Key, Store};

/// A cache of the store. Each kind is at a resource version of its own, as with separate watches.
#[derive(Debug, Clone, Default)]
pub struct View {
    objects: BTreeMap<Key, Value>,
    at: BTreeMap<String, u64>,
    /// Every kind is at least here.
    all: u64,
}

impl View {
    /// Delivers up to `changes` changes of one kind; returns whether anything was delivered.
    pub fn deliver(&mut self, store: &Store, kind: &str, changes: usize) -> bool {
        let at = self.version(kind);
        let news: Vec<_> = store
            .changes_since(at)
            .iter()
            .filter(|change| change.key.kind == kind)
            .take(changes)
            .collect();
        for change in &news {
            match &change.object {
                Some(object) => self.objects.insert(change.key.clone(), object.clone()),
                None => self.objects.remove(&change.key),
            };
            self.at.insert(kind.to_owned(), change.version);
        }
        !news.is_empty()
    }

    /// Delivers everything of every kind.
    pub fn catch_up(&mut self, store: &Store) {
        for change in store.changes_since(self.all) {
            if change.version > self.version(&change.key.kind) {
                match &change.object {
                    Some(object) => self.objects.insert(change.key.clone(), object.clone()),
                    None => self.objects.remove(&change.key),
                };
            }
        }
        self.all = store.version();
        self.at.clear();
    }

    /// Forgets everything and lists anew, as after a restart.
    pub fn relist(&mut self, store: &Store) {
        *self = Self::default();
        self.catch_up(store);
    }

    /// An object, as this cache has it.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Value> {
        self.objects.get(key)
    }

    /// All objects of a kind, as this cache has them.
    pub fn list<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Value> + 'a {
        self.objects
            .iter()
            .filter(move |(key, _)| key.kind == kind)
            .map(|(_, object)| object)
    }

    /// The resource version that the cache of a kind is at.
    #[must_use]
    pub fn version(&self, kind: &str) -> u64 {
        self.at.get(kind).copied().unwrap_or(0).max(self.all)
    }
}
