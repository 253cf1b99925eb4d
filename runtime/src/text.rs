//! The JSON text of an object, kept small.
//!
//! Objects of one kind say nearly the same: the same fields, labels and images, often the same pod template. So a
//! [`Packer`] keeps each text as what is new in it beside texts that came before (LZ4 with a dictionary), a sixth of its
//! length as a rule. Reading one back takes a microsecond or two, little beside parsing it.

use std::borrow::Cow;
use std::sync::{Arc, Mutex, PoisonError};

use lz4_flex::block::{compress_with_dict, decompress_with_dict};

/// Longest dictionary in bytes: a few objects. LZ4 sees 64 KiB back at most, and a dictionary is read for each text.
const LONGEST: usize = 16 * 1024;
/// How many times more texts come before the next one that goes into the dictionary.
const SPACING: u64 = 4;

/// A text.
#[derive(Clone)]
pub(crate) enum Text {
    /// As it is.
    Plain(Box<[u8]>),
    /// What is new in it beside a dictionary.
    Packed {
        dictionary: Arc<[u8]>,
        length: usize,
        packed: Box<[u8]>,
    },
}

impl Text {
    /// The text itself.
    pub(crate) fn bytes(&self) -> Cow<'_, [u8]> {
        match self {
            Text::Plain(bytes) => Cow::Borrowed(bytes),
            // It was packed by this very module, so it can be unpacked.
            Text::Packed {
                dictionary,
                length,
                packed,
            } => Cow::Owned(decompress_with_dict(packed, *length, dictionary).unwrap_or_default()),
        }
    }
}

/// Packs the texts of one cache. Its dictionary is made of the first text, the fourth, the sixteenth and so on, so that it
/// gets to know a growing fleet; a text that is packed keeps the dictionary that it was packed with.
#[derive(Default)]
pub(crate) struct Packer {
    state: Mutex<State>,
}

struct State {
    dictionary: Arc<[u8]>,
    seen: u64,
    next_sample: u64,
}

impl Default for State {
    fn default() -> Self {
        Self {
            dictionary: Arc::default(),
            seen: 0,
            next_sample: 1,
        }
    }
}

impl Packer {
    /// Packs a text, unless it is packed already or would not get smaller.
    pub(crate) fn pack(&self, text: Text) -> Text {
        let Text::Plain(bytes) = text else {
            return text;
        };
        let dictionary = self.dictionary(&bytes);
        let packed = compress_with_dict(&bytes, &dictionary);
        if packed.len() >= bytes.len() {
            return Text::Plain(bytes);
        }
        Text::Packed {
            length: bytes.len(),
            packed: packed.into_boxed_slice(),
            dictionary,
        }
    }

    /// What a text is packed with; the text may become a part of what later ones are packed with.
    fn dictionary(&self, text: &[u8]) -> Arc<[u8]> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let dictionary = Arc::clone(&state.dictionary);
        state.seen += 1;
        if state.seen == state.next_sample {
            state.next_sample *= SPACING;
            let both = [&*dictionary, text].concat();
            state.dictionary = both[both.len().saturating_sub(LONGEST)..].into();
        }
        dictionary
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(index: usize) -> Box<[u8]> {
        let object = json!({
            "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
            "metadata": {"name": format!("app-{index:05}"), "namespace": "fleet", "uid": format!("uid-{}", index * 7919)},
            "spec": {"replicas": index % 7, "strategy": {"canary": {"steps": [{"setWeight": 20}, {"pause": {}}]}}},
        });
        serde_json::to_vec(&object).unwrap().into_boxed_slice()
    }

    fn stored(text: &Text) -> usize {
        match text {
            Text::Plain(bytes) => bytes.len(),
            Text::Packed { packed, .. } => packed.len(),
        }
    }

    #[test]
    fn what_is_packed_is_read_back_as_it_was() {
        let packer = Packer::default();
        let mut long = vec![b'x'; 3 * LONGEST];
        long.extend((0..=255).cycle().take(LONGEST));
        let mut texts: Vec<Box<[u8]>> = (0..300).map(text).collect();
        texts.insert(150, long.into_boxed_slice());
        texts.insert(16, Box::default());
        let packed: Vec<Text> = texts
            .iter()
            .map(|text| packer.pack(Text::Plain(text.clone())))
            .collect();
        for (text, packed) in texts.iter().zip(&packed) {
            assert_eq!(*packed.bytes(), **text);
        }
    }

    #[test]
    fn texts_that_are_alike_take_a_fraction_of_their_length() {
        let packer = Packer::default();
        let pack = |index| packer.pack(Text::Plain(text(index)));
        let lengths: usize = (0..200).map(|index| text(index).len()).sum();
        let sizes: usize = (0..200).map(|index| stored(&pack(index))).sum();
        assert!(sizes * 4 < lengths, "{sizes} of {lengths} bytes");
        let twice = packer.pack(pack(5));
        assert_eq!(*twice.bytes(), *text(5));
    }

    #[test]
    fn the_dictionary_is_bounded_and_seldom_another_one() {
        let packer = Packer::default();
        let mut dictionaries: Vec<Arc<[u8]>> = Vec::new();
        for index in 0..1000 {
            let text = [text(index), vec![b' '; 4000].into()].concat();
            if let Text::Packed { dictionary, .. } = packer.pack(Text::Plain(text.into())) {
                assert!(dictionary.len() <= LONGEST);
                let last = dictionaries.last();
                if last.is_none_or(|last| !Arc::ptr_eq(last, &dictionary)) {
                    dictionaries.push(dictionary);
                }
            }
        }
        // None, and from then on those made of the texts 1, 4, 16, 64 and 256.
        assert_eq!(dictionaries.len(), 6);
    }
}
