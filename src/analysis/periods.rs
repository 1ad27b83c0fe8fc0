//! Times as numbers of periods: hours, days, weeks.
//!
//! A division a row is what it comes to, and a processor divides slowly. Where a segment's times are distances from its smallest, in
//! steps that the period is a multiple of, the distances are divided as they lie there: by one multiplication of 32-bit numbers,
//! several of which a vector holds. Other times are brought to 64 bits and divided by a multiplication of twice that.

use std::ops::Range;

use cartlog_storage::store::{ColumnView, Integers, Packed};

use super::decode::{widen, with_packed};
use super::events::EventColumn;

/// Periods of `length` milliseconds, moved by `shift`, from number `first` on: number `n` starts at `n * length - shift` since 1970.
#[derive(Debug, Clone, Copy)]
pub(super) struct Periods {
    pub(super) length: i64,
    pub(super) shift: i64,
    pub(super) first: i64,
}

/// Milliseconds of an hour.
pub(super) const HOUR: i64 = 3_600_000;
/// Milliseconds of a day.
pub(super) const DAY: i64 = 24 * HOUR;

/// Dividends are below `2^DIVIDEND_BITS`.
const DIVIDEND_BITS: u32 = 31;

/// A division of packed numbers, moved by `add`: `(add + packed) / divisor`.
///
/// It is `(add + packed) * multiply >> shift`, with the inverse `2^shift / divisor` rounded up. Exact, because the inverse is too large by
/// less than `2^(shift - DIVIDEND_BITS)` parts of the divisor (Granlund and Montgomery, Division by invariant integers).
#[derive(Debug, Clone, Copy)]
pub(super) struct Division {
    add: u32,
    multiply: u32,
    shift: u32,
}

impl Periods {
    /// The number of a time's period since 1970.
    pub(super) fn number(self, time: i64) -> i64 {
        time.saturating_add(self.shift).div_euclid(self.length)
    }

    /// How a segment's packed times become numbers of periods from `first` on; `None` where they have to be unpacked for that.
    pub(super) fn division(self, times: &EventColumn<'_>) -> Option<Division> {
        let ColumnView::Integers(Integers::Frame { base, multiplier, .. }) = times.shape() else { return None };
        let step = multiplier.max(1);
        base.checked_add(self.shift).and(times.largest.checked_add(self.shift))?;
        // Both in whole steps: what is left of the start's distance is less than one, and the periods are made of whole ones.
        let start = i128::from(base) + i128::from(self.shift) - i128::from(self.first) * i128::from(self.length);
        let add = u32::try_from(start.div_euclid(step.into())).ok()?;
        let largest = (i128::from(times.largest) - i128::from(base)) / i128::from(step) + i128::from(add);
        let is_exact = self.length % step == 0 && largest < 1 << DIVIDEND_BITS;
        Division::by(u32::try_from(self.length / step).ok()?, add).filter(|_| is_exact)
    }

    /// Times, as the bits of signed integers, into numbers of periods from `first` on.
    ///
    /// Where times are apart, each is divided, which is by multiplication with the rounded-up inverse `2^64 / length`: exact while the
    /// time since the first period begins, times the length, is at most `2^64`.
    pub(super) fn divide(self, times: &mut [u64]) {
        let Self { length, shift, first } = self;
        let number = |time: u64| self.number(time.cast_signed()).wrapping_sub(first);
        let ends = times.iter().fold((i64::MAX, i64::MIN), |(low, high), time| {
            (low.min(time.cast_signed()), high.max(time.cast_signed()))
        });
        let (low, high) = (number(ends.0.cast_unsigned()), number(ends.1.cast_unsigned()));
        let divisor = length.unsigned_abs();
        let start = first.checked_mul(length).and_then(|start| start.checked_sub(shift)).map(i64::cast_unsigned);
        let since = start.and_then(|start| ends.1.checked_sub(start.cast_signed()));
        let is_near = since.is_some_and(|since| u128::from(since.unsigned_abs()) * u128::from(divisor) <= 1 << 64);
        if low == high {
            times.fill(low.cast_unsigned());
        } else if let Some(start) = start.filter(|_| is_near && low >= 0 && divisor > 1) {
            let inverse = u128::from(u64::MAX / divisor + 1);
            for time in times {
                *time = ((u128::from(time.wrapping_sub(start)) * inverse) >> 64) as u64;
            }
        } else {
            times.iter_mut().for_each(|time| *time = number(*time).cast_unsigned());
        }
    }
}

impl Division {
    /// Division by a number above zero and below `2^DIVIDEND_BITS`.
    fn by(divisor: u32, add: u32) -> Option<Self> {
        let bits = divisor.checked_next_power_of_two()?.ilog2();
        let shift = DIVIDEND_BITS + bits;
        let multiply = u32::try_from((1_u64 << shift).div_ceil(u64::from(divisor.max(1)))).ok()?;
        (divisor > 0).then_some(Self { add, multiply, shift })
    }

