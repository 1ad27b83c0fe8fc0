//! Integer run length encoding, version 2 (RLEv2): how ORC stores ids, lengths, codes, days and seconds.
//!
//! A stream is a sequence of blocks of at most 512 values, each in the cheapest of four encodings:
//!
//! | encoding     | for                                | bytes for `n` values                                      |
//! |--------------|------------------------------------|-----------------------------------------------------------|
//! | short repeat | 3…10 times the same value          | 1 + bytes of the value                                    |
//! | delta        | arithmetic or monotonic sequences  | 2 + varint first value + varint first delta + deltas      |
//! | direct       | values of one magnitude            | 2 + `n` × width of the widest                             |
//! | patched base | a few outliers above a common base | 4 + base + `n` × width of most + (gap, high bits) a patch |
//!
//! The choice is by exact cost, not by the reference writer's thresholds. The values ahead are scanned for a run
//! (constant difference, zero included) that is cheaper on its own than as part of a direct block, headers included;
//! what stands before it becomes one block, whose three candidate costs are computed from one pass over its values.
//!
//! Widths are the byte-aligned ones (1, 2, 4, 8, 16, 24, …, 64 bits), as the reference writers choose by default:
//! they are packed and unpacked several times faster than odd widths, and a general compression behind them finds
//! whole bytes that repeat, which more than pays for the bits.
//!
//! Extreme values: differences are formed in 128 bits or checked, so that `i64::MIN` beside `i64::MAX` ends in a
//! direct block. Patched base is used only where the whole span fits 63 bits and the base, which is stored as sign
//! and magnitude, fits its eight bytes. Source: ORC specification v1, "Integer Run Length Encoding, version 2".

use super::bits::{aligned_width, append_big_endian, bit_width, byte_width, closest_width, pack, width_code};
use super::varint::{append_varint, varint_length, zigzag};

/// Values of a block at most.
const BLOCK: usize = 512;
const LEAST_RUN: usize = 3;
const LONGEST_SHORT_REPEAT: usize = 10;
const MOST_PATCHES: usize = 31;
const WIDEST_GAP: usize = 255;

/// Whether a stream's values are zigzag encoded; fixed by the kind of stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sign {
    /// Any 64-bit values.
    Signed,
    /// Values that are never negative: lengths, dictionary codes, nanoseconds.
    Unsigned,
}

impl Sign {
    fn encode(self, value: i64) -> u64 {
        match self {
            Self::Signed => zigzag(value),
            Self::Unsigned => value as u64,
        }
    }
}

/// Appends the encoded values; the encoding ends with them (nothing is pending).
pub(super) fn append_integers(values: &[i64], sign: Sign, out: &mut Vec<u8>) {
    let mut rest = values;
    while !rest.is_empty() {
        let ahead = &rest[..rest.len().min(BLOCK)];
        let width = direct_width(ahead, sign);
        let (start, length) = first_paying_run(ahead, width, sign);
        if start == 0 && length > 0 {
            append_run(&ahead[..length], sign, out);
            rest = &rest[length..];
        } else {
            append_block(&ahead[..start], sign, out);
            rest = &rest[start..];
        }
    }
}

/// Where the first run starts that is better off alone, and its length; `(values.len(), 0)` if there is none.
fn first_paying_run(values: &[i64], width: u32, sign: Sign) -> (usize, usize) {
    // The block that the run interrupts needs a second header behind it.
    const INTERRUPTION_BYTES: usize = 2;
    let mut start = 0;
    while start + LEAST_RUN <= values.len() {
        let length = run_length(&values[start..]);
        if length >= LEAST_RUN
            && length * width as usize > 8 * (run_cost(&values[start..start + length], sign) + INTERRUPTION_BYTES)
        {
            return (start, length);
        }
        // The last value of a run may begin the next one.
        start += (length - 1).max(1);
    }
    (values.len(), 0)
}

/// How many values from the first have the same difference to their neighbours.
fn run_length(values: &[i64]) -> usize {
    let [first, second, ..] = values else { return values.len() };
    let Some(delta) = second.checked_sub(*first) else { return 1 };
    1 + values.windows(2).take_while(|pair| pair[1].checked_sub(pair[0]) == Some(delta)).count()
}

fn run_cost(run: &[i64], sign: Sign) -> usize {
    if is_short_repeat(run) {
        1 + byte_width(sign.encode(run[0]))
    } else {
        2 + varint_length(sign.encode(run[0])) + varint_length(zigzag(run[1].wrapping_sub(run[0])))
    }
}

fn is_short_repeat(run: &[i64]) -> bool {
    run[0] == run[1] && run.len() <= LONGEST_SHORT_REPEAT
}

