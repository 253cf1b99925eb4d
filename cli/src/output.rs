//! Writing to standard output: a reader that has gone away ends the command, and is not an error.

use std::io::Write;

use anyhow::{Error, Result};
use serde_json::Value;

use crate::args::Format;

/// The reader of standard output has gone away.
#[derive(Debug, thiserror::Error)]
#[error("nobody reads the output any more")]
struct ReaderGone;

/// Whether the command ended because nobody reads its output any more.
pub(crate) fn is_reader_gone(error: &Error) -> bool {
    error.chain().any(|cause| cause.is::<ReaderGone>())
}

/// Prints text as it is.
pub(crate) fn print(text: &str) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    match stdout
        .write_all(text.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Err(ReaderGone.into()),
        other => Ok(other?),
    }
}

/// Prints a line for a person to standard error.
pub(crate) fn complain(line: &str) {
    // There is nobody left to tell when this fails.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Prints an object of the API, without the bookkeeping of field managers, as kubectl does.
pub(crate) fn object(object: &Value, format: Format) -> Result<()> {
    let mut object = object.clone();
    let strip = |object: &mut Value| {
        if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
    };
    strip(&mut object);
    object
        .get_mut("items")
        .and_then(Value::as_array_mut)
        .into_iter()
        .flatten()
        .for_each(strip);
    match format {
        Format::Json => print(&format!("{object:#}\n")),
        Format::Yaml => {
            let text = serde_saphyr::to_string(&object)?;
            print(&format!("{}\n", text.trim_end()))
        }
    }
}

/// Rows in columns, with two blanks between them and none at the end of a line. `least` is the least width of each.
pub(crate) fn columns(rows: &[Vec<String>], least: &[usize]) -> String {
    let mut widths = least.to_vec();
    for row in rows {
        for (index, cell) in row.iter().enumerate() {
            let width = cell.chars().count();
            match widths.get_mut(index) {
                Some(widest) => *widest = width.max(*widest),
                None => widths.push(width),
            }
        }
    }
    let mut out = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str(cell);
            line.push_str(&" ".repeat(width.saturating_sub(cell.chars().count()) + 2));
        }
        out.push_str(line.trim_end());
        out.push('\n');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_in_characters() {
        let rows = [["NAME", "STATUS"], ["⟳ web", "✔ Healthy"]];
        let rows = rows.map(|row| row.map(str::to_owned).to_vec());
        assert_eq!(columns(&rows, &[]), "NAME   STATUS\n⟳ web  ✔ Healthy\n");
        assert_eq!(
            columns(&rows, &[7]),
            "NAME     STATUS\n⟳ web    ✔ Healthy\n"
        );
    }
}
