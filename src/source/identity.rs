//! What makes a source the same source: its content.
//!
//! The identity is sixteen hexadecimal digits of a 64-bit hash of the first 4096 bytes of the decompressed content, so
//! that a file is known again under another name, compressed, or appended to. One that was shorter than that when it was
//! first loaded keeps the identity of its content then, which is that of one of the beginnings of its present head. Another
//! source that begins with the same bytes but differs later gets `-2`, `-3`, … after the digits; one that is loaded again
//! on purpose gets `+` and a time.

use cartlog_storage::store::SourceId;

/// The bytes that the hash is of.
const HEAD_BYTES: usize = 4096;

/// The hash of nothing.
const BASIS: u64 = 0xCBF2_9CE4_8422_2325;

/// The id of content that begins with these bytes (FNV-1a, 64 bits: it needs no secrecy and no speed, but must never
/// change).
pub(super) fn of_head(content: &[u8]) -> SourceId {
    id_of(head_of(content).iter().copied().fold(BASIS, with_byte))
}

/// The ids that content had when it was shorter than its head is now, the longest beginning first.
pub(super) fn of_beginnings(content: &[u8]) -> impl Iterator<Item = SourceId> {
    let hash_before = |hash: &mut u64, byte: &u8| Some(std::mem::replace(hash, with_byte(*hash, *byte)));
    let hashes: Vec<u64> = head_of(content).iter().scan(BASIS, hash_before).collect();
    hashes.into_iter().rev().map(id_of)
}

fn head_of(content: &[u8]) -> &[u8] {
    &content[..content.len().min(HEAD_BYTES)]
}

fn with_byte(hash: u64, byte: u8) -> u64 {
    (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
}

fn id_of(hash: u64) -> SourceId {
    SourceId::from(format!("{hash:016x}"))
}

/// The id of the `number`th source with the same head.
pub(super) fn numbered(id: &SourceId, number: u32) -> SourceId {
    if number == 1 { id.clone() } else { SourceId::from(format!("{}-{number}", id.as_str())) }
}

/// The id of the same source loaded again at a time.
pub(super) fn again(id: &SourceId, milliseconds: u64) -> SourceId {
    SourceId::from(format!("{}+{milliseconds}", id.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_never_change() {
        assert_eq!(of_head(b"").as_str(), "cbf29ce484222325");
        assert_eq!(of_head(b"foobar").as_str(), "85944171f73967e8");
        assert_eq!(of_head(&[b'x'; 5000]), of_head(&[b'x'; HEAD_BYTES]));
        assert_eq!(of_beginnings(b"abc").collect::<Vec<_>>(), [of_head(b"ab"), of_head(b"a"), of_head(b"")]);
        assert_eq!(of_beginnings(&[b'x'; 5000]).count(), HEAD_BYTES);
        assert_eq!(numbered(&of_head(b""), 2).as_str(), "cbf29ce484222325-2");
        assert_eq!(again(&of_head(b""), 7).as_str(), "cbf29ce484222325+7");
    }
}
