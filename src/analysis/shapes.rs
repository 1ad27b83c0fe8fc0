//! Every analysis over events of awkward shapes: those that a store may hold and random ones rarely have.
//!
//! `tests/interop/test_shapes.py` has the same shapes at their full size, beside DuckDB.

use super::Filter;
use super::testing::{Event, check};

fn event(row: i64) -> Event {
    Event {
        event_time: 1_569_888_000_000 + row * 1000,
        event_type: ["view", "view", "view", "cart", "purchase"][row.unsigned_abs() as usize % 5].to_owned(),
        product_id: 1000 + row % 17,
        category_id: 2_053_013_552_226_107_603 + row % 11,
        category_code: Some(format!("category.{}", row % 7)),
        brand: Some(format!("brand{}", row % 5)),
        price: row * 7919 % 20_000_000,
        user_id: 512_000_000 + row % 23,
        user_session: Some((row / 4).unsigned_abs().into()),
    }
}

/// Whole with all rows in order of users too, and in small segments but for a short tail; by one worker and by three.
fn check_cut(events: &[Event]) {
    let filter = Filter::default();
    check(events, &filter, events.len().max(1), 0, 1);
    check(events, &filter, (events.len() / 3).max(1), u64::MAX - 2, 3);
}

#[test]
fn no_events() {
    check_cut(&[]);
}

#[test]
fn one_event() {
    for row in 0..5 {
        check_cut(&[event(row)]);
        check_cut(&[Event { category_code: None, brand: None, user_session: None, ..event(row) }]);
    }
}

#[test]
fn nothing_covered() {
    let events: Vec<Event> = (0..100).map(event).collect();
    let filter = Filter { brands: vec!["no such brand".to_owned()], ..Filter::default() };
    check(&events, &filter, 30, 0, 2);
}

#[test]
fn columns_without_any_value() {
    let bare = |row| Event { category_code: None, brand: None, user_session: None, ..event(row) };
    check_cut(&(0..3000).map(bare).collect::<Vec<_>>());
}

#[test]
fn columns_with_one_value_late() {
    let late = |row| match row {
        2999 => event(row),
        _ => Event { category_code: None, brand: None, user_session: None, ..event(row) },
    };
    check_cut(&(0..3000).map(late).collect::<Vec<_>>());
}

/// Every user, category, brand, product and session has the same counts, times and prices.
#[test]
fn ties_in_every_order() {
    let tied = |row: i64| Event {
        event_time: 1_569_888_000_000,
        event_type: ["view", "cart", "purchase"][(row / 216 % 3).unsigned_abs() as usize].to_owned(),
        product_id: row % 6,
        category_id: row % 6,
        category_code: Some(format!("category.{}", row / 6 % 6)).filter(|_| row / 6 % 6 > 0),
        brand: Some(format!("brand{}", row / 36 % 6)).filter(|_| row / 36 % 6 > 0),
        price: 99_900,
        user_id: row % 6,
        user_session: Some((row % 6).unsigned_abs().into()),
    };
    check_cut(&(0..648).map(tied).collect::<Vec<_>>());
}

/// More keys of one user than are sorted in cache at once.
#[test]
fn one_giant_user() {
    let giant = |row| Event { user_id: if row % 100 > 0 { 42 } else { row }, ..event(row) };
    check_cut(&(0..100_000).map(giant).collect::<Vec<_>>());
}

/// One session as large as that user.
#[test]
fn one_giant_session() {
    let giant = |row| Event { user_session: Some(if row % 100 > 0 { 42 } else { u128::MAX }), ..event(row) };
    check_cut(&(0..100_000).map(giant).collect::<Vec<_>>());
}

#[test]
fn many_users_of_one_event() {
    let visitor = |row: i64| Event {
        user_id: row * 7919,
        product_id: row * 31,
        user_session: Some(u128::from(row.unsigned_abs()) << 64),
        ..event(row)
    };
    check_cut(&(0..60_000).map(visitor).collect::<Vec<_>>());
}

#[test]
fn more_categories_than_pairs_have_a_square() {
    let spread = |row: i64| Event { category_code: Some(format!("category.{}", row * 7919 % 1000)), ..event(row) };
    check_cut(&(0..2000).map(spread).collect::<Vec<_>>());
}

/// The ends of 64 bits, of the prices that fit them, and of the years 1 to 9999.
#[test]
fn extreme_times_prices_and_ids() {
    let ends = [i64::MIN, i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX];
    let times = [-62_135_596_800_000, -1, 0, 253_402_300_799_999];
    let of = |values: &[i64], row: i64| values[row.unsigned_abs() as usize % values.len()];
    let extreme = |row: i64| Event {
        event_time: of(&times, row),
        product_id: of(&ends, row / 3),
        category_id: of(&ends, row / 5),
        price: of(&ends, row / 7),
        user_id: of(&ends, row / 11),
        user_session: Some([0, 1, u128::MAX][row.unsigned_abs() as usize % 3]),
        ..event(row)
    };
    check_cut(&(0..600).map(extreme).collect::<Vec<_>>());
}
