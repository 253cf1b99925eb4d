//! The top-level fields of an object. Each is shared by all states of the object in which it is the same, so that a new
//! status costs no copy of the spec, nor a second decoding of it.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};
use sluice_crds::pointer::{at, split};

/// The fields by name.
#[derive(Debug, Clone, Default)]
pub(super) struct Fields(BTreeMap<String, Arc<Field>>);

/// One field.
#[derive(Debug)]
struct Field {
    value: Value,
    /// What it is when it is the spec of a kind that the engines read.
    spec: OnceLock<Option<Box<Decoded>>>,
}

/// A spec of one of the kinds.
type Decoded = dyn Any + Send + Sync;

impl Clone for Field {
    /// A copy is made to be changed, so it is not read yet.
    fn clone(&self) -> Self {
        Self::of(self.value.clone())
    }
}

impl Field {
    fn of(value: Value) -> Self {
        Self {
            value,
            spec: OnceLock::new(),
        }
    }
}

impl Fields {
    /// The fields of an object.
    pub(super) fn of(object: Value) -> Self {
        let fields = match object {
            Value::Object(fields) => fields,
            _ => Map::new(),
        };
        let shared = |(name, value)| (name, Arc::new(Field::of(value)));
        Self(fields.into_iter().map(shared).collect())
    }

    /// The object.
    pub(super) fn whole(&self) -> Value {
        let fields = self.0.iter();
        let fields = fields.map(|(name, field)| (name.clone(), field.value.clone()));
        Value::Object(fields.collect())
    }

    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        Some(&self.0.get(name)?.value)
    }

    /// The value at a JSON pointer that leads into a field.
    pub(super) fn at(&self, pointer: &str) -> Option<&Value> {
        let (name, rest) = split(pointer)?;
        at(self.get(name)?, rest)
    }

    /// The text at a JSON pointer; empty when there is none.
    pub(super) fn text(&self, pointer: &str) -> &str {
        self.at(pointer).and_then(Value::as_str).unwrap_or_default()
    }

    /// A field that is there, to be changed.
    pub(super) fn edit(&mut self, name: &str) -> Option<&mut Value> {
        let field = Arc::make_mut(self.0.get_mut(name)?);
        field.spec = OnceLock::new();
        Some(&mut field.value)
    }

    /// Sets a field, or removes it.
    pub(super) fn put(&mut self, name: &str, value: Option<Value>) {
        match value {
            Some(value) => self.0.insert(name.to_owned(), Arc::new(Field::of(value))),
            None => self.0.remove(name),
        };
    }

    /// Removes what a JSON pointer leads to.
    pub(super) fn remove(&mut self, pointer: &str) {
        let Some((name, rest)) = split(pointer) else {
            return;
        };
        let Some((parent, last)) = rest.rsplit_once('/') else {
            self.0.remove(name);
            return;
        };
        let parent = self.edit(name).and_then(|field| field.pointer_mut(parent));
        if let Some(parent) = parent.and_then(Value::as_object_mut) {
            parent.remove(last);
        }
    }

    /// Takes the fields over that a request may not change from the state before.
    pub(super) fn restore(&mut self, before: &Self, may_change: impl Fn(&str) -> bool) {
        self.0
            .retain(|name, _| may_change(name) || before.0.contains_key(name));
        for (name, field) in before.0.iter().filter(|(name, _)| !may_change(name)) {
            match self.0.get_mut(name) {
                Some(mine) => *mine = Arc::clone(field),
                None => {
                    self.0.insert(name.clone(), Arc::clone(field));
                }
            }
        }
    }

    /// Shares with the state before what is the same.
    pub(super) fn share(&mut self, before: &Self) {
        for (name, field) in &mut self.0 {
            if let Some(known) = before.0.get(name)
                && known.value == field.value
            {
                *field = Arc::clone(known);
            }
        }
    }

    /// Whether a field is the same in another state.
    pub(super) fn same(&self, other: &Self, name: &str) -> bool {
        match (self.0.get(name), other.0.get(name)) {
            (Some(mine), Some(theirs)) => Arc::ptr_eq(mine, theirs) || mine.value == theirs.value,
            (mine, theirs) => mine.is_none() && theirs.is_none(),
        }
    }

    /// Whether two states are the same but for some fields.
    pub(super) fn same_but(&self, other: &Self, except: impl Fn(&str) -> bool) -> bool {
        let names = self.0.keys().chain(other.0.keys()).map(String::as_str);
        names
            .filter(|name| !except(name))
            .all(|name| self.same(other, name))
    }

    /// Whether the field that a JSON pointer leads into is shared with another state: nobody touched it.
    pub(super) fn shares(&self, other: &Self, pointer: &str) -> bool {
        let name = split(pointer).map_or("", |(name, _)| name);
        let both = self.0.get(name).zip(other.0.get(name));
        both.is_some_and(|(mine, theirs)| Arc::ptr_eq(mine, theirs))
    }

    /// The spec, decoded at most once while it stays the same; `None` when it is absent or cannot be decoded.
    pub(super) fn spec<T: DeserializeOwned + Any + Clone + Send + Sync>(&self) -> Option<T> {
        let field = self.0.get("spec")?;
        let read = || Some(Box::new(T::deserialize(&field.value).ok()?) as Box<Decoded>);
        let spec = field.spec.get_or_init(read).as_ref()?;
        spec.downcast_ref::<T>().cloned()
    }
}
