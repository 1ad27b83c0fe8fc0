//! Which partitions of a topic one ingest reads, so that several share the work.

use std::ops::RangeInclusive;
use std::str::FromStr;

/// A static share of a topic's partitions: those of all shares together are read once each.
///
/// ```
/// use cartlog::pipeline::Share;
///
/// assert_eq!(Share::partitions("0-2,5")?.of(&[0, 1, 2, 3, 4, 5])?, [0, 1, 2, 5]);
/// assert_eq!(Share::shard("2/3")?.of(&[0, 1, 2, 3, 4, 5, 6])?, [1, 4]);
/// assert!(Share::partitions("7")?.of(&[0, 1]).is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Share {
    /// Every partition.
    #[default]
    All,
    /// Those in any of these ranges; each has to be there.
    Partitions(Vec<RangeInclusive<i32>>),
    /// Every `of`-th partition, starting with the `number`-th, counted from 1.
    Shard {
        /// Which of the shards, from 1 on.
        number: u32,
        /// How many shards there are.
        of: u32,
    },
}

impl Share {
    /// Numbers and ranges separated by commas: `0-7,12`.
    ///
    /// # Errors
    /// What is wrong with the text, and what it should be.
    pub fn partitions(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` names no partitions; use numbers and ranges from 0 on, such as 0-7,12");
        let number = |text: &str| i32::from_str(text).ok().filter(|number| *number >= 0).ok_or_else(wrong);
        let range = |part: &str| {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let range = number(first.trim())?..=number(last.trim())?;
            if range.is_empty() { Err(wrong()) } else { Ok(range) }
        };
        text.split(',').map(range).collect::<Result<_, _>>().map(Self::Partitions)
    }

    /// One of several shards: `1/4` to `4/4`.
    ///
    /// # Errors
    /// What is wrong with the text, and what it should be.
    pub fn shard(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no shard; use 1/4 to 4/4 for the parts of four ingests");
        let (number, of) = text.split_once('/').ok_or_else(wrong)?;
        match (number.parse(), of.parse()) {
            (Ok(number), Ok(of)) if (1..=of).contains(&number) => Ok(Self::Shard { number, of }),
            _ => Err(wrong()),
        }
    }

    /// Of the partitions that a topic has, ascending, those of this share.
    ///
    /// # Errors
    /// Which partition of the share the topic doesn't have, or that none is left for it.
    pub fn of(&self, held: &[i32]) -> Result<Vec<i32>, String> {
        match self {
            Self::All => Ok(held.to_vec()),
            Self::Partitions(ranges) => {
                // Only a range's ends can be the first ones that are not there.
                let ends = ranges.iter().flat_map(|range| [*range.start(), *range.end()]);
                if let Some(absent) = ends.into_iter().find(|end| !held.contains(end)) {
                    return Err(format!("it has no partition {absent} but {}", listed(held)));
                }
                Ok(held.iter().copied().filter(|held| ranges.iter().any(|range| range.contains(held))).collect())
            }
            Self::Shard { number, of } => {
                let (first, step) = (*number as usize - 1, *of as usize);
                let share: Vec<i32> = held.iter().copied().skip(first).step_by(step).collect();
                if share.is_empty() {
                    return Err(format!("nothing is left for shard {number}/{of} of {}", listed(held)));
                }
                Ok(share)
            }
        }
    }
}

fn listed(held: &[i32]) -> String {
    match held {
        [] => "no partitions".to_owned(),
        [only] => format!("partition {only} alone"),
        [first, .., last] => format!("partitions {first}-{last}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shards_split_any_topic_without_gap_or_overlap() {
        for partitions in 1..40 {
            let held: Vec<i32> = (0..partitions).collect();
            for of in 1..=u32::try_from(partitions).unwrap() {
                let mut all: Vec<i32> =
                    (1..=of).flat_map(|number| Share::Shard { number, of }.of(&held).unwrap()).collect();
                all.sort_unstable();
                assert_eq!(all, held, "{of} shards");
            }
        }
    }

    #[test]
    fn what_is_not_there_is_named() {
        let told = Share::partitions("1,3-6").unwrap().of(&[0, 1, 2, 3, 4]).unwrap_err();
        assert!(told.contains("no partition 6") && told.contains("0-4"), "{told}");
        let told = Share::shard("3/3").unwrap().of(&[0, 1]).unwrap_err();
        assert!(told.contains("3/3") && told.contains("0-1"), "{told}");
    }

    #[test]
    fn nonsense_is_refused_with_an_example() {
        for text in ["", "a", "-1", "3-1", "1,,2", "1-2-3", "0x1", "99999999999"] {
            assert!(Share::partitions(text).unwrap_err().contains("0-7,12"), "{text}");
        }
        for text in ["", "1", "0/4", "5/4", "1/0", "-1/2", "1/2/3", "a/b"] {
            assert!(Share::shard(text).unwrap_err().contains("1/4"), "{text}");
        }
    }
}
