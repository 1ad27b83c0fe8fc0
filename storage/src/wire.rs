//! Little-endian numbers and counted bytes, as our own small files hold them.

/// The `u32` at a place that the caller has checked to lie inside.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut number = [0; 4];
    number.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(number)
}

/// What is wrong with a file that begins otherwise than files of its kind do.
pub(crate) fn other_magic(got: &[u8], expected: &[u8]) -> String {
    format!("magic is \"{}\", expected \"{}\"", got.escape_ascii(), expected.escape_ascii())
}

/// The `u64` at a place that the caller has checked to lie inside.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut number = [0; 8];
    number.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(number)
}

/// Appends numbers and counted bytes.
pub(crate) trait Put {
    /// Appends bytes as they are.
    fn put(&mut self, bytes: &[u8]);

    /// Appends a `u32`.
    fn put_u32(&mut self, value: u32) {
        self.put(&value.to_le_bytes());
    }

    /// Appends a `u64`.
    fn put_u64(&mut self, value: u64) {
        self.put(&value.to_le_bytes());
    }

    /// Appends bytes behind their count, a `u32`; the caller has limits far below that.
    fn put_counted(&mut self, bytes: &[u8]) {
        self.put_u32(bytes.len() as u32);
        self.put(bytes);
    }
}

impl Put for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// Takes numbers and counted bytes from the front; every error says where and what.
#[derive(Debug)]
pub(crate) struct Take<'a> {
    bytes: &'a [u8],
    at: usize,
}

/// Where taking failed, counted from the start of the bytes, and why.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TakeError {
    pub(crate) at: usize,
    pub(crate) what: String,
}

impl<'a> Take<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes not taken yet.
    pub(crate) fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    /// An error at the present place.
    pub(crate) fn error(&self, what: impl Into<String>) -> TakeError {
        TakeError { at: self.at, what: what.into() }
    }

    pub(crate) fn take(&mut self, count: usize) -> Result<&'a [u8], TakeError> {
        let taken = self.bytes[self.at..].get(..count);
        let taken = taken.ok_or_else(|| self.error(format!("{count} bytes expected, {} are left", self.left())))?;
        self.at += count;
        Ok(taken)
    }

    pub(crate) fn u8(&mut self) -> Result<u8, TakeError> {
        self.take(1).map(|bytes| bytes[0])
    }

    pub(crate) fn u32(&mut self) -> Result<u32, TakeError> {
        self.take(4).map(|bytes| u32_at(bytes, 0))
    }

    pub(crate) fn u64(&mut self) -> Result<u64, TakeError> {
        self.take(8).map(|bytes| u64_at(bytes, 0))
    }

    /// Bytes behind their count.
    pub(crate) fn counted(&mut self) -> Result<&'a [u8], TakeError> {
        let count = self.u32()?;
        self.take(count as usize)
    }

    /// Text behind its count of bytes.
    pub(crate) fn text(&mut self) -> Result<&'a str, TakeError> {
        let at = self.at;
        let bytes = self.counted()?;
        std::str::from_utf8(bytes).map_err(|error| TakeError { at, what: format!("text is not UTF-8: {error}") })
    }

    /// Whether there is an id (1 byte), and its 16 bytes, which stand there in any case.
    pub(crate) fn optional_id(&mut self) -> Result<Option<[u8; 16]>, TakeError> {
        let is_there = self.u8()? != 0;
        let mut id = [0; 16];
        id.copy_from_slice(self.take(16)?);
        Ok(is_there.then_some(id))
    }

    /// As many of something as a `u32` says.
    pub(crate) fn list<T>(
        &mut self,
        mut one: impl FnMut(&mut Self) -> Result<T, TakeError>,
    ) -> Result<Vec<T>, TakeError> {
        let count = self.u32()?;
        // Grows as items turn out to be there: the count alone is not worth an allocation.
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(one(self)?);
        }
        Ok(items)
    }

    /// Checks that nothing is left.
    pub(crate) fn end(&self) -> Result<(), TakeError> {
        if self.left() == 0 { Ok(()) } else { Err(self.error(format!("{} bytes too many", self.left()))) }
    }
}
