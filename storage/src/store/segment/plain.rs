//! Casting between bytes and slices of numbers: the store's only unsafe code.
//!
//! A segment is read in place, so the bytes of the memory map become `&[u32]` and the like without a copy. Both
//! directions are sound for any bytes because the numbers here have no padding and no invalid bit patterns; length and
//! alignment are checked at each cast. The files are little-endian, and so is every machine this crate compiles on.

/// Numbers of which every bit pattern is valid and that have no padding.
///
/// Sealed: implemented here for the widths the format has, and nowhere else.
pub(super) trait Plain: Copy + sealed::Sealed {}

mod sealed {
    pub(in super::super) trait Sealed {}
}

macro_rules! plain {
    ($($number:ty),*) => { $(impl sealed::Sealed for $number {} impl Plain for $number {})* };
}

plain!(u8, u16, u32, u64, i64, u128);

/// Reads bytes as numbers; `None` if the bytes are misaligned for them or are not a whole number of them.
pub(super) fn numbers<T: Plain>(bytes: &[u8]) -> Option<&[T]> {
    if bytes.is_empty() {
        return Some(&[]);
    }
    let size = size_of::<T>();
    if !bytes.len().is_multiple_of(size) || !bytes.as_ptr().cast::<T>().is_aligned() {
        return None;
    }
    #[expect(unsafe_code, reason = "columns are read in place from the memory map")]
    // SAFETY: `Plain` types accept every bit pattern. The pointer is aligned for `T` and the length is a whole number
    // of them (both checked above), and the result borrows `bytes`, so that the memory stays readable and unchanged.
    Some(unsafe { std::slice::from_raw_parts(bytes.as_ptr().cast::<T>(), bytes.len() / size) })
}

/// The bytes of numbers, as they stand in a file.
pub(super) fn bytes<T: Plain>(numbers: &[T]) -> &[u8] {
    #[expect(unsafe_code, reason = "columns are written as they stand in memory")]
    // SAFETY: `Plain` types have no padding, so that every byte is initialised; `u8` needs no alignment, the length is
    // that of the slice in bytes, and the result borrows `numbers`.
    unsafe {
        std::slice::from_raw_parts(numbers.as_ptr().cast::<u8>(), size_of_val(numbers))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_and_back() {
        let values = [1_u32, 0, u32::MAX, 7];
        assert_eq!(bytes(&values)[..4], [1, 0, 0, 0]);
        assert_eq!(numbers::<u32>(bytes(&values)), Some(&values[..]));
        assert_eq!(numbers::<u128>(bytes(&[3_u128, u128::MAX])), Some(&[3_u128, u128::MAX][..]));
    }

    #[test]
    fn refuses_odd_lengths_and_starts() {
        let values = [0_u64; 4];
        let all = bytes(&values);
        assert!(numbers::<u64>(&all[..15]).is_none());
        assert!(numbers::<u64>(&all[4..12]).is_none());
        assert_eq!(numbers::<u32>(&all[4..12]), Some(&[0, 0][..]));
        assert_eq!(numbers::<u64>(&all[1..1]), Some(&[][..]));
    }
}
