//! What each user does most: how often its events are of each combination of category and brand.
//!
//! Two analyses ask for that, and it is nearly all that either does. So events are brought together by user here, a user's combinations are
//! counted in a table of their own, in cache, and whoever asks is told user by user. Where both analyses are asked of the same input
//! ([`Together`](super::Together)), users are brought together once for the two.

use super::ahead::AHEAD;
use super::field::Field;
use super::group::{Parts, group};
use super::keys::{Key, Layout};
use super::tally::Tally;
use super::{Analysis, AnalysisError, Input};
use crate::event::{BRAND, CATEGORY_CODE, USER_ID};
use crate::table::Table;

/// Whoever wants to know of users' combinations.
pub(crate) trait Engagement: Analysis {
    /// Is told.
    type Listener: Listener;

    /// One that knows nothing yet.
    fn listener(&self, combinations: &Combinations<'_>) -> Self::Listener;

    /// The answer: what a listener knows at the end, and what each worker has heard.
    fn table(
        &self,
        combinations: &Combinations<'_>,
        listener: Self::Listener,
        heard: Vec<<Self::Listener as Listener>::Heard>,
    ) -> Result<Table, AnalysisError>;
}

/// Is told of users, by several workers.
pub(crate) trait Listener: Send + Sync {
    /// What a worker has heard.
    type Heard: Send + Default;

    /// Asks for what is kept of a combination that is to come.
    #[inline]
    fn expect(&self, _combination: u64) {}

    /// Takes a user in, in part number `part`, with each of its combinations and how often it occurs. Higher parts have higher users, and
    /// those of a part come in their order.
    fn user(&self, heard: &mut Self::Heard, part: usize, user: u64, counts: &[(u64, u64)]);
}

/// Users, categories and brands as ordinals.
#[derive(Debug)]
pub(crate) struct Combinations<'a> {
    layout: Layout<'a>,
}

impl<'a> Combinations<'a> {
    fn of(input: &Input<'a>) -> Self {
        let events = input.events();
        let fields =
            vec![Field::offset(events, USER_ID), Field::ranked(events, CATEGORY_CODE), Field::ranked(events, BRAND)];
        Self { layout: Layout::new(fields) }
    }

    /// Users.
    pub(crate) fn users(&self) -> &Field<'a> {
        self.layout.field(0)
    }

    /// Categories.
    pub(crate) fn categories(&self) -> &Field<'a> {
        self.layout.field(1)
    }

    /// Brands.
    pub(crate) fn brands(&self) -> &Field<'a> {
        self.layout.field(2)
    }

    /// Bits of a combination.
    pub(crate) fn bits(&self) -> u32 {
        self.layout.bits_below(1)
    }

    /// The category of a combination.
    pub(crate) fn category(&self, combination: u64) -> u64 {
        u64::bits(combination, self.brands().bits(), self.categories().bits())
    }

    /// The brand of a combination.
    pub(crate) fn brand(&self, combination: u64) -> u64 {
        u64::bits(combination, 0, self.brands().bits())
    }
}

/// The answer of one of two analyses; where the other is asked too, its answer is left for it.
pub(crate) fn answer(
    asked: &impl Engagement,
    other: &impl Engagement,
    input: &Input<'_>,
) -> Result<Table, AnalysisError> {
    let by_user = input.by_user();
    let combinations = Combinations::of(by_user);
    let first = asked.listener(&combinations);
    let Some(together) = input.together().filter(|together| together.wants(other.name())) else {
        let heard = tell(by_user, &combinations, &first);
        return asked.table(&combinations, first, heard);
    };
    let both = (first, other.listener(&combinations));
    let (heard, heard_by_other) = tell(by_user, &combinations, &both).into_iter().unzip();
    let (first, second) = both;
    let (table, left) =
        rayon::join(|| asked.table(&combinations, first, heard), || other.table(&combinations, second, heard_by_other));
    together.leave(other.name(), left?);
    table
}

/// Tells of the covered events' users; returns what workers have heard.
fn tell<L: Listener>(input: &Input<'_>, combinations: &Combinations<'_>, listener: &L) -> Vec<L::Heard> {
    let heard = group(input, &combinations.layout, 1, &Users { combinations, listener });
    heard.into_iter().map(|(heard, _)| heard).collect()
}

struct Users<'a, L> {
    combinations: &'a Combinations<'a>,
    listener: &'a L,
}

impl<L: Listener> Parts for Users<'_, L> {
    const LEADING_ONLY: bool = true;
    type Partial = (L::Heard, Tally);

    fn start(&self) -> Self::Partial {
        (L::Heard::default(), Tally::of_bits(self.combinations.bits()))
    }

    fn part<K: Key>(&self, (heard, tally): &mut Self::Partial, part: usize, keys: &[K]) {
        let below_user = self.combinations.bits();
        let mut ahead = keys.iter().skip(AHEAD);
        for rows in keys.chunk_by(|left, right| left.is_alike(*right, below_user)) {
            for combination in ahead.by_ref().take(rows.len()).map(|key| key.bits(0, below_user)) {
                tally.expect(combination);
                self.listener.expect(combination);
            }
            let user = self.combinations.layout.ordinal(rows[0], 0);
            self.listener.user(heard, part, user, tally.count(rows.iter().map(|key| key.bits(0, below_user))));
        }
    }
}

impl<A: Listener, B: Listener> Listener for (A, B) {
    type Heard = (A::Heard, B::Heard);

    #[inline]
    fn expect(&self, combination: u64) {
        self.0.expect(combination);
        self.1.expect(combination);
    }

    #[inline]
    fn user(&self, heard: &mut Self::Heard, part: usize, user: u64, counts: &[(u64, u64)]) {
        self.0.user(&mut heard.0, part, user, counts);
        self.1.user(&mut heard.1, part, user, counts);
    }
}
