//! Moving the first offset kept, and removing what lies below it.
//!
//! The order makes it safe at any moment: what is kept is on disk, then the new start is in
//! `log-start-offset-checkpoint`, then readers see it, then files go. Files that are left over are removed at the next
//! start. Who is reading a removed segment keeps its open file.

use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::Partition;
use crate::log::batch::Offset;
use crate::log::error::LogError;
use crate::log::recovery;

impl Partition {
    /// Removes all records below `offset`, or all there are if it is `None`, and returns the new start. An offset below
    /// the start changes nothing. When this returns the records are gone for good, their bytes as soon as their whole
    /// segment is.
    ///
    /// # Errors
    /// [`LogError::OffsetOutOfRange`] beyond the end, [`LogError::Io`] if the new start can't be kept.
    pub fn delete_records(&self, offset: Option<Offset>) -> Result<Offset, LogError> {
        self.check_writable()?;
        let (start, end) = (self.start(), self.end());
        let offset = offset.unwrap_or(end);
        if offset > end || offset.0 < 0 {
            return Err(LogError::OffsetOutOfRange { partition: self.folder.clone(), offset, start, end });
        }
        self.advance_start(offset)?;
        Ok(self.start())
    }

    /// Moves the start to `to`, which must not lie beyond the end, unless it is there already.
    pub(super) fn advance_start(&self, to: Offset) -> Result<(), LogError> {
        let _one_at_a_time = self.starting.lock().unwrap_or_else(PoisonError::into_inner);
        if to <= self.start() {
            return Ok(());
        }
        // A start beyond what is on disk would be a gap after a crash.
        self.sync()?;
        self.services.log_starts.note(self, to);
        self.services.log_starts.write()?;
        self.start.store(to.0, Ordering::Release);
        let removed: Vec<_> = {
            let mut segments = self.segments.write().unwrap_or_else(PoisonError::into_inner);
            let below = segments.windows(2).take_while(|pair| pair[1].base() <= to).count();
            segments.drain(..below).collect()
        };
        for segment in removed {
            if let Err(error) = recovery::remove_segment(&*self.services.directory, &self.folder, segment.base()) {
                tracing::warn!("a removed segment's file stays until the next start: {error}");
            }
        }
        Ok(())
    }
}
