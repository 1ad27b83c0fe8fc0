//! Bit widths that RLEv2 knows, and packing to them, highest bit first.

/// The bits that a value needs; 0 for zero.
pub(super) fn bit_width(value: u64) -> u32 {
    64 - value.leading_zeros()
}

/// The bytes that a value needs, at least one.
pub(super) fn byte_width(value: u64) -> usize {
    bit_width(value).div_ceil(8).max(1) as usize
}

/// The smallest width that packs fast and holds that many bits: 1, 2, 4 or whole bytes.
pub(super) fn aligned_width(bits: u32) -> u32 {
    match bits {
        0 | 1 => 1,
        2 => 2,
        3 | 4 => 4,
        more => more.next_multiple_of(8),
    }
}

/// The smallest width that has a code and holds that many bits.
pub(super) fn closest_width(bits: u32) -> u32 {
    match bits {
        0 => 1,
        1..=24 => bits,
        25..=32 => bits.next_multiple_of(2),
        more => more.next_multiple_of(8),
    }
}

/// The five bits that stand for a width in a block's header.
pub(super) fn width_code(width: u32) -> u32 {
    match width {
        0..=24 => width.saturating_sub(1),
        25..=32 => 24 + (width - 26) / 2,
        more => 27 + (more - 32) / 8,
    }
}

/// Appends the lowest `bytes` bytes of a value, the highest first.
pub(super) fn append_big_endian(value: u64, bytes: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_be_bytes()[8 - bytes..]);
}

/// Appends the lowest `width` bits of each value, filled up to a whole byte at the end. Whole bytes are copied, other
/// widths go through a bit buffer.
pub(super) fn pack(values: impl Iterator<Item = u64>, width: u32, out: &mut Vec<u8>) {
    if width.is_multiple_of(8) {
        for value in values {
            append_big_endian(value, width as usize / 8, out);
        }
        return;
    }
    let mut buffer = 0_u128;
    let mut held = 0;
    for value in values {
        buffer = buffer << width | u128::from(value);
        held += width;
        while held >= 8 {
            held -= 8;
            out.push((buffer >> held) as u8);
        }
    }
    if held > 0 {
        out.push((buffer << (8 - held)) as u8);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn widths_and_codes_of_the_specification() {
        let table = [(1, 0), (2, 1), (4, 3), (8, 7), (16, 15), (24, 23), (26, 24), (28, 25), (30, 26), (32, 27)];
        for (width, code) in table.into_iter().chain([(40, 28), (48, 29), (56, 30), (64, 31)]) {
            assert_eq!(width_code(width), code);
            assert_eq!(closest_width(width), width);
        }
        for bits in 1..=64 {
            assert!(closest_width(bits) >= bits && aligned_width(bits) >= closest_width(bits));
            assert!(bits == 1 || closest_width(bits - 1) <= closest_width(bits));
        }
    }

    #[test]
    fn packing_fills_bytes_from_the_top() {
        let mut out = Vec::new();
        pack([1, 0, 1].into_iter(), 1, &mut out);
        pack([0x12, 0x3].into_iter(), 14, &mut out);
        pack([u64::MAX, 1].into_iter(), 64, &mut out);
        assert_eq!(out, [&[0xa0, 0x00, 0x48, 0x00, 0x30][..], &[0xff; 8], &[0, 0, 0, 0, 0, 0, 0, 1]].concat());
    }
}
