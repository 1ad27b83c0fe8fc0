//! Sessions that viewed, carted and bought, per category.
//!
//! Keys are (session, category, kind), brought together by session: what a session did in each category is a set of bits.

use arrow_schema::SchemaRef;

use crate::analysis::decode::index;
use crate::analysis::field::Field;
use crate::analysis::group::{Parts, group};
use crate::analysis::keys::{Key, Layout};
use crate::analysis::kinds;
use crate::analysis::result::{self, ResultType, counts, texts};
use crate::analysis::{Analysis, AnalysisError, Input, Parameters};
use crate::event::{CATEGORY_CODE, USER_SESSION};
use crate::table::Table;

/// `conversion_funnel`.
#[derive(Debug)]
pub(in crate::analysis) struct ConversionFunnel;

/// Sessions of one category: all, those that viewed, carted, bought, and those that carted and did not buy.
type Stages = [u64; 5];

struct Sessions<'a> {
    layout: &'a Layout<'a>,
}

#[derive(Debug)]
struct Categories {
    stages: Vec<Stages>,
    /// The kinds that the present session has in each category, as bits.
    kinds: Vec<u8>,
    /// The categories that the present session has touched.
    touched: Vec<usize>,
}

impl Parts for Sessions<'_> {
    const LEADING_ONLY: bool = true;
    type Partial = Categories;

    fn start(&self) -> Categories {
        let count = self.layout.field(1).count();
        Categories { stages: vec![[0; 5]; count], kinds: vec![0; count], touched: Vec::new() }
    }

    fn part<K: Key>(&self, partial: &mut Categories, _part: usize, keys: &[K]) {
        let below_session = self.layout.bits_below(1);
        let (kind_bits, category_bits) = (self.layout.bits_below(2), self.layout.field(1).bits());
        let missing = self.layout.field(0).maximum();
        let Categories { stages, kinds, touched } = partial;
        for session in keys.chunk_by(|left, right| left.differing(*right).significant_bits() <= below_session) {
            if self.layout.ordinal(session[0], 0) == missing {
                continue;
            }
            for key in session {
                let category = index(key.bits(kind_bits, category_bits));
                if kinds[category] == 0 {
                    touched.push(category);
                }
                kinds[category] |= 1 << (key.bits(0, kind_bits) % 8);
            }
            for category in touched.drain(..) {
                let kinds = u64::from(std::mem::take(&mut kinds[category]));
                let did = |kind: u32| kinds >> kind & 1;
                let (carted, purchased) = (did(1), did(2));
                for (stage, count) in
                    stages[category].iter_mut().zip([1, did(0), carted, purchased, carted & !purchased])
                {
                    *stage += count;
                }
            }
        }
    }
}

impl Analysis for ConversionFunnel {
    fn name(&self) -> &'static str {
        "conversion_funnel"
    }

    fn description(&self) -> &'static str {
        "Sessions that viewed, carted, bought and abandoned their cart, per category."
    }

    fn sql(&self) -> &'static str {
        include_str!("../sql/conversion_funnel.sql")
    }

    fn schema(&self) -> SchemaRef {
        result::schema(&[
            ("category_code", ResultType::Text),
            ("sessions", ResultType::Integer),
            ("viewed", ResultType::Integer),
            ("carted", ResultType::Integer),
            ("purchased", ResultType::Integer),
            ("abandoned", ResultType::Integer),
        ])
    }

    fn run(&self, input: &Input<'_>, _parameters: &Parameters) -> Result<Table, AnalysisError> {
        let input = input.by_user();
        let events = input.events();
        let layout = Layout::new(vec![
            Field::identified(input, USER_SESSION),
            Field::ranked(events, CATEGORY_CODE),
            kinds::field(events),
        ]);
        let sessions = Sessions { layout: &layout };
        let mut categories = sessions.start().stages;
        for partial in group(input, &layout, 1, &sessions) {
            for (into, other) in categories.iter_mut().zip(partial.stages) {
                into.iter_mut().zip(other).for_each(|(into, other)| *into += other);
            }
        }
        let mut rows: Vec<(u64, Stages)> = (0..).zip(categories).filter(|(_, stages)| stages[0] > 0).collect();
        rows.sort_unstable_by_key(|(category, stages)| (std::cmp::Reverse(stages[0]), *category));
        let counted = |stage: usize| Some(counts(rows.iter().map(|(_, stages)| stages[stage])));
        let categories = texts(layout.field(1), rows.iter().map(|(category, _)| *category));
        result::table(self, vec![categories, counted(0), counted(1), counted(2), counted(3), counted(4)])
    }

    #[cfg(test)]
    fn oracle(
        &self,
        events: &[crate::analysis::testing::Event],
        _parameters: &Parameters,
    ) -> crate::analysis::testing::Rows {
        use crate::analysis::testing::{Cell, Last, group_by, in_sessions};
        use std::collections::BTreeMap;

        let with_session = in_sessions(events);
        let touched = group_by(&with_session, |event| (Last::from(&event.category_code), event.user_session));
        let mut categories: BTreeMap<Last, [i64; 5]> = BTreeMap::new();
        for ((category, _), events) in touched {
            let did = |kind: &str| i64::from(events.iter().any(|event| event.event_type == kind));
            let (carted, purchased) = (did("cart"), did("purchase"));
            let stages = categories.entry(category).or_default();
            for (stage, count) in stages.iter_mut().zip([1, did("view"), carted, purchased, carted * (1 - purchased)]) {
                *stage += count;
            }
        }
        let mut rows: Vec<(Last, [i64; 5])> = categories.into_iter().collect();
        rows.sort_by_key(|(category, stages)| (-stages[0], category.clone()));
        let row = |(category, stages): (Last, [i64; 5])| {
            [category.into()].into_iter().chain(stages.map(Cell::Integer)).collect()
        };
        rows.into_iter().map(row).collect()
    }
}