fn append_run(run: &[i64], sign: Sign, out: &mut Vec<u8>) {
    if is_short_repeat(run) {
        let value = sign.encode(run[0]);
        let bytes = byte_width(value);
        out.push(((bytes - 1) << 3 | (run.len() - LEAST_RUN)) as u8);
        append_big_endian(value, bytes, out);
    } else {
        append_header(Encoding::Delta, 0, run.len(), out);
        append_varint(sign.encode(run[0]), out);
        append_varint(zigzag(run[1].wrapping_sub(run[0])), out);
    }
}

/// Appends up to [`BLOCK`] values in the cheapest of the encodings that are no run.
fn append_block(values: &[i64], sign: Sign, out: &mut Vec<u8>) {
    let width = direct_width(values, sign);
    let direct_cost = 2 + packed_bytes(values.len(), width);
    let delta = Delta::of(values, sign);
    let delta_cost = delta.as_ref().map_or(usize::MAX, |delta| delta.cost);
    let patched = PatchedBase::of(values, direct_cost.min(delta_cost));
    match (patched, delta) {
        (Some(patched), _) => patched.append(values, out),
        (None, Some(delta)) if delta_cost < direct_cost => delta.append(values, sign, out),
        _ => {
            append_header(Encoding::Direct, width, values.len(), out);
            pack(values.iter().map(|&value| sign.encode(value)), width, out);
        }
    }
}

fn direct_width(values: &[i64], sign: Sign) -> u32 {
    aligned_width(bit_width(values.iter().fold(0, |bits, &value| bits | sign.encode(value))))
}

fn packed_bytes(values: usize, width: u32) -> usize {
    (values * width as usize).div_ceil(8)
}

/// A monotonic block: the first value, the signed first difference, and the magnitudes of the others.
struct Delta {
    width: u32,
    cost: usize,
}

impl Delta {
    /// `None` if the values are not monotonic, begin with two equal ones (the first difference's sign says which way
    /// the others go) or are too far apart.
    fn of(values: &[i64], sign: Sign) -> Option<Self> {
        let [first, second, ..] = values else { return None };
        let first_delta = second.checked_sub(*first).filter(|&delta| delta != 0)?;
        let mut magnitudes = 0;
        for pair in values[1..].windows(2) {
            let delta = pair[1].checked_sub(pair[0])?;
            if delta != 0 && (delta < 0) != (first_delta < 0) {
                return None;
            }
            magnitudes |= delta.unsigned_abs();
        }
        // A width of one bit can't be told from none.
        let width = aligned_width(bit_width(magnitudes)).max(2);
        let ends = varint_length(sign.encode(*first)) + varint_length(zigzag(first_delta));
        Some(Self { width, cost: 2 + ends + packed_bytes(values.len() - 2, width) })
    }

    fn append(&self, values: &[i64], sign: Sign, out: &mut Vec<u8>) {
        append_header(Encoding::Delta, self.width, values.len(), out);
        append_varint(sign.encode(values[0]), out);
        append_varint(zigzag(values[1].wrapping_sub(values[0])), out);
        pack(values[1..].windows(2).map(|pair| pair[1].abs_diff(pair[0])), self.width, out);
    }
}

/// A block over its smallest value, with the high bits of at most 31 outliers listed behind it.
struct PatchedBase {
    base: i64,
    base_bytes: usize,
    width: u32,
    patch_width: u32,
    gap_width: u32,
    /// Steps from the patch before, and the outlier's high bits; a step of 255 with no bits goes on to the next.
    patches: Vec<(u64, u64)>,
}

impl PatchedBase {
    /// The cheapest width whose block costs less than `limit` bytes, if there is one.
    fn of(values: &[i64], limit: usize) -> Option<Self> {
        let (base, largest) = values.iter().fold((i64::MAX, i64::MIN), |(low, high), &v| (low.min(v), high.max(v)));
        let span = u64::try_from(largest.checked_sub(base)?).ok()?;
        // One bit more for the sign, which stands apart from the magnitude.
        let base_bytes = (bit_width(base.unsigned_abs()) + 1).div_ceil(8) as usize;
        if base_bytes > 8 {
            return None;
        }
        let mut of_width = [0_usize; 65];
        for &value in values {
            of_width[bit_width(value.wrapping_sub(base) as u64) as usize] += 1;
        }
        let mut best: Option<(usize, Self)> = None;
        for width in (1..bit_width(span)).filter(|&width| aligned_width(width) == width) {
            let outliers: usize = of_width[width as usize + 1..].iter().sum();
            let least_cost = 4 + base_bytes + packed_bytes(values.len(), width) + outliers;
            let bound = best.as_ref().map_or(limit, |(cost, _)| *cost);
            if outliers > MOST_PATCHES || least_cost >= bound {
                continue;
            }
            if let Some(candidate) = Self::with_width(values, base, base_bytes, width, bit_width(span)) {
                let cost = candidate.cost(values.len());
                if cost < bound {
                    best = Some((cost, candidate));
                }
            }
        }
        best.map(|(_, patched)| patched)
    }

