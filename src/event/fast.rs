//! Lines in the public layout, column by column.
//!
//! The idea: nearly every line of real data has one shape: the fixed time, plain texts, plain digits, a price with a
//! point, a canonical UUID. The places of all fields are found first ([`Index`]), for a hundred lines at once; then each
//! column is read in a loop of its own over those lines. Such a loop meets one kind of field, so that its branches go
//! the same way each time, its constants stay in registers, and no field waits for the one before; the fields' lengths,
//! which differ from line to line, are numbers there and not branches.
//!
//! Anything unexpected (a quote, a sign, a text that the caches don't know) ends the lines that are taken: that line goes
//! to the general path. The general path alone defines what a line means; this one only has to agree with it where it
//! answers, which is what a property test of the parser checks.
//!
//! Tried and lost: reading each line in one pass from left to right, every field finding the comma after it as a
//! by-product. It looks at fewer bytes, but the length of each text and number is then a branch that the processor can't
//! foresee, some five a line at fifteen cycles each.
//!
//! Cost, counted by cachegrind: some 750 instructions a line with 256-bit instructions ([`super::wide`]) and 0.4
//! mispredicted branches, where one pass took 1,430 and 2.3. Most of them find the places and compare the three texts.

use super::codes::{CodeCache, Key};
use super::rows::{Rows, Session};
use super::structure::{self, Index, LINES, STRETCH};
use super::time::FixedForm;
#[cfg(target_arch = "x86_64")]
use super::wide::Wide;
use super::{
    BRAND, CATEGORY_CODE, CATEGORY_ID, EVENT_TIME, EVENT_TYPE, PRICE, PRODUCT_ID, USER_ID, USER_SESSION, decimal,
    integer, uuid, words,
};

/// The caches of one parser: codes of the three dictionary columns, and the minute of the last row.
#[derive(Debug)]
pub(super) struct Caches {
    pub(super) minute: FixedForm,
    pub(super) event_type: CodeCache,
    pub(super) category_code: CodeCache,
    pub(super) brand: CodeCache,
}

impl Caches {
    /// Sized for the public data: a handful of types, 129 category codes, 4,303 brands.
    pub(super) fn new() -> Self {
        Self {
            minute: FixedForm::default(),
            event_type: CodeCache::new(4),
            category_code: CodeCache::of_optional(10),
            brand: CodeCache::of_optional(14),
        }
    }
}

/// The lines of a block that are read together, and their columns before these are appended to the block's.
#[derive(Debug)]
pub(super) struct Lines {
    index: Index,
    /// The next line of the index.
    next: usize,
    /// How many lines are read together now: after one that needs the general path few, because such lines come in
    /// herds, and then more and more.
    ahead: usize,
    event_time: [i64; LINES],
    event_type: [u32; LINES],
    product_id: [i64; LINES],
    category_id: [i64; LINES],
    category_code: [u32; LINES],
    brand: [u32; LINES],
    price: [i64; LINES],
    user_id: [i64; LINES],
    user_session: [u128; LINES],
}

/// The steps that have a form of their own where the processor has wide instructions.
pub(super) trait Steps: Copy {
    /// A bit for each comma, and one for each newline.
    fn commas_and_newlines(self, stretch: &[u8; STRETCH]) -> (u64, u64);

    /// The value of the `count` (1 to 16) decimal digits that end before `end`; `None` if one of them is none, or if
    /// sixteen bytes before `end` are not there.
    fn last_digits(self, bytes: &[u8], end: usize, count: u32) -> Option<u64>;

    /// The number of a canonical UUID; `None` for any other text.
    fn uuid(self, text: &[u8]) -> Option<u128>;
}

/// The steps on any machine: eight bytes at a time.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plain;

impl Steps for Plain {
    #[inline(always)]
    fn commas_and_newlines(self, stretch: &[u8; STRETCH]) -> (u64, u64) {
        structure::commas_and_newlines(stretch)
    }

    #[inline(always)]
    fn last_digits(self, bytes: &[u8], end: usize, count: u32) -> Option<u64> {
        words::last_digits(bytes, end, count)
    }

    #[inline(always)]
    fn uuid(self, text: &[u8]) -> Option<u128> {
        uuid::parse(text)
    }
}

impl Lines {
    pub(super) fn new() -> Self {
        Self {
            index: Index::new(),
            next: 0,
            ahead: LINES,
            event_time: [0; LINES],
            event_type: [0; LINES],
            product_id: [0; LINES],
            category_id: [0; LINES],
            category_code: [0; LINES],
            brand: [0; LINES],
            price: [0; LINES],
            user_id: [0; LINES],
            user_session: [0; LINES],
        }
    }

    /// Forgets the block before.
    pub(super) fn start(&mut self) {
        self.index.clear();
        self.next = 0;
        self.ahead = LINES;
    }

    /// The general path has taken the line at which [`Lines::read`] stopped.
    pub(super) fn pass(&mut self) {
        self.next = (self.next + 1).min(self.index.lines());
        self.ahead = 4;
    }

    /// Takes lines from `at` on, up to one that needs the general path, and appends them to `rows`. Says how many, and
    /// moves `at` behind them.
    pub(super) fn read(&mut self, bytes: &[u8], at: &mut usize, caches: &mut Caches, rows: &mut Rows) -> u64 {
        #[cfg(target_arch = "x86_64")]
        if let Some(wide) = Wide::new() {
            #[expect(unsafe_code, reason = "half of the parser's instructions are saved")]
            // SAFETY: the processor has all that the function needs, of which `wide` is the proof.
            return unsafe { self.read_wide(bytes, at, caches, rows, wide) };
        }
        self.read_plain(bytes, at, caches, rows)
    }

