//! Looking records up by their time.
//!
//! Batches tell their latest time, so that only a batch that may hold the answer is looked into.

use super::{Partition, TimedOffset};
use crate::log::error::LogError;
use crate::log::records;
use crate::log::segment::{Location, Segment};

impl Partition {
    /// The first record whose time is at or after `timestamp_ms`; `None` if there is none.
    ///
    /// # Errors
    /// [`LogError::Io`] and [`LogError::Corrupt`] of the files.
    pub fn offset_for_time(&self, timestamp_ms: i64) -> Result<Option<TimedOffset>, LogError> {
        self.check_online()?;
        for segment in self.segments() {
            if segment.latest(&*self.services.directory)?.is_none_or(|(latest, _)| latest < timestamp_ms) {
                continue;
            }
            let mut from = self.start();
            // A batch that claims a late time needn't hold a record of that time.
            while let Some(location) = segment.locate_time(&*self.services.directory, timestamp_ms, from)? {
                let found = look_into(&segment, &location, |batch| records::find_time(batch, timestamp_ms, from))?;
                if found.is_some() {
                    return Ok(found);
                }
                from = location.header.next_offset();
            }
        }
        Ok(None)
    }

    /// The record with the latest time, the first of them if there are several; `None` if no record has one.
    ///
    /// # Errors
    /// As [`Partition::offset_for_time`].
    pub fn latest_time(&self) -> Result<Option<TimedOffset>, LogError> {
        self.check_online()?;
        let (directory, start) = (&*self.services.directory, self.start());
        let mut latest: Option<TimedOffset> = None;
        // Times rise in most logs: from the end, most segments are passed over by their index.
        for segment in self.segments().iter().rev() {
            let least = latest.map_or(0, |latest| latest.timestamp_ms);
            if segment.latest(directory)?.is_none_or(|(time, _)| time < least) {
                continue;
            }
            // From the last to the first, so that the first of equal times is the one that stays.
            for location in segment.latest_batches(directory, start)?.into_iter().flatten().rev() {
                let found = look_into(segment, &location, |batch| records::find_latest(batch, start))?;
                let least = latest.map_or(0, |latest| latest.timestamp_ms);
                latest = found.filter(|found| found.timestamp_ms >= least).or(latest);
            }
        }
        Ok(latest)
    }
}

fn look_into(
    segment: &Segment,
    location: &Location,
    find: impl FnOnce(&[u8]) -> std::io::Result<Option<TimedOffset>>,
) -> Result<Option<TimedOffset>, LogError> {
    let batch = segment.read_batch(location)?;
    find(&batch).map_err(|error| LogError::Corrupt {
        path: segment.path().to_owned(),
        position: location.position,
        detail: error.to_string(),
    })
}