    fn with_width(values: &[i64], base: i64, base_bytes: usize, width: u32, span_width: u32) -> Option<Self> {
        let mut patches = Vec::new();
        let mut previous = 0;
        for (index, &value) in values.iter().enumerate() {
            let high = value.wrapping_sub(base) as u64 >> width;
            if high != 0 {
                let mut gap = index - previous;
                while gap > WIDEST_GAP {
                    patches.push((WIDEST_GAP as u64, 0));
                    gap -= WIDEST_GAP;
                }
                patches.push((gap as u64, high));
                previous = index;
            }
        }
        let gaps = patches.iter().fold(0, |bits, &(gap, _)| bits | gap);
        let (patch_width, gap_width) = (closest_width(span_width - width), bit_width(gaps).max(1));
        let fits = !patches.is_empty() && patches.len() <= MOST_PATCHES && patch_width + gap_width <= 64;
        fits.then_some(Self { base, base_bytes, width, patch_width, gap_width, patches })
    }

    fn cost(&self, values: usize) -> usize {
        4 + self.base_bytes + packed_bytes(values, self.width) + packed_bytes(self.patches.len(), self.entry_width())
    }

    /// The bits of a patch list entry: gap and patch together, rounded up to a width that there is.
    fn entry_width(&self) -> u32 {
        closest_width(self.patch_width + self.gap_width)
    }

    fn append(&self, values: &[i64], out: &mut Vec<u8>) {
        append_header(Encoding::PatchedBase, self.width, values.len(), out);
        out.push(((self.base_bytes - 1) as u32 * 32 + width_code(self.patch_width)) as u8);
        out.push(((self.gap_width - 1) * 32) as u8 | self.patches.len() as u8);
        let sign = if self.base < 0 { 1 << (8 * self.base_bytes - 1) } else { 0 };
        append_big_endian(self.base.unsigned_abs() | sign, self.base_bytes, out);
        let low_bits = u64::MAX >> (64 - self.width);
        pack(values.iter().map(|&value| value.wrapping_sub(self.base) as u64 & low_bits), self.width, out);
        let entries = self.patches.iter().map(|&(gap, high)| gap << self.patch_width | high);
        pack(entries, self.entry_width(), out);
    }
}

#[derive(Debug, Clone, Copy)]
enum Encoding {
    Direct = 1,
    PatchedBase = 2,
    Delta = 3,
}

