//! What generated events must be: sorted, the same every time, and of the public data's shape.

use std::collections::{HashMap, HashSet};

use super::*;

fn generate(options: Options) -> Vec<u8> {
    let mut csv = Vec::new();
    let events = options.events;
    let done = Generator::new(options).unwrap().write(&mut csv, |_| ()).unwrap();
    assert_eq!(done, Progress { events, bytes: csv.len() as u64 });
    csv
}

fn options(events: u64, seed: u64) -> Options {
    Options { events, seed, ..Options::default() }
}

#[test]
fn threads_do_not_show() {
    let one = generate(Options { threads: 1, ..options(100_000, 5) });
    let three = generate(Options { threads: 3, ..options(100_000, 5) });
    assert!(one == three);
}

#[test]
fn a_short_stream_is_the_start_of_a_long_one() {
    let long = generate(options(90_000, 5));
    let short = generate(options(70_000, 5));
    assert!(long.starts_with(&short));
    let other = generate(options(70_000, 6));
    assert!(other[..10_000] != short[..10_000], "another seed, other events");
}

#[test]
fn nothing_but_a_header() {
    assert_eq!(generate(options(0, 1)), render::HEADER);
    assert_eq!(generate(Options { header: false, ..options(0, 1) }), b"");
}

#[test]
fn options_out_of_range_are_named() {
    for (options, name) in [
        (Options { users: 0, ..Options::default() }, "users is 0, expected 1 to 50000000"),
        (Options { products: 20_000_001, ..Options::default() }, "products is 20000001, expected 1 to 20000000"),
        (Options { events_per_day: 0, ..Options::default() }, "events per day is 0, expected 1 to 1000000000000"),
        (Options { events: 36_501, events_per_day: 1, ..Options::default() }, "events is 36501, expected 0 to 36500"),
    ] {
        assert_eq!(Generator::new(options).unwrap_err().to_string(), name);
    }
}

#[test]
fn a_writer_that_fails_ends_it() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0 == 0 {
                return Err(io::Error::other("no room"));
            }
            self.0 -= 1;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let error = Generator::new(options(1_000_000, 5)).unwrap().write(&mut Full(2), |_| ()).unwrap_err();
    assert!(error.to_string().ends_with("no room"), "{error}");
}

/// Bounds on the shares and means of 400,000 events, which are also in order and have nine fields.
#[test]
fn events_have_the_public_shape() {
    let csv = generate(options(400_000, 42));
    let text = std::str::from_utf8(&csv).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next().map(str::len), Some(render::HEADER.len() - 1));
    let mut last = "";
    let (mut kinds, mut sessions): (HashMap<&str, f64>, HashMap<&str, u32>) = Default::default();
    let (mut users, mut products): (HashMap<&str, u32>, HashMap<&str, u32>) = Default::default();
    let (mut categories, mut codes, mut brands): (HashSet<&str>, HashSet<&str>, HashSet<&str>) = Default::default();
    let (mut without_code, mut without_brand, mut cents, mut highest) = (0.0, 0.0, 0.0, 0.0f64);
    let mut fixed: HashMap<&str, (&str, &str, &str)> = HashMap::new();
    let mut events = 0.0;
    for line in lines {
        let fields: Vec<&str> = line.split(',').collect();
        let [time, kind, product, category, code, brand, price, user, session] = fields[..] else {
            panic!("{} fields: {line}", fields.len());
        };
        assert!(time >= last, "{time} after {last}");
        last = time;
        events += 1.0;
        *kinds.entry(kind).or_default() += 1.0;
        *sessions.entry(session).or_default() += 1;
        *users.entry(user).or_default() += 1;
        *products.entry(product).or_default() += 1;
        categories.insert(category);
        codes.insert(code);
        brands.insert(brand);
        without_code += f64::from(u8::from(code.is_empty()));
        without_brand += f64::from(u8::from(brand.is_empty()));
        let amount: f64 = price.parse().unwrap();
        cents += amount * 100.0;
        highest = highest.max(amount);
        assert!(price.len() - price.find('.').unwrap() == 3, "{price}");
        let before = *fixed.entry(product).or_insert((category, code, brand));
        assert_eq!(before, (category, code, brand), "product {product}");
    }
    assert_eq!(events, 400_000.0);
    let within = |what: &str, got: f64, low: f64, high: f64| {
        assert!((low..=high).contains(&got), "{what}: {got}, expected {low} to {high}");
    };
    within("views", kinds["view"] / events, 0.945, 0.953);
    within("carts", kinds["cart"] / events, 0.034, 0.038);
    within("purchases", kinds["purchase"] / events, 0.0135, 0.0165);
    assert_eq!(kinds.len(), 3);
    within("without code", without_code / events, 0.31, 0.335);
    within("without brand", without_brand / events, 0.125, 0.155);
    within("mean price", cents / events / 100.0, 275.0, 308.0);
    assert_eq!(highest, 2574.07);
    within("events a session", events / sessions.len() as f64, 4.5, 5.0);
    within("category ids", categories.len() as f64, 680.0, 691.0);
    assert_eq!(codes.len(), 130, "129 and the missing one");
    assert!(brands.contains("nan") && brands.len() > 1000, "{} brands", brands.len());
    within("users", users.len() as f64, 60_000.0, 90_000.0);
    within("busiest product", f64::from(*products.values().max().unwrap()) / events, 0.004, 0.03);
    within("products", products.len() as f64, 30_000.0, 110_000.0);
}

#[test]
fn the_committed_sample_is_what_generate_makes() {
    let sample = std::fs::read(concat!(env!("CARGO_MANIFEST_DIR"), "/data/sample.csv")).unwrap();
    let made = generate(Options { users: 900, products: 1500, events_per_day: 200, ..options(5000, 42) });
    assert!(sample == made, "data/sample.csv differs from its recipe in data/README.md");
}
