//! Memory for very many keys, in large pages where the system has them.
//!
//! Dealing keys to hundreds of parts writes to as many places at once. With pages of 4 KiB each of them costs an address
//! translation, which on a virtual machine is two walks through page tables. (On a busy machine no difference could be
//! shown.) In pages of 2 MiB all of a worker's keys are a few dozen translations, and the
//! system clears a page at once instead of stopping the worker for every 4 KiB.

use std::ops::{Deref, DerefMut};

use bytemuck::Pod;
use memmap2::{Advice, MmapMut};

/// Zeroed room for a fixed number of keys; only what is written to takes memory.
#[derive(Debug)]
pub(crate) enum Room<K> {
    /// From the system, in large pages if it can.
    Mapped(MmapMut),
    /// From the allocator, where the system gives no mapping.
    Allocated(Vec<K>),
}

impl<K: Pod> Room<K> {
    /// Room for `count` keys.
    pub(crate) fn new(count: usize) -> Self {
        match MmapMut::map_anon(count.max(1) * size_of::<K>()) {
            Ok(map) => {
                // Only a hint: without large pages everything works, slower.
                let _ = map.advise(Advice::HugePage);
                Self::Mapped(map)
            }
            Err(_) => Self::Allocated(vec![K::zeroed(); count.max(1)]),
        }
    }
}

impl<K: Pod> Deref for Room<K> {
    type Target = [K];

    fn deref(&self) -> &[K] {
        match self {
            Self::Mapped(map) => bytemuck::cast_slice(map),
            Self::Allocated(keys) => keys,
        }
    }
}

impl<K: Pod> DerefMut for Room<K> {
    fn deref_mut(&mut self) -> &mut [K] {
        match self {
            Self::Mapped(map) => bytemuck::cast_slice_mut(map),
            Self::Allocated(keys) => keys,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_zeroed_and_keeps_what_is_written() {
        for count in [0, 1, 5000] {
            let mut room = Room::<u128>::new(count);
            assert_eq!(room.len(), count.max(1));
            assert!(room.iter().all(|key| *key == 0));
            room.iter_mut().zip(1..).for_each(|(key, number)| *key = number);
            assert!(room.iter().copied().eq(1..=room.len() as u128));
        }
        assert_eq!(*Room::<u64>::Allocated(vec![7; 3]), [7; 3]);
    }
}
