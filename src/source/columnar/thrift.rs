//! Whether bytes are a Thrift structure (compact protocol), looked at before the Parquet library decodes them.
//!
//! The library makes room for a list as its header says. A header that claims more elements than there are bytes left is
//! found here first, so that a damaged footer is a message and not the end of the process.
//! Source: <https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md>.

/// The deepest nesting that is followed; Parquet's own has six levels.
const MAX_DEPTH: usize = 24;

/// Checks one structure at the start of the bytes; the error says where it goes wrong.
pub(super) fn check_structure(bytes: &[u8]) -> Result<(), usize> {
    let mut walk = Walk { bytes, at: 0 };
    walk.structure(0).ok_or(walk.at)
}

struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Walk<'_> {
    fn byte(&mut self) -> Option<u8> {
        let byte = *self.bytes.get(self.at)?;
        self.at += 1;
        Some(byte)
    }

    fn varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7F) << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn skip(&mut self, bytes: u64) -> Option<()> {
        let bytes = usize::try_from(bytes).ok()?;
        if bytes > self.bytes.len() - self.at {
            return None;
        }
        self.at += bytes;
        Some(())
    }

    fn structure(&mut self, depth: usize) -> Option<()> {
        if depth > MAX_DEPTH {
            return None;
        }
        loop {
            let header = self.byte()?;
            if header == 0 {
                return Some(());
            }
            if header >> 4 == 0 {
                self.varint()?;
            }
            // The value of a flag is in the type of its field.
            if !matches!(header & 15, 1 | 2) {
                self.value(header & 15, depth)?;
            }
        }
    }

    fn value(&mut self, kind: u8, depth: usize) -> Option<()> {
        match kind {
            1..=3 => self.skip(1),
            4..=6 => self.varint().map(drop),
            7 => self.skip(8),
            8 => {
                let length = self.varint()?;
                self.skip(length)
            }
            9 | 10 => self.list(depth),
            11 => self.map(depth),
            12 => self.structure(depth + 1),
            _ => None,
        }
    }

    fn list(&mut self, depth: usize) -> Option<()> {
        let header = self.byte()?;
        let size = if header >> 4 == 15 { self.varint()? } else { u64::from(header >> 4) };
        self.elements(size, &[header & 15], depth)
    }

    fn map(&mut self, depth: usize) -> Option<()> {
        let size = self.varint()?;
        if size == 0 {
            return Some(());
        }
        let kinds = self.byte()?;
        self.elements(size, &[kinds >> 4, kinds & 15], depth)
    }

    fn elements(&mut self, size: u64, kinds: &[u8], depth: usize) -> Option<()> {
        if depth > MAX_DEPTH || size > (self.bytes.len() - self.at) as u64 {
            return None;
        }
        for _ in 0..size {
            for &kind in kinds {
                self.value(kind, depth + 1)?;
            }
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn structures_end_where_they_say() {
        // Field 1: i32 2; field 2: a list of two binaries; field 3: true; field 4: a structure with a double; the end.
        let bytes = [0x15, 4, 0x19, 0x28, 1, b'a', 2, b'b', b'c', 0x11, 0x1C, 0x17, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(check_structure(&bytes), Ok(()));
        for end in 0..bytes.len() {
            assert!(check_structure(&bytes[..end]).is_err(), "{end}");
        }
    }

    #[test]
    fn a_list_is_no_longer_than_its_bytes() {
        let bytes = [0x19, 0xFC, 0xFF, 0xFF, 0xFF, 0xFF, 7, 0, 0];
        assert_eq!(check_structure(&bytes), Err(7));
        assert!(check_structure(&[0x1C; 100]).is_err(), "without end");
    }
}
