//! What makes a source the same source: its content.
//!
//! The identity is sixteen hexadecimal digits of a 64-bit hash of the first 4096 bytes of the decompressed content, so
//! that a file is known again under another name, compressed, or appended to. Another source that begins with the same
//! bytes but differs later gets `-2`, `-3`, … after the digits; one that is loaded again on purpose gets `+` and a time. A
//! source shorter than 4096 bytes that grows becomes another source.

use cartlog_storage::store::SourceId;

/// The bytes that the hash is of.
const HEAD_BYTES: usize = 4096;

/// The id of content that begins with these bytes (FNV-1a, 64 bits: it needs no secrecy and no speed, but must never
/// change).
pub(super) fn of_head(content: &[u8]) -> SourceId {
    let head = &content[..content.len().min(HEAD_BYTES)];
    let hash = head
        .iter()
        .fold(0xCBF2_9CE4_8422_2325, |hash: u64, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3));
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
        assert_eq!(numbered(&of_head(b""), 2).as_str(), "cbf29ce484222325-2");
        assert_eq!(again(&of_head(b""), 7).as_str(), "cbf29ce484222325+7");
    }
}
