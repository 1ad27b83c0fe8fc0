//! From a stream of bytes to frames: a 32-bit length, then that many bytes.
//!
//! The length is checked before anything is allocated, and memory grows with the bytes that have arrived: a client that
//! announces 100 MiB and sends nothing holds almost nothing. Small requests are read many at a time and share a
//! buffer; a large one gets a buffer that ends where it ends, so that it becomes the request without a copy.

use bytes::buf::Limit;
use bytes::{BufMut as _, Bytes, BytesMut};

use super::error::ProtocolError;

const SIZE_LENGTH: usize = 4;
/// Room for reading small requests.
const SMALL_READ: usize = 64 << 10;
/// The most room made for a frame ahead of its bytes; untouched pages of it cost nothing.
const LARGE_READ: usize = 1 << 20;

/// Collects bytes until they are frames.
#[derive(Debug)]
pub(super) struct FrameBuffer {
    buffer: BytesMut,
    maximum: usize,
}

impl FrameBuffer {
    /// A buffer for frames of at most `maximum` bytes.
    pub(super) fn new(maximum: usize) -> Self {
        Self { buffer: BytesMut::new(), maximum }
    }

    /// Takes frames of at most `maximum` bytes from now on.
    pub(super) fn limit(&mut self, maximum: usize) {
        self.maximum = maximum;
    }

    /// Takes the next frame (without its length) if it has arrived whole.
    pub(super) fn next(&mut self) -> Result<Option<Bytes>, ProtocolError> {
        match self.frame_size()? {
            Some(size) if self.buffer.len() >= SIZE_LENGTH + size => {
                let mut frame = self.buffer.split_to(SIZE_LENGTH + size).freeze();
                Ok(Some(frame.split_off(SIZE_LENGTH)))
            }
            _ => Ok(None),
        }
    }

    /// Whether a frame has begun to arrive.
    pub(super) fn is_within_frame(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// The announced size of the frame that is arriving.
    pub(super) fn arriving(&self) -> usize {
        self.frame_size().ok().flatten().unwrap_or_default()
    }

    /// Room for the next read. Call [`FrameBuffer::next`] until it gives nothing before.
    pub(super) fn room(&mut self) -> Limit<&mut BytesMut> {
        let there = self.buffer.len();
        let missing = match self.frame_size() {
            Ok(Some(size)) => (SIZE_LENGTH + size).saturating_sub(there),
            _ => 0,
        };
        if missing <= SMALL_READ {
            if self.buffer.capacity() - there < missing.max(SMALL_READ / 4) {
                self.buffer.reserve(SMALL_READ);
            }
            let room = self.buffer.capacity() - there;
            return (&mut self.buffer).limit(room);
        }
        if self.buffer.capacity() - there < missing {
            self.buffer.reserve(missing.min(LARGE_READ.max(there)));
        }
        let room = missing.min(self.buffer.capacity() - there);
        (&mut self.buffer).limit(room)
    }

    fn frame_size(&self) -> Result<Option<usize>, ProtocolError> {
        let Some(size) = self.buffer.first_chunk::<SIZE_LENGTH>() else {
            return Ok(None);
        };
        let got = i32::from_be_bytes(*size);
        match usize::try_from(got) {
            Ok(size) if size <= self.maximum => Ok(Some(size)),
            _ => Err(ProtocolError::FrameSize { got, maximum: self.maximum }),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn feed(frames: &mut FrameBuffer, bytes: &[u8]) -> usize {
        let mut room = frames.room();
        let taken = bytes.len().min(room.remaining_mut());
        room.put_slice(&bytes[..taken]);
        taken
    }

    #[test]
    fn refuses_sizes_before_allocating() {
        for size in [-1, i32::MIN, 101, i32::MAX] {
            let mut frames = FrameBuffer::new(100);
            feed(&mut frames, &size.to_be_bytes());
            assert_eq!(frames.next(), Err(ProtocolError::FrameSize { got: size, maximum: 100 }));
        }
    }

    #[test]
    fn an_announced_size_alone_holds_little_memory() {
        let mut frames = FrameBuffer::new(100 << 20);
        feed(&mut frames, &i32::to_be_bytes(100 << 20));
        assert_eq!(frames.next(), Ok(None));
        frames.room();
        assert!(frames.buffer.capacity() <= 2 * LARGE_READ, "{}", frames.buffer.capacity());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn frames_arrive_whatever_the_pieces(
            lengths in proptest::collection::vec(prop_oneof![0_usize..50, 10_000_usize..60_000], 1..8),
            piece in 1_usize..40_000,
        ) {
            let sent: Vec<Vec<u8>> =
                lengths.iter().enumerate().map(|(at, &length)| vec![u8::try_from(at).unwrap(); length]).collect();
            let mut stream = Vec::new();
            for frame in &sent {
                stream.extend_from_slice(&i32::try_from(frame.len()).unwrap().to_be_bytes());
                stream.extend_from_slice(frame);
            }
            let mut frames = FrameBuffer::new(100_000);
            let (mut at, mut got) = (0, Vec::new());
            loop {
                while let Some(frame) = frames.next().unwrap() {
                    got.push(frame.to_vec());
                }
                if at == stream.len() {
                    break;
                }
                let end = stream.len().min(at + piece);
                let taken = feed(&mut frames, &stream[at..end]);
                prop_assert!(taken > 0);
                at += taken;
            }
            prop_assert_eq!(got, sent);
        }
    }
}
