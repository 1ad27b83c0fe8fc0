//! Numbers that a seed fixes, and the damage that they decide on.

/// `SplitMix64`.
pub(crate) struct Numbers(pub(crate) u64);

/// Values at which lengths, counts and offsets go wrong.
const LIMITS: [i64; 9] = [i64::MAX, i64::MIN, -1, -2, 0, 1, 0x7fff_ffff, 0x7fff, 100 << 20];

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound.max(1) as u64).unwrap_or(0)
    }

    /// What a client sends: a few frames, most of them damaged.
    pub(crate) fn input(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut input = Vec::new();
        for _ in 0..=self.below(6) {
            let mut frame = seeds[self.below(seeds.len())].clone();
            for _ in 0..self.below(4) {
                self.damage(&mut frame, seeds);
            }
            // Only a frame whose length is right is looked into.
            if frame.len() >= 4 && self.below(12) > 0 {
                let length = u32::try_from(frame.len() - 4).unwrap_or(u32::MAX);
                frame[..4].copy_from_slice(&length.to_be_bytes());
            }
            input.extend_from_slice(&frame);
        }
        input
    }

    fn damage(&mut self, frame: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.below(frame.len());
        match self.below(7) {
            0 => frame.truncate(at),
            1 | 2 if !frame.is_empty() => frame[at] ^= 1 << self.below(8),
            3 => {
                let bytes = LIMITS[self.below(LIMITS.len())].to_be_bytes();
                let width = [1, 2, 4, 8][self.below(4)];
                let end = frame.len().min(at + width);
                frame[at..end].copy_from_slice(&bytes[8 - width..][..end - at]);
            }
            4 => {
                let other = &seeds[self.below(seeds.len())];
                let from = self.below(other.len());
                frame.truncate(at);
                frame.extend_from_slice(&other[from..]);
            }
            // Another version of the same API.
            5 if frame.len() >= 8 => frame[7] = self.below(24).to_le_bytes()[0],
            _ => {
                let count = self.below(64);
                let bytes: Vec<u8> = (0..count).map(|_| self.next().to_le_bytes()[0]).collect();
                frame.splice(at..at, bytes);
            }
        }
    }
}
