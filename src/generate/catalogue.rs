//! The shop: its categories, its products with their brands and prices, and how often each is looked at.
//!
//! A product keeps its category, code and brand for good, so the middle of its CSV line is written once, here; only its
//! price moves now and then. Shares are set by construction rather than hoped for: weights of categories with a code
//! add up to what the public data shows, brands are withheld at the public rate, and all prices are scaled until the
//! mean price of an event is the public one.

use std::io::Write as _;

use super::names::{CODES, DEVICE_BRANDS, SPECIAL_BRANDS, SYLLABLES};
use super::random::{Scatter, Weighted, below, hash, quantile, unit};

/// Category ids of the shop.
const CATEGORIES: usize = 691;
/// Category ids that have a code: every code has one, some have a second.
const CATEGORIES_WITH_CODE: usize = 239;
/// Share of events whose category has no code.
const SHARE_WITHOUT_CODE: f64 = 0.3221;
/// Share of events at the first code, the telephones that the shop lives on.
const SHARE_OF_FIRST_CODE: f64 = 0.27;
/// Share of a code's events that go to its second category id.
const SHARE_OF_SECOND_ID: f64 = 0.15;
/// Codes whose products carry a device maker's name, always.
const DEVICE_CODES: [&str; 5] = [
    "electronics.smartphone",
    "electronics.clocks",
    "computers.notebook",
    "electronics.tablet",
    "electronics.telephone",
];
/// Share of products without a brand where there is a code (device codes apart), and where there is none.
const WITHOUT_BRAND: (f64, f64) = (0.155, 0.26);
/// Brands of the shop.
const BRANDS: usize = 4303;
/// The mean price of an event and the highest price, in cents.
const MEAN_PRICE_CENTS: f64 = 29_163.5;
const HIGHEST_PRICE_CENTS: u32 = 257_407;
/// How a product's price lies beside the typical price of its category, by quantile.
const SPREAD: [(f64, f64); 8] =
    [(0.0, 0.1), (0.05, 0.27), (0.25, 0.55), (0.5, 0.85), (0.75, 1.25), (0.95, 2.4), (0.99, 4.2), (1.0, 6.0)];
/// Typical prices of categories without a code, by quantile.
const TYPICAL_WITHOUT_CODE: [(f64, f64); 6] =
    [(0.0, 4.0), (0.25, 38.0), (0.5, 85.0), (0.75, 190.0), (0.95, 520.0), (1.0, 900.0)];
/// One product of so many is priced 0.00.
const FREE_ONE_OF: u64 = 900;
/// How many product ids a category has to itself, unless one has more products.
const IDS_PER_CATEGORY: u64 = 200_000;

/// The products of the shop and the odds of meeting each.
#[derive(Debug)]
pub(super) struct Catalogue {
    key: u64,
    categories: Vec<Category>,
    choice: Weighted,
    /// `,product_id,category_id,category_code,brand,` of every product, one after the other.
    texts: Vec<u8>,
    /// Where each product's text starts, and where the last one ends.
    starts: Vec<u32>,
    /// Each product's price before its changes, in cents.
    cents: Vec<u32>,
}

/// A category id and its products, which lie one after the other.
#[derive(Debug)]
struct Category {
    id: u64,
    code: Option<&'static str>,
    typical_price: f64,
    weight: f64,
    first_product: u32,
    products: u32,
}

impl Catalogue {
    /// The shop of a seed with so many products.
    pub(super) fn new(seed: u64, products: u32) -> Self {
        let key = hash(seed, 0x5340_4f50);
        let mut categories = categories(key);
        give_products(&mut categories, products);
        let weights: Vec<f64> =
            categories.iter().map(|category| if category.products == 0 { 0.0 } else { category.weight }).collect();
        let mut catalogue = Self {
            key,
            choice: Weighted::new(&weights),
            categories,
            texts: Vec::with_capacity(products as usize * 64),
            starts: Vec::with_capacity(products as usize + 1),
            cents: Vec::new(),
        };
        catalogue.write_texts();
        catalogue.set_prices();
        catalogue
    }

