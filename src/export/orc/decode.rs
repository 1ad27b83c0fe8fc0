//! A small reader of RLEv2 for the tests, written from the specification and sharing no code with the writer.

use super::integers::Sign;

/// The values of a whole stream.
pub(super) fn decode_integers(mut bytes: &[u8], sign: Sign) -> Vec<i64> {
    let mut values = Vec::new();
    while !bytes.is_empty() {
        let header = bytes[0];
        bytes = match header >> 6 {
            0 => short_repeat(bytes, sign, &mut values),
            1 => direct(bytes, sign, &mut values),
            2 => patched_base(bytes, &mut values),
            _ => delta(bytes, sign, &mut values),
        };
    }
    values
}

fn restore(value: u64, sign: Sign) -> i64 {
    match sign {
        Sign::Signed => (value >> 1) as i64 ^ -((value & 1) as i64),
        Sign::Unsigned => value as i64,
    }
}

fn big_endian(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0, |value, &byte| value << 8 | u64::from(byte))
}

fn width_of_code(code: u8) -> usize {
    match code {
        0..=23 => usize::from(code) + 1,
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

fn header(bytes: &[u8]) -> (usize, usize) {
    let length = (usize::from(bytes[0] & 1) << 8 | usize::from(bytes[1])) + 1;
    (width_of_code(bytes[0] >> 1 & 31), length)
}

fn unpack(bytes: &[u8], width: usize, count: usize) -> (Vec<u64>, &[u8]) {
    let bit = |at: usize| u64::from(bytes[at / 8] >> (7 - at % 8) & 1);
    let value = |index: usize| (index * width..(index + 1) * width).fold(0, |value, at| value << 1 | bit(at));
    ((0..count).map(value).collect(), &bytes[(width * count).div_ceil(8)..])
}

fn varint(bytes: &[u8]) -> (u64, &[u8]) {
    let length = bytes.iter().position(|byte| byte & 0x80 == 0).unwrap() + 1;
    let value = bytes[..length].iter().rev().fold(0_u128, |value, byte| value << 7 | u128::from(byte & 0x7f));
    (u64::try_from(value).unwrap(), &bytes[length..])
}

fn short_repeat<'a>(bytes: &'a [u8], sign: Sign, values: &mut Vec<i64>) -> &'a [u8] {
    let width = usize::from(bytes[0] >> 3 & 7) + 1;
    let count = usize::from(bytes[0] & 7) + 3;
    let value = restore(big_endian(&bytes[1..=width]), sign);
    values.resize(values.len() + count, value);
    &bytes[1 + width..]
}

fn direct<'a>(bytes: &'a [u8], sign: Sign, values: &mut Vec<i64>) -> &'a [u8] {
    let (width, length) = header(bytes);
    let (unpacked, rest) = unpack(&bytes[2..], width, length);
    values.extend(unpacked.into_iter().map(|value| restore(value, sign)));
    rest
}

fn patched_base<'a>(bytes: &'a [u8], values: &mut Vec<i64>) -> &'a [u8] {
    let (width, length) = header(bytes);
    let base_bytes = usize::from(bytes[2] >> 5) + 1;
    let patch_width = width_of_code(bytes[2] & 31);
    let gap_width = usize::from(bytes[3] >> 5) + 1;
    let patches = usize::from(bytes[3] & 31);
    assert!(patches > 0 && patch_width + gap_width <= 64, "readers refuse other patch lists");
    let stored = big_endian(&bytes[4..4 + base_bytes]);
    let sign_bit = 1 << (8 * base_bytes - 1);
    let base = if stored & sign_bit == 0 { stored as i64 } else { -((stored & !sign_bit) as i64) };
    let (mut low, rest) = unpack(&bytes[4 + base_bytes..], width, length);
    let entry_width = (patch_width + gap_width..=64).find(|&width| (0..32).any(|code| width_of_code(code) == width));
    let (entries, rest) = unpack(rest, entry_width.unwrap(), patches);
    let mut at = 0;
    for entry in entries {
        at += (entry >> patch_width) as usize;
        let patch = entry & (u64::MAX >> (64 - patch_width));
        if patch > 0 {
            low[at] |= patch << width;
        }
    }
    values.extend(low.into_iter().map(|value| base + value as i64));
    rest
}

fn delta<'a>(bytes: &'a [u8], sign: Sign, values: &mut Vec<i64>) -> &'a [u8] {
    let (width, length) = header(bytes);
    let is_fixed = bytes[0] >> 1 & 31 == 0;
    let (first, rest) = varint(&bytes[2..]);
    let (first_delta, rest) = varint(rest);
    let (mut value, first_delta) = (restore(first, sign), restore(first_delta, Sign::Signed));
    values.push(value);
    if is_fixed {
        for _ in 1..length {
            value += first_delta;
            values.push(value);
        }
        return rest;
    }
    assert_ne!(first_delta, 0, "the sign of the first difference says which way the others go");
    value += first_delta;
    values.push(value);
    let (deltas, rest) = unpack(rest, width, length - 2);
    for delta in deltas {
        value = if first_delta < 0 { value - delta as i64 } else { value + delta as i64 };
        values.push(value);
    }
    rest
}
