//! What is known of one kind of objects: a store with indexes, fed by a watch.
//!
//! Lookups by name and by owner take no listing. Subscribers are called by the watch task right after the store has
//! changed, so the way from an event to a queue has no hop in between. The store never goes back: an event that is
//! older than what is stored is dropped.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::watch;

use crate::kind::Kind;
use crate::object::{Key, Object};
use crate::text::Packer;

/// How far a cache is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncState {
    /// The first list has not been completed; the content means nothing.
    Starting,
    /// The API does not know the kind (its CRD is not installed); the store is empty.
    Absent,
    /// The API does not let us read the kind; the content means nothing.
    Denied,
    /// The store shows what the API had, some moments ago.
    Synced,
}

/// A change of the store.
#[derive(Debug, Clone, Copy)]
pub enum Change<'a> {
    /// An object appeared or changed.
    Applied {
        /// As it is now.
        object: &'a Arc<Object>,
        /// As it was before; `None` when it is new.
        previous: Option<&'a Arc<Object>>,
    },
    /// An object went away.
    Deleted {
        /// As it was last seen.
        object: &'a Arc<Object>,
    },
}

impl<'a> Change<'a> {
    /// The object, as it is or as it was last seen.
    #[must_use]
    pub fn object(&self) -> &'a Arc<Object> {
        match self {
            Change::Applied { object, .. } | Change::Deleted { object } => object,
        }
    }
}