    /// The category that a random number stands for, by its share of the events.
    #[inline]
    pub(super) fn category(&self, bits: u64) -> u32 {
        self.choice.pick(bits)
    }

    /// The product of a category that a random number stands for: a few products have most of the events.
    #[inline]
    pub(super) fn product(&self, category: u32, bits: u64) -> u32 {
        let category = &self.categories[category as usize];
        let square = unit(bits) * unit(bits);
        // The lowest bit has no part in the number; `share_below` is what this comes to.
        let place = if bits & 1 == 0 { square } else { square * square };
        category.first_product + (f64::from(category.products) * place) as u32
    }

    /// The CSV fields from the product id to the brand, with the commas around them.
    #[inline]
    pub(super) fn text(&self, product: u32) -> &[u8] {
        let product = product as usize;
        &self.texts[self.starts[product] as usize..self.starts[product + 1] as usize]
    }

    /// What a product costs on a day, in cents: it changes by up to a tenth every one to eight weeks.
    #[inline]
    pub(super) fn price_cents(&self, product: u32, day: u32) -> u32 {
        let own = hash(self.key ^ 1, u64::from(product));
        let days = 7 + (own & 0x3f) as u32;
        let season = (day + (own >> 32) as u32 % days) / days;
        let permille = 900 + below(hash(own, u64::from(season)), 201);
        let cents = u64::from(self.cents[product as usize]) * permille / 1000;
        (cents as u32).min(HIGHEST_PRICE_CENTS)
    }

    fn write_texts(&mut self) {
        let brands = brands(self.key);
        let room = ids_per_category(self.categories.iter().map(|category| category.products).max().unwrap_or_default());
        for (number, category) in self.categories.iter().enumerate() {
            let number = number as u64;
            let own = hash(self.key ^ 2, number);
            let ids = Scatter::new(u64::from(category.products).max(1));
            let step = room / u64::from(category.products).max(1);
            let house_brands = u64::from(category.products / 8).clamp(3, 400);
            let device = category.code.is_some_and(|code| DEVICE_CODES.contains(&code));
            let without_brand = if category.code.is_some() { WITHOUT_BRAND.0 } else { WITHOUT_BRAND.1 };
            for rank in 0..u64::from(category.products) {
                let bits = hash(own, rank);
                let place = ids.place(rank) * step + below(hash(bits, 1), step);
                let product_id = (10 + 2 * number) * (room / 2) + place;
                // Spread evenly over the ranks, so that the few busy products cannot tip the share.
                let turn = (rank as f64 * 0.618_033_988_75 + unit(own)).fract();
                let choice = unit(hash(bits, 2));
                let brand = if device {
                    DEVICE_BRANDS[(DEVICE_BRANDS.len() as f64 * (choice * choice)) as usize]
                } else if turn < without_brand {
                    ""
                } else {
                    let house_brand = (house_brands as f64 * (choice * choice)) as u64;
                    let place = unit(hash(own ^ 3, house_brand));
                    &brands[(BRANDS as f64 * (place * place)) as usize]
                };
                self.starts.push(self.texts.len() as u32);
                let code = category.code.unwrap_or_default();
                // Writing to a vector cannot fail.
                let _ = write!(self.texts, ",{product_id},{},{code},{brand},", category.id);
            }
        }
        self.starts.push(self.texts.len() as u32);
    }

