//! Random numbers that depend on a key alone.
//!
//! Every session, product and price draws from a stream of its own, whose key is made from the seed and its number.
//! That is what lets slices of the output be made in any order, on any number of threads, with the same result. The
//! generator is `SplitMix64` (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014): one addition
//! and one mix a number, any state is a good one. Nothing here calls the platform's mathematical library (square roots
//! and the four basic operations are exact in IEEE 754), so that a seed gives the same bytes everywhere.

/// The odd constant nearest to 2^64 divided by the golden ratio.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Spreads the bits of `value` over all 64 bits; a bijection.
#[inline]
pub(super) fn mix(value: u64) -> u64 {
    let value = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let value = (value ^ (value >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    value ^ (value >> 31)
}

/// A number that depends on `key` and `index` alone.
#[inline]
pub(super) fn hash(key: u64, index: u64) -> u64 {
    mix(key ^ mix(index.wrapping_add(GOLDEN)))
}

/// The position of a 64-bit number between 0 (included) and 1 (excluded), in steps of 2^-53.
#[inline]
pub(super) fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
}

/// The position of a 64-bit number among `0..bound`.
#[inline]
pub(super) fn below(bits: u64, bound: u64) -> u64 {
    ((u128::from(bits) * u128::from(bound)) >> 64) as u64
}

/// A stream of random numbers.
#[derive(Debug, Clone)]
pub(super) struct Random {
    state: u64,
}

impl Random {
    /// The stream of number `index` among those that share `key`.
    #[inline]
    pub(super) fn new(key: u64, index: u64) -> Self {
        Self { state: hash(key, index) }
    }

    /// The next 64 bits.
    #[inline]
    pub(super) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN);
        mix(self.state)
    }

    /// The next number between 0 (included) and 1 (excluded).
    #[inline]
    pub(super) fn unit(&mut self) -> f64 {
        unit(self.next())
    }
}

/// Reads a distribution off the values at some of its quantiles, straight lines between them.
///
/// `points` are pairs of a probability and the value at it, in order, the first at 0 and the last at 1.
#[inline]
pub(super) fn quantile(points: &[(f64, f64)], probability: f64) -> f64 {
    let mut low = (0.0, 0.0);
    for &high in points {
        if probability < high.0 {
            return low.1 + (high.1 - low.1) * ((probability - low.0) / (high.0 - low.0));
        }
        low = high;
    }
    low.1
}

/// Sends `0..count` onto itself in an order that looks random.
///
/// Multiplies with a number near `count` divided by the golden ratio that shares no factor with `count`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Scatter {
    count: u64,
    factor: u64,
}

impl Scatter {
    /// The permutation of `0..count`; `count` is below 2^32.
    pub(super) fn new(count: u64) -> Self {
        let mut factor = below(GOLDEN, count) | 1;
        while greatest_common_divisor(factor, count) != 1 {
            factor += 2;
        }
        Self { count, factor }
    }

    /// Where `index` goes.
    #[inline]
    pub(super) fn place(self, index: u64) -> u64 {
        (index * self.factor + self.count / 3) % self.count
    }
}

fn greatest_common_divisor(left: u64, right: u64) -> u64 {
    if right == 0 { left } else { greatest_common_divisor(right, left % right) }
}

/// Draws among weighted choices with one random number (Walker's alias method, as given by Vose).
#[derive(Debug)]
pub(super) struct Weighted {
    /// By column: the share of the column that is its own, and the choice that has the rest.
    columns: Vec<(f64, u32)>,
}

impl Weighted {
    /// Choices with these weights, none of them negative.
    pub(super) fn new(weights: &[f64]) -> Self {
        let total: f64 = weights.iter().sum();
        let mut shares: Vec<f64> = weights.iter().map(|weight| weight * weights.len() as f64 / total).collect();
        let mut columns: Vec<(f64, u32)> = (0..weights.len()).map(|index| (1.0, index as u32)).collect();
        let (mut poor, mut rich): (Vec<usize>, Vec<usize>) = (0..shares.len()).partition(|&index| shares[index] < 1.0);
        while let (Some(&giver), Some(taker)) = (rich.last(), poor.pop()) {
            columns[taker] = (shares[taker], giver as u32);
            shares[giver] -= 1.0 - shares[taker];
            if shares[giver] < 1.0 {
                rich.pop();
                poor.push(giver);
            }
        }
        Self { columns }
    }

    /// The choice that a random number stands for.
    #[inline]
    pub(super) fn pick(&self, bits: u64) -> u32 {
        let place = u128::from(bits) * self.columns.len() as u128;
        let column = (place >> 64) as usize;
        let (share, other) = self.columns[column];
        if unit(place as u64) < share { column as u32 } else { other }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scatter_is_a_permutation() {
        for count in [1, 2, 3, 10, 691, 4303, 5000] {
            let scatter = Scatter::new(count);
            let mut seen: Vec<u64> = (0..count).map(|index| scatter.place(index)).collect();
            seen.sort_unstable();
            assert!(seen.into_iter().eq(0..count), "of {count}");
        }
    }

    #[test]
    fn weighted_choices_come_in_their_shares() {
        let weights = [5.0, 0.0, 1.0, 3.0, 1.0];
        let weighted = Weighted::new(&weights);
        let mut counts = [0u32; 5];
        let mut random = Random::new(1, 1);
        for _ in 0..100_000 {
            counts[weighted.pick(random.next()) as usize] += 1;
        }
        for (count, weight) in counts.iter().zip(weights) {
            assert!((f64::from(*count) / 10_000.0 - weight).abs() < 0.1, "{counts:?}");
        }
    }

    #[test]
    fn quantile_reads_between_the_points() {
        let points = [(0.0, 1.0), (0.5, 3.0), (1.0, 103.0)];
        assert_eq!(quantile(&points, 0.0), 1.0);
        assert_eq!(quantile(&points, 0.25), 2.0);
        assert_eq!(quantile(&points, 0.75), 53.0);
        assert_eq!(quantile(&points, 1.0), 103.0);
    }
}
