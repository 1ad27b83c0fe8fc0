//! Text columns: a dictionary where it pays, the texts one after the other where it does not.
//!
//! The dictionary keeps the order of first appearance, not the alphabetical one: the specification's readers look
//! entries up by number and never search, events that are close in time share users, sessions and brands, so that
//! codes in order of appearance lie close together and compress well, and no entry has to be moved.
//!
//! Text that comes as an Arrow dictionary is renumbered without looking at the rows' text again; plain text is
//! hashed, and given up as soon as most values turn out to be distinct.

use std::collections::HashMap;

use arrow_array::cast::AsArray;
use arrow_array::types::UInt32Type;
use arrow_array::{Array, ArrayRef, StringArray};

use super::statistics::Range;

/// The values of a text column of one stripe, missing ones left out.
#[derive(Debug)]
pub(super) enum Text<'a> {
    /// Distinct texts in order of first appearance, and each value's index among them.
    Dictionary { entries: Vec<&'a [u8]>, codes: Vec<u32> },
    /// Each value's text.
    Direct(Vec<&'a [u8]>),
}

/// Plain values looked at before a dictionary may be given up.
const SAMPLE: usize = 10_000;

impl<'a> Text<'a> {
    /// Reads a column's pieces, which are `Utf8` or `Dictionary(UInt32, Utf8)`.
    pub(super) fn of(pieces: &[&'a ArrayRef]) -> Self {
        let mut interner = Interner::default();
        for (index, piece) in pieces.iter().enumerate() {
            match piece.as_dictionary_opt::<UInt32Type>() {
                Some(dictionary) => interner.renumber(dictionary.keys().iter(), dictionary.values().as_string()),
                None => {
                    interner.intern(piece.as_string::<i32>());
                    if interner.is_mostly_distinct() {
                        let mut values = interner.into_direct();
                        values.extend(pieces[index + 1..].iter().flat_map(|piece| plain_values(piece)));
                        return Self::Direct(values);
                    }
                }
            }
        }
        interner.finish()
    }
}

fn plain_values(piece: &ArrayRef) -> Box<dyn Iterator<Item = &[u8]> + '_> {
    match piece.as_dictionary_opt::<UInt32Type>() {
        Some(dictionary) => {
            let values: &StringArray = dictionary.values().as_string();
            let value = |code: u32| values.is_valid(code as usize).then(|| values.value(code as usize).as_bytes());
            Box::new(dictionary.keys().iter().flatten().filter_map(value))
        }
        None => Box::new(piece.as_string::<i32>().iter().flatten().map(str::as_bytes)),
    }
}

#[derive(Default)]
struct Interner<'a> {
    known: HashMap<&'a [u8], u32>,
    entries: Vec<&'a [u8]>,
    codes: Vec<u32>,
    /// For the Arrow dictionary at hand: one more than the code of each of its values, 0 for those not met yet.
    renumbered: Vec<u32>,
    renumbered_of: Option<(*const u8, *const i32)>,
    entry_bytes: usize,
    value_bytes: usize,
}

impl<'a> Interner<'a> {
    fn code_of(&mut self, text: &'a [u8]) -> u32 {
        let next = self.entries.len() as u32;
        let code = *self.known.entry(text).or_insert(next);
        if code == next {
            self.entries.push(text);
            self.entry_bytes += text.len();
        }
        code
    }

    fn intern(&mut self, values: &'a StringArray) {
        for text in values.iter().flatten() {
            let code = self.code_of(text.as_bytes());
            self.codes.push(code);
            self.value_bytes += text.len();
        }
    }

    fn renumber(&mut self, codes: impl Iterator<Item = Option<u32>>, values: &'a StringArray) {
        // Batches of one snapshot share their dictionary: its numbers are kept while the same array comes again. All
        // pieces are borrowed to the end, so that two arrays never stand at one address.
        let identity = Some((values.value_data().as_ptr(), values.value_offsets().as_ptr()));
        if self.renumbered_of != identity || self.renumbered.len() != values.len() {
            self.renumbered.clear();
            self.renumbered.resize(values.len(), 0);
            self.renumbered_of = identity;
        }
        for code in codes.flatten() {
            let index = code as usize;
            if values.is_null(index) {
                continue;
            }
            if self.renumbered[index] == 0 {
                self.renumbered[index] = self.code_of(values.value(index).as_bytes()) + 1;
            }
            self.codes.push(self.renumbered[index] - 1);
            self.value_bytes += values.value_length(index) as usize;
        }
    }