    /// Gives each product its price, scaled so that the mean over events is the public data's.
    fn set_prices(&mut self) {
        let mut priced: Vec<(f64, f64)> = Vec::with_capacity(self.starts.len());
        for category in &self.categories {
            let products = f64::from(category.products);
            for rank in 0..category.products {
                let bits = hash(self.key ^ 4, u64::from(category.first_product + rank));
                let free = hash(bits, 1).is_multiple_of(FREE_ONE_OF) && rank > 0;
                let price = if free { 0.0 } else { category.typical_price * quantile(&SPREAD, unit(bits)) * 100.0 };
                let share = share_below(f64::from(rank + 1) / products) - share_below(f64::from(rank) / products);
                priced.push((price, share * category.weight));
            }
        }
        let total: f64 = priced.iter().map(|(_, share)| share).sum();
        let highest = f64::from(HIGHEST_PRICE_CENTS);
        let mut scale = 1.0;
        for _ in 0..20 {
            let mean = priced.iter().map(|(price, share)| (price * scale).min(highest) * share).sum::<f64>() / total;
            scale *= MEAN_PRICE_CENTS / mean;
        }
        self.cents = priced
            .iter()
            .map(|(price, _)| if *price == 0.0 { 0 } else { (price * scale).clamp(50.0, 4.0 * highest) as u32 })
            .collect();
    }
}

/// How many product ids each category has to itself where the largest has so many products.
fn ids_per_category(products: u32) -> u64 {
    u64::from(products).next_multiple_of(IDS_PER_CATEGORY).max(IDS_PER_CATEGORY)
}

/// The part of a category's events that goes to this part of its products, the busiest first.
fn share_below(part: f64) -> f64 {
    (part.sqrt() + part.sqrt().sqrt()) / 2.0
}

/// The categories, the busiest first, still without products.
fn categories(key: u64) -> Vec<Category> {
    let seconds = CATEGORIES_WITH_CODE - CODES.len();
    let has_second = |code: usize| (0..seconds).any(|second| second_code(second) == code);
    let shares = harmonic_shares(CODES.len() - 1, 4.0, 1.0 - SHARE_WITHOUT_CODE - SHARE_OF_FIRST_CODE);
    let share_of_code = |code: usize| if code == 0 { SHARE_OF_FIRST_CODE } else { shares[code - 1] };
    let mut found: Vec<(Option<usize>, f64)> = Vec::with_capacity(CATEGORIES);
    for code in 0..CODES.len() {
        let kept = if has_second(code) { 1.0 - SHARE_OF_SECOND_ID } else { 1.0 };
        found.push((Some(code), share_of_code(code) * kept));
    }
    for second in 0..seconds {
        let code = second_code(second);
        found.push((Some(code), share_of_code(code) * SHARE_OF_SECOND_ID));
    }
    let without = harmonic_shares(CATEGORIES - CATEGORIES_WITH_CODE, 2.0, SHARE_WITHOUT_CODE);
    found.extend(without.into_iter().map(|share| (None, share)));
    found.sort_by(|left, right| right.1.total_cmp(&left.1));
    let ids = Scatter::new(CATEGORIES as u64);
    found
        .into_iter()
        .enumerate()
        .map(|(number, (code, weight))| {
            let bits = hash(key ^ 5, number as u64);
            let typical_price = match code {
                Some(code) => CODES[code].1,
                None => quantile(&TYPICAL_WITHOUT_CODE, unit(bits)),
            };
            let place = ids.place(number as u64) * 20_700_000 + below(hash(bits, 1), 20_700_000);
            Category {
                id: 2_053_013_551_865_266_176 + place,
                code: code.map(|code| CODES[code].0),
                typical_price,
                weight,
                first_product: 0,
                products: 0,
            }
        })
        .collect()
}

/// Which code has the second category id of this number; all are different.
fn second_code(second: usize) -> usize {
    (second * 7 + 3) % CODES.len()
}

/// `count` shares of `total` that fall like 1/(rank + `offset`).
fn harmonic_shares(count: usize, offset: f64, total: f64) -> Vec<f64> {
    let weights: Vec<f64> = (0..count).map(|rank| 1.0 / (rank as f64 + offset)).collect();
    let sum: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight * total / sum).collect()
}

