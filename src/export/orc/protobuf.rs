//! The little of Protocol Buffers that ORC's metadata needs.
//!
//! A message is a list of fields, each a varint `number << 3 | wire type` and its value: type 0 a varint, type 1
//! eight bytes, type 2 a length and that many bytes. ORC's twenty messages are written field by field with these; a
//! generated codec would be a build step and a dependency for what fits on one page.
//! Source: <https://protobuf.dev/programming-guides/encoding/>.

use super::varint::{append_varint, zigzag};

/// A message under construction; fields appear in the order of the calls.
#[derive(Debug, Clone, Default)]
pub(super) struct Message(Vec<u8>);

const VARINT: u64 = 0;
const EIGHT_BYTES: u64 = 1;
const LENGTH: u64 = 2;

impl Message {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// `uint32`, `uint64`, `bool` and enumerations.
    pub(super) fn unsigned(&mut self, field: u64, value: u64) -> &mut Self {
        append_varint(field << 3 | VARINT, &mut self.0);
        append_varint(value, &mut self.0);
        self
    }

    /// `sint32` and `sint64`.
    pub(super) fn signed(&mut self, field: u64, value: i64) -> &mut Self {
        self.unsigned(field, zigzag(value))
    }

    /// `double`.
    pub(super) fn double(&mut self, field: u64, value: f64) -> &mut Self {
        append_varint(field << 3 | EIGHT_BYTES, &mut self.0);
        self.0.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// `string` and `bytes`.
    pub(super) fn bytes(&mut self, field: u64, value: &[u8]) -> &mut Self {
        append_varint(field << 3 | LENGTH, &mut self.0);
        append_varint(value.len() as u64, &mut self.0);
        self.0.extend_from_slice(value);
        self
    }

    /// A message inside this one.
    pub(super) fn message(&mut self, field: u64, value: &Self) -> &mut Self {
        self.bytes(field, &value.0)
    }

    /// A packed list of unsigned integers.
    pub(super) fn packed(&mut self, field: u64, values: impl IntoIterator<Item = u64>) -> &mut Self {
        let mut bytes = Vec::new();
        for value in values {
            append_varint(value, &mut bytes);
        }
        self.bytes(field, &bytes)
    }

    /// The encoded message.
    pub(super) fn encoded(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_encoded_as_in_the_protocol_buffers_guide() {
        let mut inner = Message::new();
        inner.unsigned(1, 150);
        assert_eq!(inner.encoded(), [0x08, 0x96, 0x01]);
        let mut outer = Message::new();
        outer.message(3, &inner).bytes(2, b"testing").packed(6, [3, 270, 86_942]).signed(1, -2);
        let expected = b"\x1a\x03\x08\x96\x01\x12\x07testing\x32\x06\x03\x8e\x02\x9e\xa7\x05\x08\x03";
        assert_eq!(outer.encoded(), expected);
    }
}
