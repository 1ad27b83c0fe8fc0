//! Integers in runs, versions 1 and 2 of the encoding.
//!
//! Version 1 has runs with a constant step and literals. Version 2 has four kinds: short repeats, packed values, packed
//! values with a base and patches for the few that are wide, and packed steps. Arithmetic wraps, as other readers' does.
//! Source: <https://orc.apache.org/specification/ORCv1/>, "Integer Run Length Encoding".

use super::stream::Stream;
use crate::source::columnar::ReadError;

/// Which encoding a column has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

/// The integers of a stream.
#[derive(Debug)]
pub(super) struct Integers {
    stream: Stream,
    version: Version,
    is_signed: bool,
    /// The values of the present run, at most 512, and the next of them.
    run: Vec<i64>,
    next: usize,
}

impl Integers {
    pub(super) fn new(stream: Stream, version: Version, is_signed: bool) -> Self {
        Self { stream, version, is_signed, run: Vec::new(), next: 0 }
    }

    /// Appends the next `count` values.
    pub(super) fn append(&mut self, mut count: usize, into: &mut Vec<i64>) -> Result<(), ReadError> {
        while count > 0 {
            if self.next == self.run.len() {
                self.run.clear();
                self.next = 0;
                match self.version {
                    Version::One => self.run_of_version_1()?,
                    Version::Two => self.run_of_version_2()?,
                }
            }
            let taken = count.min(self.run.len() - self.next);
            into.extend_from_slice(&self.run[self.next..self.next + taken]);
            self.next += taken;
            count -= taken;
        }
        Ok(())
    }

    fn restore(&self, value: u64) -> i64 {
        if self.is_signed { unzigzag(value) } else { value as i64 }
    }

    fn run_of_version_1(&mut self) -> Result<(), ReadError> {
        let control = self.stream.byte()?;
        if control < 128 {
            let step = i64::from(self.stream.byte()? as i8);
            let mut value = self.varint()?;
            for _ in 0..usize::from(control) + 3 {
                self.run.push(value);
                value = value.wrapping_add(step);
            }
        } else {
            for _ in 0..256 - usize::from(control) {
                let value = self.varint()?;
                self.run.push(value);
            }
        }
        Ok(())
    }

    fn varint(&mut self) -> Result<i64, ReadError> {
        let value = self.stream.varint()?;
        Ok(self.restore(value))
    }

    fn run_of_version_2(&mut self) -> Result<(), ReadError> {
        let first = self.stream.byte()?;
        if first >> 6 == 0 {
            return self.short_repeat(first);
        }
        let length = (usize::from(first & 1) << 8 | usize::from(self.stream.byte()?)) + 1;
        let code = first >> 1 & 31;
        match first >> 6 {
            1 => self.packed(width_of_code(code), length),
            2 => self.patched(width_of_code(code), length),
            _ => self.steps(if code == 0 { 0 } else { width_of_code(code) }, length),
        }
    }

    fn short_repeat(&mut self, first: u8) -> Result<(), ReadError> {
        let value = self.big_endian(usize::from(first >> 3 & 7) + 1)?;
        self.run.resize(usize::from(first & 7) + 3, self.restore(value));
        Ok(())
    }

    fn packed(&mut self, width: u32, length: usize) -> Result<(), ReadError> {
        let mut bits = Unpacked::default();
        for _ in 0..length {
            let value = bits.next(&mut self.stream, width)?;
            self.run.push(self.restore(value));
        }
        Ok(())
    }

    fn patched(&mut self, width: u32, length: usize) -> Result<(), ReadError> {
        let (third, fourth) = (self.stream.byte()?, self.stream.byte()?);
        let base_bytes = usize::from(third >> 5) + 1;
        let patch_width = width_of_code(third & 31);
        let gap_width = u32::from(fourth >> 5) + 1;
        let patches = usize::from(fourth & 31);
        let base = self.big_endian(base_bytes)?;
        // The base's highest bit is its sign, the others its size.
        let sign = 1 << (8 * base_bytes - 1);
        let base = if base & sign == 0 { base as i64 } else { ((base & !sign) as i64).wrapping_neg() };
        let mut bits = Unpacked::default();
        let mut values = Vec::with_capacity(length);
        for _ in 0..length {
            values.push(bits.next(&mut self.stream, width)?);
        }
        let entry_width = patch_width + gap_width;
        if entry_width > 64 {
            return Err(self.stream.damaged(format!("patches of {patch_width} bits with gaps of {gap_width}")));
        }
        let (mut bits, mut at) = (Unpacked::default(), 0);
        for _ in 0..patches {
            let entry = bits.next(&mut self.stream, closest_width(entry_width))?;
            at += (entry >> patch_width) as usize;
            let patch = entry & (u64::MAX >> (64 - patch_width));
            match values.get_mut(at) {
                Some(value) if width < 64 => *value |= patch << width,
                Some(_) => {}
                None => return Err(self.stream.damaged(format!("a patch of value {at} in a run of {length}"))),
            }
        }
        self.run.extend(values.into_iter().map(|value| base.wrapping_add(value as i64)));
        Ok(())
    }