    /// Calls `put` with each of `into` and the quotient of its row.
    #[expect(clippy::cast_possible_truncation, reason = "dividends are below 2^31, and so are the packed numbers")]
    pub(super) fn put_into<T>(self, packed: Packed<'_>, rows: Range<usize>, into: &mut [T], put: impl Fn(&mut T, u64)) {
        let Self { add, multiply, shift } = self;
        let divided = |packed: u64| (u64::from(add.wrapping_add(packed as u32)) * u64::from(multiply)) >> shift;
        with_packed!(packed, rows, slice => {
            for (into, value) in into.iter_mut().zip(slice) {
                put(into, divided(widen(*value)));
            }
        }, {
            let all = divided(0);
            into.iter_mut().for_each(|into| put(into, all));
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn times_are_divided_as_whole_numbers_are(
            times in prop::collection::vec(prop_oneof![-9_000_000_000_000..9_000_000_000_000_i64, any::<i64>(), 0..3_i64], 1..20),
            length in prop_oneof![Just(86_400_000), Just(604_800_000), Just(3_600_000), 1..1000_i64, 1..i64::MAX],
            shift in prop_oneof![Just(0), Just(259_200_000), 0..1000_i64],
        ) {
            let mut periods = Periods { length, shift, first: 0 };
            periods.first = times.iter().map(|time| periods.number(*time)).min().unwrap();
            let number = |time: &i64| periods.number(*time).wrapping_sub(periods.first) as u64;
            let expected: Vec<u64> = times.iter().map(number).collect();
            let mut divided: Vec<u64> = times.iter().map(|time| time.cast_unsigned()).collect();
            periods.divide(&mut divided);
            prop_assert_eq!(divided, expected);
        }

        #[test]
        fn packed_times_are_divided_as_whole_numbers_are(
            base in prop_oneof![-9_000_000_000_000..9_000_000_000_000_i64, any::<i64>()],
            step in prop_oneof![Just(1_i64), Just(1000), 1..9_i64],
            packed in prop::collection::vec(prop_oneof![0..3_u32, 0..1_300_000_u32, any::<u32>()], 1..20),
            length in prop_oneof![Just(86_400_000), Just(604_800_000), Just(3_600_000), 1..1000_i64, 1..i64::MAX],
            shift in prop_oneof![Just(0), Just(259_200_000), 0..1000_i64],
            before in 0..3_i64,
        ) {
            let span = i64::from(*packed.iter().max().unwrap()) * step;
            let base = base.min(i64::MAX - span);
            let view = ColumnView::Integers(Integers::Frame { base, multiplier: step, packed: Packed::U32(&packed) });
            let mut periods = Periods { length, shift, first: 0 };
            periods.first = periods.number(base).saturating_sub(before);
            if let Some(division) = periods.division(&EventColumn::new(view, base, base + span)) {
                let mut divided = vec![0; packed.len()];
                division.put_into(view.packed(), 0..packed.len(), &mut divided, |into, period| *into = period);
                let number = |packed: &u32| periods.number(base + step * i64::from(*packed)) - periods.first;
                prop_assert_eq!(divided, packed.iter().map(|packed| number(packed) as u64).collect::<Vec<_>>());
            }
        }

        #[test]
        fn every_divisor_divides_exactly(divisor in prop_oneof![1..100_u32, 1..1_u32 << 31], dividend in 0..1_u32 << 31) {
            let division = Division::by(divisor, 0).unwrap();
            let near = [dividend, dividend / divisor * divisor, (dividend / divisor * divisor).saturating_sub(1), (1 << 31) - 1];
            let mut quotients = [0; 4];
            division.put_into(Packed::U32(&near), 0..4, &mut quotients, |into, quotient| *into = quotient);
            prop_assert_eq!(quotients, near.map(|dividend| u64::from(dividend / divisor)));
        }
    }

    #[test]
    fn the_seconds_of_a_store_are_divided_as_they_lie_there() {
        let times = [0_u32, 3599, 3600, 1_300_000];
        let view = ColumnView::Integers(Integers::Frame {
            base: 1_569_888_001_000,
            multiplier: 1000,
            packed: Packed::U32(&times),
        });
        let column = EventColumn::new(view, 1_569_888_001_000, 1_571_188_001_000);
        let hours = Periods { length: 3_600_000, shift: 0, first: 436_080 };
        let mut divided = [0; 4];
        let division = hours.division(&column).unwrap();
        division.put_into(view.packed(), 0..4, &mut divided, |into, hour| *into = hour);
        assert_eq!(divided, [0, 1, 1, 361]);
        // In steps that an hour is not made of, or with rows before the first period, they are not.
        let odd = ColumnView::Integers(Integers::Frame { base: 0, multiplier: 7, packed: Packed::U32(&times) });
        assert!(hours.division(&EventColumn::new(odd, 0, 9_100_000)).is_none());
        assert!(Periods { first: 436_081, ..hours }.division(&column).is_none());
    }
}
