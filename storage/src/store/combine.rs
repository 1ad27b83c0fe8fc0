//! The CRC32C of two pieces of text together, from those of each.
//!
//! A checksum is a polynomial's remainder, and text appended behind multiplies what stood before by `x` to the power of
//! its bits. That power is a product of some twenty of the powers `x^(2^n)`, which stand in a table: less than a
//! microsecond. The crc32c crate squares matrices for every call, at twenty microseconds, which two calls for each block
//! made a fiftieth of a load.

/// CRC32C's polynomial (Castagnoli's), its bits reversed as everywhere here: the highest bit is `x^0`.
const POLYNOMIAL: u32 = 0x82F6_3B78;

/// `x^0`.
const ONE: u32 = 1 << 31;

/// Powers `x^(2^n)`. The next would be the first again: the order of `x` divides `2^31 - 1`.
const SQUARES: [u32; 31] = squares();

/// The CRC32C of two pieces one after the other, the second of them `second_length` bytes long.
pub(crate) const fn combine(first: u32, second: u32, second_length: u64) -> u32 {
    let mut shifted = first;
    let mut left = second_length;
    // A byte is eight bits: 2^3.
    let mut square = 3;
    while left > 0 {
        if left & 1 == 1 {
            shifted = multiply(SQUARES[square % SQUARES.len()], shifted);
        }
        left >>= 1;
        square += 1;
    }
    shifted ^ second
}

/// The product of two polynomials, modulo CRC32C's.
const fn multiply(a: u32, b: u32) -> u32 {
    let (mut product, mut shifted) = (0, b);
    let mut bit = ONE;
    while bit > 0 {
        if a & bit > 0 {
            product ^= shifted;
        }
        shifted = (shifted >> 1) ^ (POLYNOMIAL * (shifted & 1));
        bit >>= 1;
    }
    product
}

const fn squares() -> [u32; 31] {
    let mut squares = [ONE >> 1; 31];
    let mut at = 1;
    while at < squares.len() {
        squares[at] = multiply(squares[at - 1], squares[at - 1]);
        at += 1;
    }
    squares
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn equals_the_checksum_of_both(first in proptest::collection::vec(any::<u8>(), 0..200), second in proptest::collection::vec(any::<u8>(), 0..5000)) {
            let combined = combine(crc32c::crc32c(&first), crc32c::crc32c(&second), second.len() as u64);
            prop_assert_eq!(combined, crc32c::crc32c(&[first, second].concat()));
        }

        #[test]
        fn equals_the_crate(first: u32, second: u32, length in 0_u64..1 << 60) {
            prop_assert_eq!(combine(first, second, length), crc32c::crc32c_combine(first, second, length as usize));
        }
    }
}
