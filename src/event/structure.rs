//! Where lines and fields stand, found sixty-four bytes at a time.
//!
//! The idea is simdjson's (Langdale and Lemire, "Parsing Gigabytes of JSON per Second"): every comma and newline of a
//! stretch is a bit of a 64-bit word, and the words become a list of places without a branch that depends on the
//! data. Nine places a line are what a public line has, the last of them a newline; the list ends at the first line that
//! has more or fewer.
//!
//! Cost with 256-bit instructions ([`super::wide`]): about 70 for each stretch, half of them for listing the places:
//! some 150 a line, none of which waits for another line. Looking for each comma with `memchr` costs twice as much, because fields are short.

use super::fast::Steps;
use super::words;

/// Fields of a line.
const FIELDS: usize = super::line::FIELDS;

/// Lines looked at together: their text (17 KB) and what becomes of it stay in the nearest cache.
pub(super) const LINES: usize = 128;

/// Bytes looked at together.
pub(super) const STRETCH: usize = 64;

/// The fields of up to [`LINES`] lines that have nine each.
#[derive(Debug)]
pub(super) struct Index {
    /// Where each field starts, line after line; the field before ends one byte earlier. Behind the last field stands
    /// the start of the next line.
    starts: Box<[u32; FIELDS * LINES + 1 + STRETCH]>,
    lines: usize,
}

impl Index {
    pub(super) fn new() -> Self {
        Self { starts: Box::new([0; FIELDS * LINES + 1 + STRETCH]), lines: 0 }
    }

    /// Forgets what was found.
    pub(super) fn clear(&mut self) {
        self.lines = 0;
    }

    /// The lines that were found.
    pub(super) const fn lines(&self) -> usize {
        self.lines
    }

    /// Where a line starts; the line behind the last one is the first that was not found.
    pub(super) fn start(&self, line: usize) -> usize {
        self.starts[FIELDS * line.min(self.lines)] as usize
    }

    /// Of each line from `first` on, where the field of a column starts and where the next field does.
    #[inline(always)]
    pub(super) fn column(&self, first: usize, column: usize) -> impl Iterator<Item = (usize, usize)> {
        let starts = self.starts.get(FIELDS * first + column..).unwrap_or_default();
        starts.as_chunks::<FIELDS>().0.iter().map(|starts| (starts[0] as usize, starts[1] as usize))
    }

    /// Finds the lines from `at` on, up to the first that has not nine fields or no newline. (The general path of the
    /// parser divides a line in another way only where it has quotes.)
    ///
    /// `bytes` are at most 2^31.
    #[inline(always)]
    pub(super) fn find(&mut self, bytes: &[u8], at: usize, steps: impl Steps) {
        let (mut filled, mut base) = (1, at);
        self.starts[0] = at as u32;
        self.lines = 0;
        while base < bytes.len() && filled <= FIELDS * LINES {
            let rest = &bytes[base..];
            let (commas, newlines) = match rest.first_chunk() {
                Some(stretch) => steps.commas_and_newlines(stretch),
                None => {
                    let mut stretch = [0; STRETCH];
                    stretch[..rest.len()].copy_from_slice(rest);
                    steps.commas_and_newlines(&stretch)
                }
            };
            let places = commas | newlines;
            let Some(room) = self.starts[filled..].first_chunk_mut() else { return };
            list(places, base as u32 + 1, room);
            let mut left = newlines;
            while left != 0 {
                // The places up to this newline, itself included, are those of whole lines.
                let up_to = (places & (left ^ (left - 1))).count_ones() as usize;
                if filled + up_to != FIELDS * (self.lines + 1) + 1 || self.lines == LINES {
                    return;
                }
                self.lines += 1;
                left &= left - 1;
            }
            filled += places.count_ones() as usize;
            base += STRETCH;
        }
    }
}

/// Lists the bits of a word, each as its number and `base` together. What stands behind them in the room is no place.
#[inline]
fn list(places: u64, base: u32, room: &mut [u32; STRETCH]) {
    let count = places.count_ones() as usize;
    let mut left = places;
    // Eight are listed whether they are there or not: a stretch of public lines has four or five.
    for place in &mut room[..8] {
        *place = base + left.trailing_zeros();
        left &= left.wrapping_sub(1);
    }
    if count > 8 {
        for place in &mut room[8..count] {
            *place = base + left.trailing_zeros();
            left &= left - 1;
        }
    }
}

/// A bit for each comma, and one for each newline: eight bytes at a time.
#[inline]
pub(super) fn commas_and_newlines(stretch: &[u8; STRETCH]) -> (u64, u64) {
    let mask = |byte| {
        let bits = |(number, chunk): (usize, &[u8; 8])| {
            u64::from(words::equal_bytes(u64::from_le_bytes(*chunk), byte)) << (8 * number)
        };
        stretch.as_chunks().0.iter().enumerate().map(bits).fold(0, |mask, bits| mask | bits)
    };
    (mask(b','), mask(b'\n'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fast::Plain;
    use super::*;

    fn byte() -> impl Strategy<Value = u8> {
        prop_oneof![Just(b','), Just(b'\n'), Just(b'-'), Just(b'\x0B'), any::<u8>()]
    }

    proptest! {
        #[test]
        fn masks_equal_the_loop(bytes in proptest::collection::vec(byte(), STRETCH)) {
            let stretch: &[u8; STRETCH] = bytes[..].try_into().unwrap();
            let bits = |wanted| (0..STRETCH).filter(|at| bytes[*at] == wanted).fold(0_u64, |bits, at| bits | 1 << at);
            let expected = (bits(b','), bits(b'\n'));
            prop_assert_eq!(commas_and_newlines(stretch), expected);
        }

        #[test]
        fn lines_equal_those_of_split(
            lines in proptest::collection::vec(prop_oneof![20 => "[a-z]{0,12}(,[a-z]{0,12}){8}\r?", 1 => "[a-z,]{0,30}"], 0..300),
            start in 0..20_usize,
            ends_with_newline: bool,
        ) {
            let text = "x".repeat(start) + &lines.join("\n") + if ends_with_newline { "\n" } else { "" };
            let mut index = Index::new();
            index.find(text.as_bytes(), start, Plain);
            let has_newline = |number: usize| number + 1 < lines.len() || ends_with_newline;
            let regular = |(number, line): &(usize, &String)| line.split(',').count() == FIELDS && has_newline(*number);
            let expected = lines.iter().enumerate().take(LINES).take_while(regular).count();
            prop_assert_eq!(index.lines(), expected);
            let mut at = start;
            for (number, line) in lines.iter().enumerate().take(expected) {
                for (column, field) in line.split(',').enumerate() {
                    let (start, next) = index.column(number, column).next().unwrap();
                    prop_assert_eq!(&text[start..next - 1], field);
                }
                prop_assert_eq!(index.start(number), at);
                at += line.len() + 1;
            }
            prop_assert_eq!(index.start(expected), at);
        }
    }
}
