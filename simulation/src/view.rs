//! A watch cache that lags: the store as it was, kind by kind, some changes ago.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::store::{Change, Key, Object, Store, of_kind};

/// A cache of the store. Each kind is at a resource version of its own, as with separate watches.
#[derive(Debug, Clone, Default)]
pub struct View {
    objects: BTreeMap<Arc<Key>, Arc<Object>>,
    at: BTreeMap<String, u64>,
    /// How often a kind was changed, for memories of what was derived from it.
    editions: BTreeMap<String, u64>,
    /// How often everything was listed anew.
    epoch: u64,
    /// Every kind is at least here.
    all: u64,
    /// Changes that were delivered and nobody was woken for yet.
    news: Vec<Change>,
}

impl View {
    /// Delivers up to `changes` changes of one kind; returns whether anything was delivered.
    pub fn deliver(&mut self, store: &Store, kind: &str, changes: usize) -> bool {
        let at = self.version(kind);
        let news: Vec<&Change> = store
            .changes_since(at)
            .iter()
            .filter(|change| change.key.kind == kind)
            .take(changes)
            .collect();
        for change in &news {
            self.take(change);
            self.at.insert(kind.to_owned(), change.version);
        }
        !news.is_empty()
    }

    /// Delivers everything of every kind.
    pub fn catch_up(&mut self, store: &Store) {
        if self.all == store.version() {
            return;
        }
        for change in store.changes_since(self.all) {
            if self.at.is_empty() || change.version > self.version(&change.key.kind) {
                self.take(change);
            }
        }
        self.all = store.version();
        self.at.clear();
    }

    fn take(&mut self, change: &Change) {
        match &change.after {
            Some(object) => self
                .objects
                .insert(Arc::clone(&change.key), Arc::clone(object)),
            None => self.objects.remove(&change.key),
        };
        match self.editions.get_mut(&change.key.kind) {
            Some(edition) => *edition += 1,
            None => {
                self.editions.insert(change.key.kind.clone(), 1);
            }
        }
        self.news.push(change.clone());
    }

    /// Forgets everything and lists anew, as after a restart.
    pub fn relist(&mut self, store: &Store) {
        self.objects = store.everything().clone();
        self.epoch += 1;
        self.all = store.version();
        self.at.clear();
        self.news.clear();
    }

    /// The changes since the last call, in the order in which they were delivered.
    pub fn take_news(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.news)
    }

    /// An object, as this cache has it.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<&Arc<Object>> {
        self.objects.get(key)
    }

    /// All objects of a kind, as this cache has them.
    pub fn list<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Arc<Object>> + 'a {
        of_kind(&self.objects, kind)
    }

    /// The resource version that the cache of a kind is at.
    #[must_use]
    pub fn version(&self, kind: &str) -> u64 {
        self.at.get(kind).copied().unwrap_or(0).max(self.all)
    }

    /// Something that changes with the objects of a kind.
    #[must_use]
    pub fn edition(&self, kind: &str) -> (u64, u64) {
        (self.epoch, self.editions.get(kind).copied().unwrap_or(0))
    }
}
