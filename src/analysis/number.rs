//! Averages and quantiles, exactly as the SQL definitions give them.

/// The average of money: `sum` in units of `10^-4` over `count` values, as the double nearest to the exact quotient.
///
/// This is what DuckDB's `avg` of a decimal column gives. (Over a table whose statistics bound the sum, and over a view on it, DuckDB 2.0
/// rewrites `avg(x)` beside `count(*)` to `sum(x) / count(*)` with each step rounded, which may differ in the last bit. Without its
/// optimiser `statistics_propagation` it doesn't: docs/ANALYSES.md, and a test in tests/interop.)
#[expect(
    clippy::cast_precision_loss,
    reason = "numerator and denominator are below 2^53 where they are cast, and the long quotient is to be rounded"
)]
pub(crate) fn average_money(sum: i128, count: u64) -> f64 {
    let (units, divisor) = (sum.unsigned_abs(), u128::from(count.max(1)) * 10_000);
    let magnitude = if units < 1 << 53 && divisor < 1 << 53 {
        units as f64 / divisor as f64
    } else {
        // A quotient of more than 54 bits, its last bit set if anything was left over, rounds as the exact one does.
        let shift = units.leading_zeros();
        let units = units << shift;
        let quotient = (units / divisor) | u128::from(units % divisor != 0);
        quotient as f64 * (-f64::from(shift)).exp2()
    };
    if sum < 0 { -magnitude } else { magnitude }
}

/// The place, from 0, of the nearest-rank quantile `percent / 100` among `count` sorted values: `percentile_disc` in SQL.
///
/// It is the first value at or below which at least that share of all values lies.
pub(crate) fn quantile_place(count: u64, percent: u64) -> u64 {
    let rank = (u128::from(count) * u128::from(percent)).div_ceil(100).max(1);
    u64::try_from(rank - 1).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_nearest_rank() {
        let places: Vec<u64> = (1..=9).map(|count| quantile_place(count, 25)).collect();
        assert_eq!(places, [0, 0, 0, 0, 1, 1, 1, 1, 2]);
        assert_eq!(quantile_place(4, 50), 1);
        assert_eq!(quantile_place(5, 50), 2);
        assert_eq!(quantile_place(10, 90), 8);
        assert_eq!(quantile_place(u64::MAX, 100), u64::MAX - 1);
    }

    /// Sums and counts whose averages DuckDB 2.0 printed so; dividing twice gives other last digits.
    #[test]
    fn averages_are_rounded_once() {
        for (sum, count, average) in [
            (122_556_200, 9, 1_361.735_555_555_555_5),
            (84_555_400, 9, 939.504_444_444_444_4),
            (691_127_900, 49, 1_410.465_102_040_816_4),
            (176_307_400, 11, 1_602.794_545_454_545_4),
            (-176_307_400, 11, -1_602.794_545_454_545_4),
            (0, 3, 0.0),
        ] {
            assert_eq!(average_money(sum, count).to_bits(), f64::to_bits(average));
        }
    }

    #[test]
    fn large_sums_are_rounded_once_too() {
        assert_eq!(average_money(i128::from(i64::MAX), 1).to_bits(), 922_337_203_685_477.6_f64.to_bits());
        assert_eq!(average_money((1 << 53) * 10_000, 1).to_bits(), 9_007_199_254_740_992_f64.to_bits());
        assert_eq!(average_money(i128::from(i64::MIN) * 7, 7).to_bits(), (-922_337_203_685_477.6_f64).to_bits());
        // Sums around 2^53 take the one way or the other and agree on what both can do.
        for count in 1..200 {
            let sum = 999 * 10_000 * i128::from(count);
            assert_eq!(average_money(sum, count).to_bits(), 999_f64.to_bits());
            let long = (1_i128 << 60) * 10_000 * i128::from(count);
            assert_eq!(average_money(long, count).to_bits(), ((1_i64 << 60) as f64).to_bits());
        }
    }
}
