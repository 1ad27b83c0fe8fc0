//! Averages and quantiles, exactly as the SQL definitions give them.

/// The average of money: `sum` in units of `10^-4` over `count` values.
///
/// The sum is exact; it is rounded once to the nearest double and once more by the division. DuckDB's `avg` of a decimal
/// column does the same, so both give the same bits.
#[expect(clippy::cast_precision_loss, reason = "counts stay below 2^53")]
pub(crate) fn average_money(sum: i128, count: u64) -> f64 {
    money_as_double(sum) / count as f64
}

/// Units of `10^-4` as the nearest double.
#[expect(clippy::cast_precision_loss, reason = "the sum is below 2^53 where it is cast")]
fn money_as_double(units: i128) -> f64 {
    if units.unsigned_abs() < 1 << 53 {
        units as f64 / 10_000.0
    } else {
        // The standard library's parser rounds correctly, whatever the length.
        format!("{units}e-4").parse().unwrap_or(f64::NAN)
    }
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

    /// Values that DuckDB 2.0 printed; rounding `sum / (count * 10^4)` once gives other last digits.
    #[test]
    fn averages_round_where_duckdb_does() {
        for (sum, count, average) in [
            (122_556_200, 9, 1_361.735_555_555_555_7),
            (84_555_400, 9, 939.504_444_444_444_5),
            (691_127_900, 49, 1_410.465_102_040_816_2),
            (176_307_400, 11, 1_602.794_545_454_545_6),
        ] {
            assert_eq!(average_money(sum, count).to_bits(), f64::to_bits(average));
        }
    }

    #[test]
    fn large_sums_are_rounded_once_before_the_division() {
        assert_eq!(average_money(i128::from(i64::MAX), 1).to_bits(), 922_337_203_685_477.6_f64.to_bits());
        assert_eq!(average_money((1 << 53) * 10_000, 1).to_bits(), 9_007_199_254_740_992_f64.to_bits());
    }
}
