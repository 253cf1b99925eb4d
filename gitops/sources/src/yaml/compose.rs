//! From parser events to JSON values, within a budget.

use std::collections::BTreeMap;

use granit_parser::{Event, Parser, ScalarStyle, Span, Tag};
use serde_json::{Map, Value};

use super::{Budget, Document, YamlError, scalar};

/// A value with what it costs to copy it.
#[derive(Clone)]
struct Node {
    value: Value,
    nodes: usize,
    bytes: usize,
    depth: usize,
    /// Whether it is a plain `<<`, which merges when it stands as a key.
    merge: bool,
}

/// A list or map that is not complete yet.
enum Open {
    List {
        items: Vec<Value>,
        anchor: usize,
        cost: Cost,
    },
    Map {
        entries: Map<String, Value>,
        merged: Map<String, Value>,
        key: Option<Key>,
        anchor: usize,
        cost: Cost,
    },
}

enum Key {
    Text(String),
    Merge,
}

#[derive(Clone, Copy, Default)]
struct Cost {
    nodes: usize,
    bytes: usize,
    depth: usize,
}

impl Cost {
    fn add(&mut self, node: &Node) {
        self.nodes = self.nodes.saturating_add(node.nodes);
        self.bytes = self.bytes.saturating_add(node.bytes);
        self.depth = self.depth.max(node.depth);
    }
}

struct Composer {
    budget: Budget,
    spent: Cost,
    stack: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    root: Option<Value>,
    duplicate_keys: Vec<String>,
    documents: Vec<Document>,
    line: usize,
}

pub(super) fn compose(text: &str, budget: Budget) -> Result<Vec<Document>, YamlError> {
    // Go's reader skips a byte order mark; so do editors that write one.
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let options = granit_parser::options! {
        emit_comments: false,
        flow_nesting_limit: budget.depth,
        block_nesting_limit: budget.depth,
    };
    let mut composer = Composer {
        budget,
        spent: Cost::default(),
        stack: Vec::new(),
        anchors: BTreeMap::new(),
        root: None,
        duplicate_keys: Vec::new(),
        documents: Vec::new(),
        line: 1,
    };
    for next in Parser::new_from_str_with_options(text, options) {
        match next {
            Ok((event, span)) => composer.event(event, span)?,
            Err(error) => {
                composer.line = error.marker().line();
                return Err(composer.error(error.info()));
            }
        }
    }
    Ok(composer.documents)
}

