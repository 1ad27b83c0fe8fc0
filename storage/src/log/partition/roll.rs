//! Closing the growing segment and beginning the next one: by size, by the time its batches span, and by the clock.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::{Partition, Writer};
use crate::log::batch::BatchHeader;
use crate::log::error::LogError;
use crate::log::settings::PartitionLimits;
use crate::log::writer::ActiveSegment;

/// The farthest an offset may lie from its segment's base, as Kafka's readers take it.
const MAXIMUM_RELATIVE_OFFSET: i64 = i32::MAX as i64;

impl Partition {
    /// Begins a new segment if `next` doesn't fit into the growing one.
    ///
    /// # Errors
    /// [`LogError::Io`]; the growing segment stays as it is.
    pub(super) fn roll_if_full(
        &self,
        writer: &mut Writer,
        next: &BatchHeader,
        limits: &PartitionLimits,
    ) -> Result<(), LogError> {
        let active = &writer.active.segment;
        let size = active.size();
        let spans = writer.active.first_time_ms.map_or(0, |first| next.max_timestamp_ms.saturating_sub(first));
        let fits = size + next.size as u64 <= u64::from(limits.segment_bytes)
            && next.last_offset().0 - active.base().0 <= MAXIMUM_RELATIVE_OFFSET
            && spans <= limits.segment_ms;
        if size == 0 || fits { Ok(()) } else { self.roll(writer, limits) }
    }

    /// Begins a new segment if the growing one has grown for longer than `segment.ms`.
    ///
    /// # Errors
    /// [`LogError::Io`]; the growing segment stays as it is.
    pub(in crate::log) fn roll_if_old(&self) -> Result<(), LogError> {
        let limits = self.limits();
        let mut writer = self.lock_writer();
        let longest = Duration::from_millis(u64::try_from(limits.segment_ms).unwrap_or_default());
        let is_old = writer.active.since.elapsed() > longest && writer.active.segment.size() > 0;
        if !is_old || self.check_writable().is_err() {
            return Ok(());
        }
        self.roll(&mut writer, &limits)
    }

    /// Closes the growing segment, which isn't empty, and begins one at the end.
    pub(super) fn roll(&self, writer: &mut Writer, limits: &PartitionLimits) -> Result<(), LogError> {
        let closed = writer.active.seal()?;
        let created = ActiveSegment::create(
            &*self.services.directory,
            &self.folder,
            self.end(),
            writer.active.segment.preceding_bytes() + writer.active.segment.size(),
            limits,
        );
        writer.folder_changed = true;
        let created = created.map_err(|failure| self.failed(failure))?;
        let segment = Arc::clone(&created.segment);
        writer.active = created;
        writer.retired.extend(closed);
        self.segments.write().unwrap_or_else(PoisonError::into_inner).push(segment);
        // A start after a crash then has at most this segment and the next to look at.
        self.request_sync();
        Ok(())
    }
}
