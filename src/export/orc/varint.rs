//! Base-128 varints and zigzag, which both Protocol Buffers and ORC's own streams are made of.

/// Appends a varint: seven bits a byte, the lowest first, the high bit set on all but the last.
pub(super) fn append_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// As [`append_varint`] for 128 bits.
pub(super) fn append_wide_varint(mut value: u128, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The bytes that [`append_varint`] takes.
pub(super) fn varint_length(value: u64) -> usize {
    (64 - (value | 1).leading_zeros()).div_ceil(7) as usize
}

/// Signed to unsigned, so that small magnitudes stay small: 0, -1, 1, -2, … become 0, 1, 2, 3, …
pub(super) fn zigzag(value: i64) -> u64 {
    (value << 1 ^ value >> 63) as u64
}

/// As [`zigzag`] for 128 bits.
pub(super) fn wide_zigzag(value: i128) -> u128 {
    (value << 1 ^ value >> 127) as u128
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_of_the_specification() {
        for (value, expected) in [
            (0, &[0x00_u8][..]),
            (127, &[0x7f]),
            (128, &[0x80, 0x01]),
            (16_383, &[0xff, 0x7f]),
            (16_385, &[0x81, 0x80, 0x01]),
            (u64::MAX, &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01]),
        ] {
            let mut out = Vec::new();
            append_varint(value, &mut out);
            assert_eq!(out, expected);
            assert_eq!(varint_length(value), expected.len());
            out.clear();
            append_wide_varint(u128::from(value), &mut out);
            assert_eq!(out, expected);
        }
    }

    #[test]
    fn zigzag_of_the_specification() {
        assert_eq!([0, -1, 1, -2, 2, i64::MAX, i64::MIN].map(zigzag), [0, 1, 2, 3, 4, u64::MAX - 1, u64::MAX]);
        assert_eq!([-1, i128::MAX, i128::MIN].map(wide_zigzag), [1, u128::MAX - 1, u128::MAX]);
    }
}