/// Called for every change, on the watch task: it must be quick and must not block.
pub type Subscriber = Box<dyn Fn(&Change<'_>) + Send + Sync>;

/// The store of one kind.
pub struct Cache {
    kind: Kind,
    store: RwLock<Store>,
    packer: Packer,
    subscribers: RwLock<Vec<Subscriber>>,
    state: watch::Sender<SyncState>,
}

#[derive(Default)]
struct Store {
    objects: BTreeMap<Key, Arc<Object>>,
    /// Sorted lists, not sets: most owners have one object or two, and the smallest set takes 400 bytes.
    by_owner: HashMap<Arc<str>, Vec<Key>>,
    /// Objects without a controlling owner; kept for kinds that owners adopt.
    without_owner: BTreeSet<Key>,
}

impl Cache {
    /// An empty cache.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self {
            kind,
            store: RwLock::default(),
            packer: Packer::default(),
            subscribers: RwLock::default(),
            state: watch::Sender::new(SyncState::Starting),
        }
    }

    /// The kind.
    #[must_use]
    pub fn kind(&self) -> &Kind {
        &self.kind
    }

    /// Adds a subscriber; it is told of what is in the store already, as if it had just appeared.
    pub fn subscribe(&self, subscriber: Subscriber) {
        for object in self.all() {
            subscriber(&Change::Applied {
                object: &object,
                previous: None,
            });
        }
        self.subscribers
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .push(subscriber);
    }

    /// How far the cache is.
    #[must_use]
    pub fn state(&self) -> SyncState {
        *self.state.borrow()
    }

    /// Whether the content can be relied on: synced, or known to be empty since the kind does not exist.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        matches!(self.state(), SyncState::Synced | SyncState::Absent)
    }

    /// Waits until the content can be relied on.
    pub async fn settled(&self) {
        let mut state = self.state.subscribe();
        // The sender lives as long as `self`, so the wait cannot fail.
        let _ = state
            .wait_for(|state| matches!(state, SyncState::Synced | SyncState::Absent))
            .await;
    }

    /// Changes of the state, for those who wait for it among other things.
    #[must_use]
    pub fn state_changes(&self) -> watch::Receiver<SyncState> {
        self.state.subscribe()
    }

    /// One object.
    #[must_use]
    pub fn get(&self, key: &Key) -> Option<Arc<Object>> {
        self.read().objects.get(key).cloned()
    }

    /// The objects that an owner controls, by its uid, in the order of their keys.
    #[must_use]
    pub fn owned_by(&self, uid: &str) -> Vec<Arc<Object>> {
        let store = self.read();
        store
            .by_owner
            .get(uid)
            .into_iter()
            .flatten()
            .filter_map(|key| store.objects.get(key).cloned())
            .collect()
    }

    /// The objects of a namespace that nobody controls, in the order of their keys.
    #[must_use]
    pub fn without_owner(&self, namespace: &str) -> Vec<Arc<Object>> {
        let store = self.read();
        store
            .without_owner
            .range((Bound::Included(Key::new(namespace, "")), Bound::Unbounded))
            .take_while(|key| &*key.namespace == namespace)
            .filter_map(|key| store.objects.get(key).cloned())
            .collect()
    }

    /// The objects of a namespace, in the order of their names.
    #[must_use]
    pub fn in_namespace(&self, namespace: &str) -> Vec<Arc<Object>> {
        self.read()
            .objects
            .range((Bound::Included(Key::new(namespace, "")), Bound::Unbounded))
            .take_while(|(key, _)| &*key.namespace == namespace)
            .map(|(_, object)| Arc::clone(object))
            .collect()
    }

    /// All objects, in the order of their keys.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Object>> {
        self.read().objects.values().cloned().collect()
    }

    /// Number of objects.
    #[must_use]
    pub fn len(&self) -> usize {
        self.read().objects.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Makes an object small, as it should be before it is stored.
    #[must_use]
    pub fn packed(&self, object: Object) -> Object {
        object.packed(&self.packer)
    }

    /// Stores an object unless a newer version of it is stored; returns whether the store changed.
    pub fn apply(&self, object: Object) -> bool {
        let object = Arc::new(object);
        let previous = {
            let mut store = self.write();
            if let Some(stored) = store.objects.get(&object.key)
                && stored.uid == object.uid
                && (stored.resource_version == object.resource_version
                    || !object.is_at_least(&stored.resource_version))
            {
                return false;
            }
            store.insert(Arc::clone(&object))
        };
        self.notify(&Change::Applied {
            object: &object,
            previous: previous.as_ref(),
        });
        true
    }

    /// Removes an object if the stored one is that object (by uid); returns whether the store changed.
    pub fn remove(&self, key: &Key, uid: Option<&str>) -> bool {
        let removed = {
            let mut store = self.write();
            match store.objects.get(key) {
                Some(stored) if uid.is_none_or(|uid| uid == &*stored.uid) => store.remove(key),
                _ => None,
            }
        };
        if let Some(object) = &removed {
            self.notify(&Change::Deleted { object });
        }
        removed.is_some()
    }

    /// Takes over a complete list. What is not in it is removed; what is stored in a newer version stays.
    pub fn replace(&self, objects: Vec<Object>) {
        let listed: BTreeSet<Key> = objects.iter().map(|object| object.key.clone()).collect();
        let gone: Vec<Key> = self
            .read()
            .objects
            .keys()
            .filter(|key| !listed.contains(*key))
            .cloned()
            .collect();
        for key in gone {
            self.remove(&key, None);
        }
        for object in objects {
            self.apply(object);
        }
    }

    /// Says how far the cache is; the watch loop does.
    pub fn set_state(&self, state: SyncState) {
        self.state
            .send_if_modified(|current| std::mem::replace(current, state) != state);
    }

    fn notify(&self, change: &Change<'_>) {
        for subscriber in self
            .subscribers
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .iter()
        {
            subscriber(change);
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, Store> {
        self.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Store> {
        self.store.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store {
    fn insert(&mut self, object: Arc<Object>) -> Option<Arc<Object>> {
        let previous = self.remove(&object.key);
        match &object.owner {
            Some(owner) => {
                let keys = self.by_owner.entry(Arc::clone(&owner.uid));
                let keys = keys.or_insert_with(|| Vec::with_capacity(1));
                if let Err(place) = keys.binary_search(&object.key) {
                    keys.insert(place, object.key.clone());
                }
            }
            None => {
                self.without_owner.insert(object.key.clone());
            }
        }
        self.objects.insert(object.key.clone(), object);
        previous
    }

    fn remove(&mut self, key: &Key) -> Option<Arc<Object>> {
        let object = self.objects.remove(key)?;
        match &object.owner {
            Some(owner) => {
                if let Some(keys) = self.by_owner.get_mut(&owner.uid) {
                    keys.retain(|owned| owned != key);
                    if keys.is_empty() {
                        self.by_owner.remove(&owner.uid);
                    }
                }
            }
            None => {
                self.without_owner.remove(key);
            }
        }
        Some(object)
    }
}