    fn is_mostly_distinct(&self) -> bool {
        self.codes.len() >= SAMPLE && self.entries.len() * 4 > self.codes.len() * 3
    }

    fn into_direct(self) -> Vec<&'a [u8]> {
        self.codes.iter().map(|&code| self.entries[code as usize]).collect()
    }

    /// A dictionary if its entries and codes take at most three quarters of the texts' bytes: general compression
    /// shortens repeated texts too, and a reader pays for the indirection.
    fn finish(self) -> Text<'a> {
        let code_bits = u32::BITS - (self.entries.len() as u32).leading_zeros();
        let dictionary_bytes = self.entry_bytes + self.entries.len() + self.codes.len() * code_bits as usize / 8;
        if !self.codes.is_empty() && dictionary_bytes * 4 <= self.value_bytes * 3 {
            Text::Dictionary { entries: self.entries, codes: self.codes }
        } else {
            Text::Direct(self.into_direct())
        }
    }
}

/// Statistics of texts; a text met before may be left out if its bytes are counted.
pub(super) fn text_range<'a>(distinct: impl Iterator<Item = &'a [u8]>, bytes: usize) -> Option<Range> {
    let (least, most) = distinct.fold(None, |bounds: Option<(&[u8], &[u8])>, text| match bounds {
        None => Some((text, text)),
        Some((least, most)) => Some((least.min(text), most.max(text))),
    })?;
    Some(Range::Text { least: least.to_vec(), most: most.to_vec(), bytes: bytes as i64 })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{DictionaryArray, UInt32Array};

    use super::*;

    fn values(text: &Text<'_>) -> Vec<String> {
        let owned = |bytes: &&[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        match text {
            Text::Dictionary { entries, codes } => codes.iter().map(|&code| owned(&entries[code as usize])).collect(),
            Text::Direct(values) => values.iter().map(owned).collect(),
        }
    }

    #[test]
    fn repeated_texts_become_a_dictionary_and_distinct_ones_do_not() {
        let repeated: ArrayRef = Arc::new(StringArray::from_iter((0..1000).map(|i| Some(["samsung", "apple"][i % 2]))));
        assert!(
            matches!(Text::of(&[&repeated]), Text::Dictionary { entries, .. } if entries == [b"samsung" as &[u8], b"apple"])
        );
        let distinct: ArrayRef = Arc::new(StringArray::from_iter_values((0..30_000).map(|i| format!("session {i}"))));
        let text = Text::of(&[&distinct, &repeated]);
        assert!(matches!(&text, Text::Direct(values) if values.len() == 31_000));
        assert_eq!(values(&text)[29_999..30_001], ["session 29999", "samsung"]);
    }

    #[test]
    fn pieces_with_different_dictionaries_share_their_entries() {
        let piece = |names: Vec<Option<&str>>, codes: Vec<Option<u32>>| -> ArrayRef {
            Arc::new(DictionaryArray::new(UInt32Array::from(codes), Arc::new(StringArray::from(names))))
        };
        let left = piece(vec![Some("lg"), Some("a very long brand name"), None], vec![Some(1), None, Some(1), Some(2)]);
        let right = piece(vec![Some("a very long brand name"), Some("lg")], vec![Some(0), Some(1), Some(0), Some(0)]);
        let text = Text::of(&[&left, &right]);
        let long = "a very long brand name";
        assert_eq!(values(&text), [long, long, long, "lg", long, long]);
        assert!(matches!(&text, Text::Dictionary { entries, .. } if entries.len() == 2));
    }

    #[test]
    fn no_values_need_no_dictionary() {
        let missing: ArrayRef = Arc::new(StringArray::from(vec![None::<&str>; 5]));
        assert!(values(&Text::of(&[&missing])).is_empty());
        assert!(values(&Text::of(&[])).is_empty());
    }
}