/// Hands out the products: one to each category while they last, the rest by the square root of its events.
fn give_products(categories: &mut [Category], products: u32) {
    let spare = f64::from(products.saturating_sub(categories.len() as u32));
    let roots: f64 = categories.iter().map(|category| category.weight.sqrt()).sum();
    let mut left = products;
    for category in categories.iter_mut() {
        category.products = (1 + (spare * category.weight.sqrt() / roots) as u32).min(left);
        left -= category.products;
    }
    while left > 0 {
        for category in categories.iter_mut().take(left as usize) {
            category.products += 1;
            left -= 1;
        }
    }
    let mut first = 0;
    for category in categories {
        category.first_product = first;
        first += category.products;
    }
}

/// The shop's brands, the most sought first.
fn brands(key: u64) -> Vec<String> {
    let mut brands: Vec<String> = SPECIAL_BRANDS.map(str::to_owned).to_vec();
    let count = SYLLABLES.len() as u64;
    let order = Scatter::new(count * count * count);
    let mut number = below(key, count * count * count);
    while brands.len() < BRANDS {
        let place = order.place(number % (count * count * count));
        number += 1;
        let syllable = |index: u64| SYLLABLES[(index % count) as usize];
        let mut name = format!("{}{}", syllable(place), syllable(place / count));
        if !place.is_multiple_of(3) {
            name.push_str(syllable(place / count / count));
        }
        if !brands.contains(&name) {
            brands.push(name);
        }
    }
    brands
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn a_shop_has_the_public_numbers_of_things() {
        let catalogue = Catalogue::new(7, 206_876);
        let ids: HashSet<u64> = catalogue.categories.iter().map(|category| category.id).collect();
        let codes: HashSet<&str> = catalogue.categories.iter().filter_map(|category| category.code).collect();
        assert_eq!((ids.len(), codes.len()), (691, 129));
        assert!(ids.iter().all(|id| id.to_string().len() == 19));
        assert_eq!(catalogue.starts.len(), 206_877);
        let mut products = HashSet::new();
        let mut lengths = [0; 10];
        for product in 0..206_876 {
            let text = std::str::from_utf8(catalogue.text(product)).unwrap();
            let fields: Vec<&str> = text.split(',').collect();
            assert_eq!(fields.len(), 6, "{text}");
            lengths[fields[1].len()] += 1;
            assert!(products.insert(fields[1].to_owned()), "product id {} twice", fields[1]);
        }
        assert_eq!(lengths[7] + lengths[8] + lengths[9], 206_876, "{lengths:?}");
        assert!(lengths[7..].iter().all(|count| *count > 0), "{lengths:?}");
        let weights: f64 = catalogue.categories.iter().map(|category| category.weight).sum();
        assert!((weights - 1.0).abs() < 1e-9);
    }

    #[test]
    fn a_shop_can_be_small() {
        for products in [1, 2, 690, 691, 692, 1500] {
            let catalogue = Catalogue::new(7, products);
            assert_eq!(catalogue.cents.len(), products as usize);
            for index in 0..1000 {
                let category = catalogue.category(hash(1, index));
                assert!(catalogue.product(category, hash(2, index)) < products);
            }
        }
    }

    #[test]
    fn ids_make_room_for_a_category_of_any_size() {
        assert_eq!(ids_per_category(0), IDS_PER_CATEGORY);
        assert_eq!(ids_per_category(200_000), IDS_PER_CATEGORY);
        assert_eq!(ids_per_category(200_001), 2 * IDS_PER_CATEGORY);
        let mut categories = categories(7);
        give_products(&mut categories, 20_000_000);
        let most = categories.iter().map(|category| category.products).max().unwrap();
        assert!(u64::from(most) > IDS_PER_CATEGORY && u64::from(most) <= ids_per_category(most));
    }

    #[test]
    fn a_price_changes_rarely_and_stays_below_the_highest() {
        let catalogue = Catalogue::new(7, 5000);
        for product in 0..5000 {
            let prices: Vec<u32> = (0..365).map(|day| catalogue.price_cents(product, day)).collect();
            let changes = prices.windows(2).filter(|pair| pair[0] != pair[1]).count();
            assert!(changes <= 53, "product {product} changes {changes} times a year");
            assert!(prices.iter().all(|cents| *cents <= HIGHEST_PRICE_CENTS));
        }
    }
}