    /// The same without wide instructions.
    pub(super) fn read_plain(&mut self, bytes: &[u8], at: &mut usize, caches: &mut Caches, rows: &mut Rows) -> u64 {
        self.read_with(bytes, at, caches, rows, Plain)
    }

    #[cfg(target_arch = "x86_64")]
    #[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
    fn read_wide(&mut self, bytes: &[u8], at: &mut usize, caches: &mut Caches, rows: &mut Rows, wide: Wide) -> u64 {
        self.read_with(bytes, at, caches, rows, wide)
    }

    /// Inlined, with all that it calls, where the instructions of its steps are known.
    #[inline(always)]
    fn read_with(
        &mut self,
        bytes: &[u8],
        at: &mut usize,
        caches: &mut Caches,
        rows: &mut Rows,
        steps: impl Steps,
    ) -> u64 {
        let mut taken = 0;
        loop {
            if self.next == self.index.lines() {
                self.index.find(bytes, *at, steps);
                self.next = 0;
            }
            let ahead = (self.index.lines() - self.next).min(self.ahead);
            let count = self.read_lines(bytes, ahead, caches, rows, steps);
            self.next += count;
            taken += count as u64;
            *at = self.index.start(self.next);
            if count < ahead || ahead == 0 {
                return taken;
            }
            self.ahead = (2 * self.ahead).min(LINES);
        }
    }

    /// Appends the next lines, at most `count`, up to one that needs the general path; says how many.
    #[inline(always)]
    fn read_lines(
        &mut self,
        bytes: &[u8],
        count: usize,
        caches: &mut Caches,
        rows: &mut Rows,
        steps: impl Steps,
    ) -> usize {
        let (index, first) = (&self.index, self.next);
        // Reads a column of the lines that all columns before have a value for, up to one for which it has none, and says
        // how many. (A macro, because a closure may be compiled apart, without the wide instructions.)
        macro_rules! read {
            ($values:ident, $column:ident, $count:ident, |$start:ident, $end:ident| $value:expr) => {{
                let mut read = 0;
                for (place, ($start, next)) in self.$values[..$count].iter_mut().zip(index.column(first, $column)) {
                    let $end = next - 1;
                    let value = $value;
                    let Some(value) = value else { break };
                    *place = value;
                    read += 1;
                }
                read
            }};
        }
        macro_rules! integer {
            ($start:ident, $end:ident) => {
                integer::between(bytes, $start, $end, steps)
            };
        }
        // What stops most often comes first, so that the other columns don't read lines in vain: texts that are new.
        let count = read!(brand, BRAND, count, |start, end| code(bytes, start, end, &caches.brand));
        let count =
            read!(category_code, CATEGORY_CODE, count, |start, end| code(bytes, start, end, &caches.category_code));
        let count = read!(event_type, EVENT_TYPE, count, |start, end| code(bytes, start, end, &caches.event_type));
        let count = read!(product_id, PRODUCT_ID, count, |start, end| integer!(start, end));
        let count = read!(category_id, CATEGORY_ID, count, |start, end| integer!(start, end));
        let count = read!(price, PRICE, count, |start, end| decimal::between(bytes, start, end));
        let count = read!(user_id, USER_ID, count, |start, end| integer!(start, end));
        let count = read!(event_time, EVENT_TIME, count, |start, _end| caches.minute.read(bytes, start));
        let mut row = rows.len();
        let count = read!(user_session, USER_SESSION, count, |start, end| {
            let text = bytes.get(start..end).unwrap_or_default();
            let session = steps.uuid(text).or_else(|| other_session(text, row, rows));
            row += 1;
            session
        });
        rows.event_time.extend_from_slice(&self.event_time[..count]);
        rows.event_type.extend_from_slice(&self.event_type[..count]);
        rows.product_id.extend_from_slice(&self.product_id[..count]);
        rows.category_id.extend_from_slice(&self.category_id[..count]);
        rows.category_code.extend_from_slice(&self.category_code[..count]);
        rows.brand.extend_from_slice(&self.brand[..count]);
        rows.price.extend_from_slice(&self.price[..count]);
        rows.user_id.extend_from_slice(&self.user_id[..count]);
        rows.user_session.uuids.extend_from_slice(&self.user_session[..count]);
        count
    }
}

/// The code of a text that is not quoted.
#[inline(always)]
fn code(bytes: &[u8], start: usize, end: usize, cache: &CodeCache) -> Option<u32> {
    let key = Key::at(bytes, start, end)?;
    if key.starts_with(b'"') { None } else { cache.find(&key) }
}

/// The longest session that is taken here: longer than anything that is called one. The general path checks others
/// against the limit.
const LONGEST_SESSION: usize = 256;

/// A session that is missing, another text, or before a carriage return; what is no UUID is noted for its row.
#[cold]
fn other_session(text: &[u8], row: usize, rows: &mut Rows) -> Option<u128> {
    let text = text.strip_suffix(b"\r").unwrap_or(text);
    if text.len() > LONGEST_SESSION || text.starts_with(b"\"") {
        return None;
    }
    Some(uuid::parse(text).unwrap_or_else(|| {
        let session = if text.is_empty() { Session::Missing } else { Session::Text(text) };
        rows.session(row, session)
    }))
}
