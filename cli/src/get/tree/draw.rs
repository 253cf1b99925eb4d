//! A tree as rows with branches, in columns. Pure.

use jiff::Timestamp;

use crate::get::age::age;
use crate::paint::{Paint, Tone};

/// A row of the tree.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Row {
    /// Branches and icon.
    branch: String,
    /// Name, in a colour.
    name: String,
    pub(super) tone: Option<Tone>,
    kind: &'static str,
    /// Icon and word.
    status: String,
    pub(super) status_tone: Option<Tone>,
    age: String,
    pub(super) info: String,
}

/// A node before its branches are drawn.
pub(super) struct Node {
    icon: &'static str,
    pub(super) row: Row,
    pub(super) children: Vec<Node>,
}

impl Node {
    pub(super) fn new(icon: &'static str, kind: &'static str, name: &str) -> Self {
        let row = Row {
            name: name.to_owned(),
            kind,
            ..Row::default()
        };
        Self {
            icon,
            row,
            children: Vec::new(),
        }
    }

    pub(super) fn status(mut self, icon: &str, word: &str) -> Self {
        self.row.status = format!("{icon} {word}");
        self.row.status_tone = Tone::of(word);
        self
    }

    /// Name and status in the colour of what is under way, if the phase of an analysis says so.
    pub(super) fn busy(mut self, phase: &str) -> Self {
        if matches!(phase, "Running" | "Pending") {
            self.row.tone = Some(Tone::Busy);
            self.row.status_tone = Some(Tone::Busy);
        }
        self
    }

    pub(super) fn age(mut self, since: Option<Timestamp>, now: Timestamp) -> Self {
        self.row.age = age(since, now);
        self
    }
}

/// The tree as text.
pub(super) fn text(root: &Node, paint: Paint) -> String {
    let mut rows = Vec::new();
    flatten(root, "", None, &mut rows);
    table(&rows, paint)
}

/// Draws the branches; `last` says whether a node is the last child, `None` that it is the root.
fn flatten(node: &Node, prefix: &str, last: Option<bool>, rows: &mut Vec<Row>) {
    let (branch, below) = match last {
        None => (String::new(), String::new()),
        Some(true) => (format!("{prefix}└──"), format!("{prefix}   ")),
        Some(false) => (format!("{prefix}├──"), format!("{prefix}│  ")),
    };
    rows.push(Row {
        branch: format!("{branch}{} ", node.icon),
        ..node.row.clone()
    });
    for (index, child) in node.children.iter().enumerate() {
        flatten(child, &below, Some(index + 1 == node.children.len()), rows);
    }
}

fn table(rows: &[Row], paint: Paint) -> String {
    let width = |title: &str, cell: fn(&Row) -> usize| {
        rows.iter()
            .map(cell)
            .chain([title.len()])
            .max()
            .unwrap_or(0)
    };
    let chars = |text: &str| text.chars().count();
    let widths = [
        width("NAME", |row| {
            row.branch.chars().count() + row.name.chars().count()
        }),
        width("KIND", |row| row.kind.len()),
        width("STATUS", |row| row.status.chars().count()),
        width("AGE", |row| row.age.chars().count()),
    ];
    let mut out = String::new();
    let mut line = |cells: [(String, usize); 4], info: &str| {
        let mut text = String::new();
        for ((cell, wide), width) in cells.iter().zip(widths) {
            text.push_str(cell);
            text.push_str(&" ".repeat(width.saturating_sub(*wide) + 2));
        }
        text.push_str(info);
        out.push_str(text.trim_end());
        out.push('\n');
    };
    let plain = |text: &str| (text.to_owned(), chars(text));
    line(["NAME", "KIND", "STATUS", "AGE"].map(plain), "INFO");
    for row in rows {
        let name = format!("{}{}", row.branch, paint.tone(row.tone, &row.name));
        line(
            [
                (name, chars(&row.branch) + chars(&row.name)),
                plain(row.kind),
                (paint.tone(row.status_tone, &row.status), chars(&row.status)),
                plain(&row.age),
            ],
            &row.info,
        );
    }
    out
}
