//! Which segments are old or many enough to go.
//!
//! As in Kafka a segment goes whole, once its latest time is older than `retention.ms` or the partition without it still
//! holds `retention.bytes`. The growing segment is closed first if it is due too, so that an idle topic empties.
//! A segment whose batches have no time at all is not removed for its age.

use super::Partition;
use crate::log::batch::Offset;
use crate::log::error::LogError;
use crate::log::segment::Segment;
use crate::log::settings::PartitionLimits;

impl Partition {
    /// Removes the segments that are due at `now_ms`.
    ///
    /// # Errors
    /// [`LogError`] if a segment's time can't be found or the new start can't be kept; nothing is removed then.
    pub(in crate::log) fn retain(&self, now_ms: i64) -> Result<(), LogError> {
        let limits = self.limits();
        if limits.retention_ms < 0 && limits.retention_bytes < 0 || self.check_writable().is_err() {
            return Ok(());
        }
        let mut surplus = self.bytes().saturating_sub(u64::try_from(limits.retention_bytes).unwrap_or(u64::MAX));
        let mut start = None;
        let segments = self.segments();
        for (at, segment) in segments.iter().enumerate() {
            start = match segments.get(at + 1) {
                Some(next) if self.is_due(segment, &limits, surplus, now_ms)? => Some(next.base()),
                Some(_) => break,
                None => self.close_if_due(&limits, surplus, now_ms)?.or(start),
            };
            surplus = surplus.saturating_sub(segment.size());
        }
        start.map_or(Ok(()), |start| self.advance_start(start))
    }

    fn is_due(&self, segment: &Segment, limits: &PartitionLimits, surplus: u64, now_ms: i64) -> Result<bool, LogError> {
        if surplus >= segment.size() && limits.retention_bytes >= 0 {
            return Ok(true);
        }
        let latest = segment.latest(&*self.services.directory)?;
        let age = latest.map(|(time, _)| now_ms.saturating_sub(time));
        Ok(limits.retention_ms >= 0 && age.is_some_and(|age| age > limits.retention_ms))
    }

    /// Closes the growing segment if it is due, and gives the offset after it. Appends wait meanwhile, so that none
    /// gets into a segment that is about to go.
    fn close_if_due(&self, limits: &PartitionLimits, surplus: u64, now_ms: i64) -> Result<Option<Offset>, LogError> {
        let mut writer = self.lock_writer();
        let active = &writer.active.segment;
        if active.size() == 0 || !self.is_due(active, limits, surplus, now_ms)? {
            return Ok(None);
        }
        self.check_writable()?;
        self.roll(&mut writer, limits)?;
        Ok(Some(self.end()))
    }
}