    fn steps(&mut self, width: u32, length: usize) -> Result<(), ReadError> {
        let mut value = self.varint()?;
        let first_step = unzigzag(self.stream.varint()?);
        self.run.push(value);
        let mut bits = Unpacked::default();
        for index in 1..length {
            let step = if width == 0 || index == 1 {
                first_step
            } else {
                let step = bits.next(&mut self.stream, width)? as i64;
                if first_step < 0 { step.wrapping_neg() } else { step }
            };
            value = value.wrapping_add(step);
            self.run.push(value);
        }
        Ok(())
    }

    fn big_endian(&mut self, bytes: usize) -> Result<u64, ReadError> {
        (0..bytes).try_fold(0, |value, _| Ok(value << 8 | u64::from(self.stream.byte()?)))
    }
}

const fn unzigzag(value: u64) -> i64 {
    (value >> 1) as i64 ^ -((value & 1) as i64)
}

/// Values of some bits each, the first in the highest place; they end at a whole byte.
#[derive(Debug, Default)]
struct Unpacked {
    byte: u8,
    left: u32,
}

impl Unpacked {
    fn next(&mut self, stream: &mut Stream, width: u32) -> Result<u64, ReadError> {
        let (mut value, mut wanted) = (0_u64, width);
        while wanted > 0 {
            if self.left == 0 {
                self.byte = stream.byte()?;
                self.left = 8;
            }
            let taken = wanted.min(self.left);
            let bits = self.byte >> (self.left - taken) & (0xFF >> (8 - taken));
            value = value << taken | u64::from(bits);
            self.left -= taken;
            wanted -= taken;
        }
        Ok(value)
    }
}

const fn width_of_code(code: u8) -> u32 {
    match code {
        0..=23 => code as u32 + 1,
        24 => 26,
        25 => 28,
        26 => 30,
        27 => 32,
        28 => 40,
        29 => 48,
        30 => 56,
        _ => 64,
    }
}

/// The next width that values can be packed in.
const fn closest_width(width: u32) -> u32 {
    match width {
        0 => 1,
        1..=24 => width,
        25..=32 => width.next_multiple_of(2),
        _ => width.next_multiple_of(8),
    }
}

#[cfg(test)]
mod tests {
    use super::super::stream::{Chunking, Codec};
    use super::*;

    fn integers(bytes: &[u8], version: Version, is_signed: bool) -> Integers {
        let chunking = Chunking { codec: Codec::None, limit: 0 };
        Integers::new(Stream::new("data", bytes.to_vec().into(), chunking), version, is_signed)
    }

    fn read(bytes: &[u8], version: Version, is_signed: bool, count: usize) -> Vec<i64> {
        let mut values = Vec::new();
        integers(bytes, version, is_signed).append(count, &mut values).unwrap();
        for end in 0..bytes.len() {
            let mut cut = Vec::new();
            assert!(integers(&bytes[..end], version, is_signed).append(count, &mut cut).is_err(), "cut at {end}");
        }
        values
    }

    #[test]
    fn runs_of_the_specification() {
        use Version::{One, Two};
        assert_eq!(read(&[0x61, 0x00, 0x07], One, false, 100), [7; 100]);
        assert_eq!(read(&[0x61, 0xFF, 0x64], One, false, 100), (1..=100).rev().collect::<Vec<_>>());
        assert_eq!(read(&[0xFB, 0x02, 0x03, 0x06, 0x07, 0x0B], One, false, 5), [2, 3, 6, 7, 11]);
        assert_eq!(read(&[0xFE, 0x03, 0x04], One, true, 2), [-2, 2]);
        assert_eq!(read(&[0x0A, 0x27, 0x10], Two, false, 5), [10_000; 5]);
        let direct = [0x5E, 0x03, 0x5C, 0xA1, 0xAB, 0x1E, 0xDE, 0xAD, 0xBE, 0xEF];
        assert_eq!(read(&direct, Two, false, 4), [23_713, 43_806, 57_005, 48_879]);
        let patched = [
            0x8E, 0x13, 0x2B, 0x21, 0x07, 0xD0, 0x1E, 0x00, 0x14, 0x70, 0x28, 0x32, 0x3C, 0x46, 0x50, 0x5A, 0x64, 0x6E,
            0x78, 0x82, 0x8C, 0x96, 0xA0, 0xAA, 0xB4, 0xBE, 0xFC, 0xE8,
        ];
        let mut expected = vec![2030, 2000, 2020, 1_000_000];
        expected.extend((2040..=2190).step_by(10));
        assert_eq!(read(&patched, Two, false, 20), expected);
        let steps = [0xC6, 0x09, 0x02, 0x02, 0x22, 0x42, 0x42, 0x46];
        assert_eq!(read(&steps, Two, false, 10), [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]);
    }

    #[test]
    fn values_go_on_over_runs() {
        let mut found = Vec::new();
        let mut runs = integers(&[0x0A, 0x27, 0x10, 0x00, 0x05], Version::Two, false);
        for count in [2, 5, 1] {
            runs.append(count, &mut found).unwrap();
        }
        assert_eq!(found, [10_000, 10_000, 10_000, 10_000, 10_000, 5, 5, 5]);
    }

    #[test]
    fn a_patch_outside_its_run_is_damage() {
        let damaged = [0x8E, 0x00, 0x2B, 0x21, 0x07, 0xD0, 0x1E, 0xFC, 0xE8];
        let error = integers(&damaged, Version::Two, false).append(1, &mut Vec::new()).unwrap_err();
        assert!(format!("{error:?}").contains("a patch of value 3 in a run of 1"), "{error:?}");
    }
}
