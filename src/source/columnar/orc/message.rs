//! Protocol Buffers messages as lists of fields, which is all that ORC's metadata needs.
//!
//! Nothing is allocated: a field's bytes are a slice of the message, so no length from the file asks for memory.

use crate::source::columnar::ReadError;

/// The value of a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Value<'a> {
    pub(super) fn number(self) -> u64 {
        match self {
            Self::Number(number) => number,
            Self::Bytes(_) => 0,
        }
    }

    pub(super) fn bytes(self) -> &'a [u8] {
        match self {
            Self::Number(_) => &[],
            Self::Bytes(bytes) => bytes,
        }
    }

    /// The numbers of a repeated field, packed or one by one.
    pub(super) fn numbers(self) -> Result<Vec<u64>, ReadError> {
        let Self::Bytes(mut bytes) = self else { return Ok(vec![self.number()]) };
        let mut numbers = Vec::new();
        while !bytes.is_empty() {
            numbers.push(take_varint(&mut bytes).ok_or_else(cut_off)?);
        }
        Ok(numbers)
    }
}

/// Calls `each` with the number and value of every field.
pub(super) fn fields<'a>(
    mut message: &'a [u8],
    mut each: impl FnMut(u64, Value<'a>) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    while !message.is_empty() {
        let key = take_varint(&mut message).ok_or_else(cut_off)?;
        let value = match key & 7 {
            0 => Value::Number(take_varint(&mut message).ok_or_else(cut_off)?),
            1 => Value::Bytes(take(&mut message, 8)?),
            2 => {
                let length = take_varint(&mut message).ok_or_else(cut_off)?;
                Value::Bytes(take(&mut message, length)?)
            }
            5 => Value::Bytes(take(&mut message, 4)?),
            kind => return Err(ReadError::damaged(format!("its metadata has a field of unknown kind {kind}"))),
        };
        each(key >> 3, value)?;
    }
    Ok(())
}

fn take<'a>(message: &mut &'a [u8], length: u64) -> Result<&'a [u8], ReadError> {
    let length = usize::try_from(length).ok().filter(|length| *length <= message.len()).ok_or_else(cut_off)?;
    let (taken, rest) = message.split_at(length);
    *message = rest;
    Ok(taken)
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7F) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn cut_off() -> ReadError {
    ReadError::damaged("its metadata ends within a field")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_the_protocol_buffers_guide() {
        let message = b"\x1a\x03\x08\x96\x01\x12\x07testing\x32\x06\x03\x8e\x02\x9e\xa7\x05\x08\x03";
        let mut found = Vec::new();
        fields(message, |field, value| {
            found.push((field, value));
            Ok(())
        })
        .unwrap();
        let inner = Value::Bytes(b"\x08\x96\x01");
        assert_eq!(found[..2], [(3, inner), (2, Value::Bytes(b"testing"))]);
        assert_eq!(found[2].1.numbers().unwrap(), [3, 270, 86_942]);
        assert_eq!(found[3], (1, Value::Number(3)));
        for end in [1, 2, 4, 6, 13, 15, 20, 23] {
            assert!(fields(&message[..end], |_, _| Ok(())).is_err(), "{end}");
        }
    }
}
