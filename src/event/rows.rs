//! Rows as they gather, column by column, into a batch for the store.

use cartlog_storage::store::{Batch, ColumnValues, IdentifierException, IdentifierValues};

/// One event, with its texts as codes: what every reader of a line ends with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Row<'a> {
    pub(super) event_time: i64,
    pub(super) event_type: u32,
    pub(super) product_id: i64,
    pub(super) category_id: i64,
    pub(super) category_code: u32,
    pub(super) brand: u32,
    pub(super) price: i64,
    pub(super) user_id: i64,
    pub(super) user_session: Session<'a>,
}

/// A session as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Session<'a> {
    /// A canonical UUID.
    Uuid(u128),
    /// Another text.
    Text(&'a [u8]),
    /// None.
    Missing,
}

/// The columns of the rows so far.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) event_time: Vec<i64>,
    pub(super) event_type: Vec<u32>,
    pub(super) product_id: Vec<i64>,
    pub(super) category_id: Vec<i64>,
    pub(super) category_code: Vec<u32>,
    pub(super) brand: Vec<u32>,
    pub(super) price: Vec<i64>,
    pub(super) user_id: Vec<i64>,
    pub(super) user_session: IdentifierValues,
}

impl Rows {
    /// No rows, with room for some.
    pub(super) fn with_capacity(rows: usize) -> Self {
        Self {
            event_time: Vec::with_capacity(rows),
            event_type: Vec::with_capacity(rows),
            product_id: Vec::with_capacity(rows),
            category_id: Vec::with_capacity(rows),
            category_code: Vec::with_capacity(rows),
            brand: Vec::with_capacity(rows),
            price: Vec::with_capacity(rows),
            user_id: Vec::with_capacity(rows),
            user_session: IdentifierValues { uuids: Vec::with_capacity(rows), ..IdentifierValues::default() },
        }
    }

    /// Appends a row. The parser's limit on the bytes of one call keeps rows and text within 32 bits.
    #[inline]
    pub(super) fn push(&mut self, row: &Row<'_>) {
        let uuid = self.session(self.len(), row.user_session);
        self.user_session.uuids.push(uuid);
        self.event_time.push(row.event_time);
        self.event_type.push(row.event_type);
        self.product_id.push(row.product_id);
        self.category_id.push(row.category_id);
        self.category_code.push(row.category_code);
        self.brand.push(row.brand);
        self.price.push(row.price);
        self.user_id.push(row.user_id);
    }

    /// The rows so far.
    pub(super) fn len(&self) -> usize {
        self.user_session.uuids.len()
    }

    /// The number that stands for the session of a row in the column of UUIDs. One that is no UUID is noted beside it;
    /// rows ascend.
    #[inline]
    pub(super) fn session(&mut self, row: usize, session: Session<'_>) -> u128 {
        match session {
            Session::Uuid(uuid) => uuid,
            Session::Text(text) => self.except(row, Some(text)),
            Session::Missing => self.except(row, None),
        }
    }

    #[cold]
    fn except(&mut self, row: usize, text: Option<&[u8]>) -> u128 {
        let session = &mut self.user_session;
        let text = text.map(|text| {
            let start = session.text.len();
            session.text.extend_from_slice(text);
            (start as u32, text.len() as u32)
        });
        session.exceptions.push(IdentifierException { row: row as u32, text });
        0
    }

    /// The rows as a batch in the order of the schema.
    pub(super) fn finish(self) -> Batch {
        let rows = self.event_time.len();
        let columns = vec![
            ColumnValues::Integers(self.event_time),
            ColumnValues::Codes(self.event_type),
            ColumnValues::Integers(self.product_id),
            ColumnValues::Integers(self.category_id),
            ColumnValues::Codes(self.category_code),
            ColumnValues::Codes(self.brand),
            ColumnValues::Integers(self.price),
            ColumnValues::Integers(self.user_id),
            ColumnValues::Identifiers(self.user_session),
        ];
        Batch { columns, rows }
    }
}
