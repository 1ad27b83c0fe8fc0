//! Identifiers: each distinct one once in the segment, and a code a row.
//!
//! Sessions repeat within minutes, so a segment of a million rows holds some two hundred thousand of them: 16 bytes
//! each once and a four-byte code a row take half of what a UUID in every row would. Codes are given in order of first
//! appearance, which keeps rows that are near in time near in code too.

use std::collections::HashMap;

use crate::store::batch::IdentifierValues;
use crate::store::intern::{self, InternTable};

use super::packing::{Numbers, Width};

/// An encoded column of identifiers.
#[derive(Debug)]
pub(super) struct EncodedIdentifiers {
    pub(super) width: Width,
    pub(super) missing: u64,
    pub(super) codes: Numbers,
    pub(super) uuids: Vec<u128>,
    pub(super) text_ends: Vec<u64>,
    pub(super) text: Vec<u8>,
}

/// Encodes the chunks, one after the other, of `rows` values in all. The chunks have been validated.
pub(super) fn encode(chunks: &[&IdentifierValues], rows: usize) -> EncodedIdentifiers {
    // A session has some five rows; room for half of them saves all but one of the table's moves.
    let table = InternTable::with_room(rows / 10);
    let mut uuids = Uuids { table, distinct: Vec::new(), seed: intern::seed() };
    let mut texts: HashMap<&[u8], u32> = HashMap::new();
    let (mut text_ends, mut text) = (Vec::new(), Vec::new());
    // Texts are coded after the UUIDs, whose number is known only at the end: rows to be set then, and which text.
    let mut text_rows: Vec<(usize, u32)> = Vec::new();
    let mut codes: Vec<u32> = Vec::with_capacity(rows);
    let mut missing = 0;
    for chunk in chunks {
        let mut next = 0;
        for exception in &chunk.exceptions {
            let row = exception.row as usize;
            uuids.code(&chunk.uuids[next..row], &mut codes);
            next = row + 1;
            match exception.text {
                None => missing += 1,
                Some((start, length)) => {
                    let bytes = &chunk.text[start as usize..][..length as usize];
                    let index = *texts.entry(bytes).or_insert_with(|| {
                        text.extend_from_slice(bytes);
                        text_ends.push(text.len() as u64);
                        text_ends.len() as u32 - 1
                    });
                    text_rows.push((codes.len(), index));
                }
            }
            codes.push(0);
        }
        uuids.code(&chunk.uuids[next..], &mut codes);
    }
    let uuids = uuids.distinct;
    for (row, index) in text_rows {
        codes[row] = uuids.len() as u32 + 1 + index;
    }
    let width = Width::for_largest((uuids.len() + text_ends.len()) as u64);
    let codes =
        if width == Width::Four { Numbers::U32(codes) } else { Numbers::pack(width, &[&codes], rows, u64::from) };
    EncodedIdentifiers { width, missing, codes, uuids, text_ends, text }
}

struct Uuids {
    table: InternTable,
    distinct: Vec<u128>,
    seed: u64,
}

/// Rows whose table slots and keys are fetched together.
const LANES: usize = 16;

impl Uuids {
    /// Appends the rows' codes.
    ///
    /// Table and keys are larger than the nearest caches, and whether a row is new can't be predicted: looked up one by
    /// one, each row would wait for memory twice. So the slots of sixteen rows are fetched first, then the keys they
    /// point at, each time without a branch between; only what that does not settle is probed for. (Measured: half the
    /// time of the plain loop.)
    fn code(&mut self, rows: &[u128], codes: &mut Vec<u32>) {
        for rows in rows.chunks(LANES) {
            let mut hashes = [0; LANES];
            for (hash, &uuid) in hashes.iter_mut().zip(rows) {
                *hash = intern::hash_uuid(uuid, self.seed);
            }
            let candidates = hashes.map(|hash| self.table.candidate(hash));
            let mut is_same = [false; LANES];
            for ((is_same, &candidate), uuid) in is_same.iter_mut().zip(&candidates).zip(rows) {
                *is_same = self.distinct.get(candidate as usize) == Some(uuid);
            }
            for (lane, &uuid) in rows.iter().enumerate() {
                let code = if is_same[lane] { candidates[lane] + 1 } else { self.probe(hashes[lane], uuid) };
                codes.push(code);
            }
        }
    }

    fn probe(&mut self, hash: u64, uuid: u128) -> u32 {
        let distinct = &self.distinct;
        let (index, is_new) = self.table.find_or_insert(hash, |index| distinct[index as usize] == uuid);
        if is_new {
            self.distinct.push(uuid);
        }
        index + 1
    }
}