/// Two bits of encoding, five of the width's code, nine of the length. Width 0 is a delta block of equal differences.
fn append_header(encoding: Encoding, width: u32, length: usize, out: &mut Vec<u8>) {
    let code = if width == 0 { 0 } else { width_code(width) };
    let length = length - 1;
    out.push(((encoding as u32) << 6 | code << 1) as u8 | (length >> 8) as u8);
    out.push(length as u8);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::decode::decode_integers;
    use super::*;

    fn encoded(values: &[i64], sign: Sign) -> Vec<u8> {
        let mut out = Vec::new();
        append_integers(values, sign, &mut out);
        assert_eq!(decode_integers(&out, sign), values);
        out
    }

    #[test]
    fn examples_of_the_specification() {
        assert_eq!(encoded(&[10_000; 5], Sign::Unsigned), [0x0a, 0x27, 0x10]);
        let direct = [23_713, 43_806, 57_005, 48_879];
        let expected = [0x5e, 0x03, 0x5c, 0xa1, 0xab, 0x1e, 0xde, 0xad, 0xbe, 0xef];
        assert_eq!(encoded(&direct, Sign::Unsigned), expected);
        let primes = [2, 3, 5, 7, 11, 13, 17, 19, 23, 29];
        assert_eq!(encoded(&primes, Sign::Unsigned), [0xc6, 0x09, 0x02, 0x02, 0x22, 0x42, 0x42, 0x46]);
    }

    #[test]
    fn the_patched_base_example_of_the_specification() {
        let values = [
            2030, 2000, 2020, 1_000_000, 2040, 2050, 2060, 2070, 2080, 2090, 2100, 2110, 2120, 2130, 2140, 2150, 2160,
            2170, 2180, 2190,
        ];
        let expected = [
            0x8e, 0x13, 0x2b, 0x21, 0x07, 0xd0, 0x1e, 0x00, 0x14, 0x70, 0x28, 0x32, 0x3c, 0x46, 0x50, 0x5a, 0x64, 0x6e,
            0x78, 0x82, 0x8c, 0x96, 0xa0, 0xaa, 0xb4, 0xbe, 0xfc, 0xe8,
        ];
        let mut out = Vec::new();
        PatchedBase::of(&values, usize::MAX).unwrap().append(&values, &mut out);
        assert_eq!(out, expected);
        assert_eq!(decode_integers(&out, Sign::Unsigned), values);
    }

    #[test]
    fn a_constant_column_costs_next_to_nothing() {
        assert!(encoded(&[2_053_013_555_631_882_655; 10_000], Sign::Signed).len() <= 20 * 12);
        assert!(encoded(&(0..10_000).collect::<Vec<_>>(), Sign::Signed).len() <= 20 * 6);
    }

    #[test]
    fn extremes_side_by_side() {
        let extremes = [i64::MIN, i64::MAX, 0, -1, 1, i64::MIN + 1, i64::MAX - 1, i64::MIN, i64::MIN, i64::MIN];
        encoded(&extremes, Sign::Signed);
        encoded(&[i64::MAX; 600], Sign::Signed);
        encoded(&[i64::MIN; 600], Sign::Signed);
        encoded(&[0, i64::MAX, 0, i64::MAX, 5], Sign::Unsigned);
        encoded(&[i64::MIN, -1, i64::MAX], Sign::Signed);
        let halves: Vec<i64> = (0..700).map(|index| if index % 300 == 299 { i64::MAX } else { index }).collect();
        encoded(&halves, Sign::Signed);
        encoded(&halves.iter().map(|value| -value).collect::<Vec<_>>(), Sign::Signed);
    }

    /// What another writer panicked on: product ids, most of them small and a few far above.
    #[test]
    fn skewed_product_ids() {
        let mut state = 88_172_645_463_325_252_u64;
        let mut random = move || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for _ in 0..300 {
            let values: Vec<i64> = (0..1500)
                .map(|_| match random() % 100 {
                    0 => (random() % 100_000_000) as i64,
                    1 => 2_053_013_555_631_882_655 + (random() % 1000) as i64,
                    _ => 1_000_000 + (random() % 5000) as i64,
                })
                .collect();
            encoded(&values, Sign::Signed);
        }
    }

    fn shapes() -> impl Strategy<Value = Vec<i64>> {
        let extreme = prop::collection::vec(any::<i64>(), 0..40);
        let small = prop::collection::vec(-3_i64..3, 0..1200);
        let skewed = prop::collection::vec((any::<i64>(), 0_u32..64, any::<bool>()), 0..1200).prop_map(|values| {
            values.into_iter().map(|(v, shift, big)| if big { v >> shift } else { v & 0xff }).collect()
        });
        let outliers = (prop::collection::vec((0_i64..200, 0_u8..40), 0..1200), any::<i64>(), 8_u32..62).prop_map(
            |(values, base, shift)| {
                let base = base >> 2;
                let raise = |(low, pick): (i64, u8)| base + low + if pick == 0 { 1_i64 << shift } else { 0 };
                values.into_iter().map(raise).collect()
            },
        );
        let monotonic = (any::<i64>(), prop::collection::vec(0_i64..5000, 0..1200), any::<bool>()).prop_map(
            |(start, steps, down)| {
                let next = |at: &mut i64, step: i64| {
                    *at = if down { at.saturating_sub(step) } else { at.saturating_add(step) };
                    Some(*at)
                };
                steps.into_iter().scan(start, next).collect()
            },
        );
        let runs = prop::collection::vec((any::<i64>(), -3_i64..3, 1_usize..700), 0..8).prop_map(|runs| {
            let run = |(start, step, length): (i64, i64, usize)| {
                (0..length as i64).map(move |index| start.wrapping_add(step * index))
            };
            runs.into_iter().flat_map(run).collect()
        });
        prop_oneof![extreme, small, skewed, outliers, monotonic, runs]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]
        #[test]
        fn roundtrip(values in shapes()) {
            encoded(&values, Sign::Signed);
            let unsigned: Vec<i64> = values.iter().map(|value| value & i64::MAX).collect();
            encoded(&unsigned, Sign::Unsigned);
        }

        #[test]
        fn a_block_never_costs_more_than_direct(values in prop::collection::vec(any::<i64>(), 1..512)) {
            let mut out = Vec::new();
            append_block(&values, Sign::Signed, &mut out);
            prop_assert!(out.len() <= 2 + packed_bytes(values.len(), direct_width(&values, Sign::Signed)));
        }
    }
}
