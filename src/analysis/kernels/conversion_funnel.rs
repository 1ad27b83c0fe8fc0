//! Sessions that viewed, carted and bought, per category.
//!
//! Keys are (category, session, kind): a session's kinds in a category stand side by side.

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

impl Parts for Sessions<'_> {
    type Partial = Vec<Stages>;

    fn start(&self) -> Self::Partial {
        vec![[0; 5]; self.layout.field(0).count()]
    }

    fn part<K: Key>(&self, partial: &mut Self::Partial, _part: usize, keys: &[K]) {
        let kind_bits = self.layout.bits_below(2);
        let missing = self.layout.field(1).maximum();
        for session in keys.chunk_by(|left, right| left.differing(*right).significant_bits() <= kind_bits) {
            let Some(first) = session.first().filter(|first| self.layout.ordinal(**first, 1) != missing) else {
                continue;
            };
            let kinds = session.iter().fold(0_u64, |kinds, key| kinds | 1 << key.bits(0, kind_bits));
            let did = |kind: u32| kinds >> kind & 1;
            let stages = &mut partial[index(self.layout.ordinal(*first, 0))];
            let (carted, purchased) = (did(1), did(2));
            for (stage, count) in stages.iter_mut().zip([1, did(0), carted, purchased, carted & !purchased]) {
                *stage += count;
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
        let events = input.events();
        let layout = Layout::new(vec![
            Field::ranked(events, CATEGORY_CODE),
            Field::identified(events, USER_SESSION),
            kinds::field(events),
        ]);
        let sessions = Sessions { layout: &layout };
        let mut categories = sessions.start();
        for partial in group(input, &layout, 2, &sessions) {
            for (into, other) in categories.iter_mut().zip(partial) {
                into.iter_mut().zip(other).for_each(|(into, other)| *into += other);
            }
        }
        let mut rows: Vec<(u64, Stages)> = (0..).zip(categories).filter(|(_, stages)| stages[0] > 0).collect();
        rows.sort_unstable_by_key(|(category, stages)| (std::cmp::Reverse(stages[0]), *category));
        let counted = |stage: usize| Some(counts(rows.iter().map(|(_, stages)| stages[stage])));
        let categories = texts(layout.field(0), rows.iter().map(|(category, _)| *category));
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
