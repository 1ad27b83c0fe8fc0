//! Bytes in memory that start where a column may.

use bytes::Bytes;

/// The alignment that [`Directory::map`](super::Directory::map) promises.
const ALIGNMENT: usize = 64;

/// Copies the parts, `length` bytes in all, one after the other to memory aligned to 64 bytes.
///
/// Without unsafe code: the buffer is allocated with room to start at its first aligned byte.
pub(crate) fn aligned_bytes<'a>(length: usize, parts: impl Iterator<Item = &'a [u8]>) -> Bytes {
    let mut buffer: Vec<u8> = Vec::with_capacity(length + ALIGNMENT);
    let start = buffer.as_ptr().addr().wrapping_neg() % ALIGNMENT;
    buffer.resize(start, 0);
    parts.for_each(|part| buffer.extend_from_slice(part));
    debug_assert_eq!(buffer.len(), start + length, "the parts are of another length");
    Bytes::from(buffer).slice(start..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn starts_at_a_multiple_of_64() {
        for length in [0, 1, 63, 64, 65, 5000] {
            let content = vec![7; length];
            let bytes = aligned_bytes(length, content.chunks(10));
            assert_eq!(bytes, content);
            assert!(length == 0 || bytes.as_ptr().addr().is_multiple_of(ALIGNMENT));
        }
    }
}
