//! Runs of bytes, and of bits packed into them: which rows have a value.

use super::stream::Stream;
use crate::source::columnar::ReadError;

/// The byte runs of a stream: `n` up to 127 is one byte `n + 3` times, above it `256 - n` bytes as they are.
#[derive(Debug)]
pub(super) struct ByteRuns {
    stream: Stream,
    /// Values left of the present run.
    left: usize,
    /// The byte that repeats, if the run is a repetition.
    repeated: Option<u8>,
}

impl ByteRuns {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, left: 0, repeated: None }
    }

    #[inline]
    pub(super) fn next(&mut self) -> Result<u8, ReadError> {
        if self.left == 0 {
            let control = self.stream.byte()?;
            if control < 128 {
                self.left = usize::from(control) + 3;
                self.repeated = Some(self.stream.byte()?);
            } else {
                self.left = 256 - usize::from(control);
                self.repeated = None;
            }
        }
        self.left -= 1;
        match self.repeated {
            Some(byte) => Ok(byte),
            None => self.stream.byte(),
        }
    }
}

/// Bits, the first in the highest place of a byte.
#[derive(Debug)]
pub(super) struct Bits {
    bytes: ByteRuns,
    byte: u8,
    /// Bits left of the byte.
    left: u32,
}

impl Bits {
    pub(super) fn new(stream: Stream) -> Self {
        Self { bytes: ByteRuns::new(stream), byte: 0, left: 0 }
    }

    #[inline]
    pub(super) fn next(&mut self) -> Result<bool, ReadError> {
        if self.left == 0 {
            self.byte = self.bytes.next()?;
            self.left = 8;
        }
        self.left -= 1;
        Ok(self.byte >> self.left & 1 == 1)
    }
}

#[cfg(test)]
mod tests {
    use super::super::stream::{Chunking, Codec};
    use super::*;

    fn stream(bytes: &[u8]) -> Stream {
        Stream::new("data", bytes.to_vec().into(), Chunking { codec: Codec::None, limit: 0 })
    }

    #[test]
    fn runs_of_the_specification() {
        let mut runs = ByteRuns::new(stream(&[0x61, 0x00, 0xFE, 0x44, 0x45]));
        let values: Vec<u8> = (0..102).map(|_| runs.next().unwrap()).collect();
        assert_eq!((&values[..100], &values[100..]), (&[0; 100][..], &[0x44, 0x45][..]));
        assert!(runs.next().is_err());
    }

    #[test]
    fn bits_come_from_the_highest() {
        let mut bits = Bits::new(stream(&[0xFF, 0x80]));
        let values: Vec<bool> = (0..8).map(|_| bits.next().unwrap()).collect();
        assert_eq!(values, [true, false, false, false, false, false, false, false]);
    }
}
