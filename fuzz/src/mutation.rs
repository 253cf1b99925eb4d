//! From bytes to JSON that is nearly right: a seed document with a few parts changed.

use serde_json::{Value, json};

/// JSON from bytes: the bytes as they are, or one of the seeds with changes that the bytes choose.
#[must_use]
pub fn json(bytes: &[u8], seeds: &[&str]) -> Option<Value> {
    let (choice, rest) = bytes.split_first()?;
    if *choice < 32 {
        return serde_json::from_slice(rest).ok();
    }
    let seed = seeds.get(usize::from(*choice) % seeds.len())?;
    let mut document = serde_json::from_str(seed).ok()?;
    let mut choices = rest.iter().copied();
    while change(&mut document, &mut choices).is_some() {}
    Some(document)
}

/// Changes one part; `None` when the bytes are used up.
fn change(document: &mut Value, choices: &mut impl Iterator<Item = u8>) -> Option<()> {
    let choice = usize::from(choices.next()?);
    match document {
        Value::Object(fields) if !fields.is_empty() && choice % 8 != 0 => {
            let key = fields.keys().nth(choice % fields.len())?.clone();
            if choices.next()? % 16 == 0 {
                fields.remove(&key);
                return Some(());
            }
            change(fields.get_mut(&key)?, choices)
        }
        Value::Array(elements) if !elements.is_empty() && choice % 8 != 0 => {
            let index = choice % elements.len();
            match choices.next()? % 16 {
                0 => drop(elements.remove(index)),
                1 => elements.push(elements.get(index)?.clone()),
                _ => return change(elements.get_mut(index)?, choices),
            }
            Some(())
        }
        Value::Object(fields) if choice % 3 == 0 => {
            fields.insert("surprise".to_owned(), odd(choices.next()?));
            Some(())
        }
        other => {
            *other = odd(choices.next()?);
            Some(())
        }
    }
}

/// A value that is wrong in most places.
fn odd(choice: u8) -> Value {
    match choice % 24 {
        0 => Value::Null,
        1 => json!(true),
        2 => json!(0),
        3 => json!(-1),
        4 => json!(i64::MAX),
        5 => json!(i64::MIN),
        6 => json!(u64::MAX),
        7 => json!(1.5),
        8 => json!(1e308),
        9 => json!(-0.0),
        10 => json!(""),
        11 => json!("0"),
        12 => json!("5m"),
        13 => json!("25%"),
        14 => json!("1.5Gi"),
        15 => json!("<&>\u{2028}\u{0}😀\"\\"),
        16 => json!("{{args.x}}"),
        17 => json!("9".repeat(40)),
        18 => json!([]),
        19 => json!({}),
        20 => json!([null, 1, "a", {}]),
        21 => json!({"a": null, "": [], "name": 1}),
        22 => json!("2024-02-30T25:00:00Z"),
        _ => json!("0001-01-01T00:00:00Z"),
    }
}