impl Composer {
    fn error(&self, message: impl Into<String>) -> YamlError {
        YamlError {
            document: self.documents.len() + 1,
            line: self.line,
            message: message.into(),
        }
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        self.line = span.start.line();
        match event {
            Event::DocumentStart(..) => {
                self.anchors.clear();
                self.root = None;
                if self.documents.len() >= self.budget.documents {
                    let limit = self.budget.documents;
                    return Err(self.error(format!("more than {limit} documents")));
                }
            }
            Event::DocumentEnd => {
                let value = self.root.take().unwrap_or(Value::Null);
                let duplicate_keys = std::mem::take(&mut self.duplicate_keys);
                self.documents.push(Document {
                    value,
                    duplicate_keys,
                });
            }
            Event::Scalar(text, style, anchor, tag) => {
                let node = self.scalar(&text, style, tag.as_deref())?;
                self.complete(node, anchor)?;
            }
            Event::SequenceStart(_, anchor, _) => {
                self.nest()?;
                self.stack.push(Open::List {
                    items: Vec::new(),
                    anchor,
                    cost: Cost::default(),
                });
            }
            Event::MappingStart(_, anchor, _) => {
                self.nest()?;
                self.stack.push(Open::Map {
                    entries: Map::new(),
                    merged: Map::new(),
                    key: None,
                    anchor,
                    cost: Cost::default(),
                });
            }
            Event::SequenceEnd | Event::MappingEnd => self.close()?,
            Event::Alias(id) => {
                let node = match self.anchors.get(&id) {
                    Some(node) => node.clone(),
                    None => return Err(self.error("an alias contains itself")),
                };
                self.complete(node, 0)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn scalar(&self, text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Node, YamlError> {
        let plain = style == ScalarStyle::Plain;
        let value = match tag {
            Some(tag) => match tag.suffix_in_namespace("tag:yaml.org,2002:") {
                Some(suffix) => scalar::tagged(&suffix, text).map_err(|error| self.error(error))?,
                None => text.into(),
            },
            None if plain => scalar::resolve(text),
            None => text.into(),
        };
        let merge = plain && tag.is_none() && text == "<<";
        Ok(Node {
            value,
            nodes: 1,
            bytes: text.len(),
            depth: 0,
            merge,
        })
    }

    fn nest(&self) -> Result<(), YamlError> {
        if self.stack.len() >= self.budget.depth {
            return Err(self.error(format!(
                "nested more than {} levels deep",
                self.budget.depth
            )));
        }
        Ok(())
    }

    fn close(&mut self) -> Result<(), YamlError> {
        let (value, cost, anchor) = match self.stack.pop() {
            Some(Open::List {
                items,
                anchor,
                cost,
            }) => (Value::Array(items), cost, anchor),
            Some(Open::Map {
                entries,
                merged,
                anchor,
                cost,
                ..
            }) => {
                let mut map = merged;
                map.extend(entries);
                (Value::Object(map), cost, anchor)
            }
            None => return Err(self.error("a list or map ends that did not begin")),
        };
        let node = Node {
            value,
            nodes: cost.nodes.saturating_add(1),
            bytes: cost.bytes,
            depth: cost.depth + 1,
            merge: false,
        };
        // Its children were counted when they were completed.
        self.place(
            node,
            anchor,
            Cost {
                nodes: 1,
                ..Cost::default()
            },
        )
    }

    /// A scalar, or a copy through an alias.
    fn complete(&mut self, node: Node, anchor: usize) -> Result<(), YamlError> {
        let spent = Cost {
            nodes: node.nodes,
            bytes: node.bytes,
            depth: 0,
        };
        self.place(node, anchor, spent)
    }

    fn place(&mut self, node: Node, anchor: usize, spent: Cost) -> Result<(), YamlError> {
        self.spent.nodes = self.spent.nodes.saturating_add(spent.nodes);
        self.spent.bytes = self.spent.bytes.saturating_add(spent.bytes);
        if self.spent.nodes > self.budget.nodes || self.spent.bytes > self.budget.bytes {
            return Err(self.error("it expands to more than the limit; are its aliases nested?"));
        }
        if self.stack.len() + node.depth > self.budget.depth {
            return Err(self.error(format!(
                "nested more than {} levels deep",
                self.budget.depth
            )));
        }
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
            self.spent.bytes = self.spent.bytes.saturating_add(node.bytes);
            self.spent.nodes = self.spent.nodes.saturating_add(node.nodes);
        }
        let line = self.line;
        let document = self.documents.len() + 1;
        let fail = |message: &str| YamlError {
            document,
            line,
            message: message.into(),
        };
        match self.stack.last_mut() {
            None => self.root = Some(node.value),
            Some(Open::List { items, cost, .. }) => {
                cost.add(&node);
                items.push(node.value);
            }
            Some(Open::Map {
                entries,
                merged,
                key,
                cost,
                ..
            }) => {
                cost.add(&node);
                match key.take() {
                    None if node.merge => *key = Some(Key::Merge),
                    None => *key = Some(Key::Text(key_text(&node.value).map_err(|e| fail(&e))?)),
                    Some(Key::Merge) => merge(merged, node.value).map_err(fail)?,
                    Some(Key::Text(name)) => {
                        if entries.contains_key(&name) {
                            self.duplicate_keys.push(name.clone());
                        }
                        entries.insert(name, node.value);
                    }
                }
            }
        }
        Ok(())
    }
}

/// A key as Go's JSON conversion writes it.
fn key_text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        Value::Null => Err("a key is empty or null; keys are text".into()),
        Value::Array(_) | Value::Object(_) => Err("a list or map cannot be a key".into()),
    }
}

/// `<<`: keys of the map itself win, then the first of several merged maps.
fn merge(merged: &mut Map<String, Value>, value: Value) -> Result<(), &'static str> {
    const WRONG: &str = "`<<` merges a map or a list of maps";
    let maps = match value {
        Value::Array(items) => items,
        single => vec![single],
    };
    for map in maps {
        let Value::Object(map) = map else {
            return Err(WRONG);
        };
        for (key, value) in map {
            merged.entry(key).or_insert(value);
        }
    }
    Ok(())
}
