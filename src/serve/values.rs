//! The texts that the events of a store have, for whoever chooses among them.

use std::collections::BTreeSet;

use cartlog_storage::store::Snapshot;
use serde_json::{Value, json};

use crate::event::{BRAND, CATEGORY_CODE, EVENT_TYPE};

/// The most texts of one kind; of more, the first ones by name.
const MOST: usize = 5000;

/// The event types, the nodes of the category tree and the brands, each in byte order.
pub(super) fn values(snapshot: &Snapshot) -> Value {
    let plain = |column: usize| -> Vec<&str> {
        let texts: BTreeSet<&str> = snapshot.dictionary(column).iter().collect();
        texts.into_iter().take(MOST).collect()
    };
    let codes = snapshot.dictionary(CATEGORY_CODE);
    let nodes: BTreeSet<&str> = codes.iter().flat_map(nodes).collect();
    json!({
        "event_type": plain(EVENT_TYPE),
        "category": nodes.into_iter().take(MOST).collect::<Vec<_>>(),
        "brand": plain(BRAND),
    })
}

/// A category and all that it is below.
fn nodes(code: &str) -> impl Iterator<Item = &str> {
    code.match_indices('.').map(|(end, _)| &code[..end]).chain([code])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_category_is_below_its_nodes() {
        assert_eq!(nodes("a.b.c").collect::<Vec<_>>(), ["a", "a.b", "a.b.c"]);
        assert_eq!(nodes("é").collect::<Vec<_>>(), ["é"]);
    }
}
