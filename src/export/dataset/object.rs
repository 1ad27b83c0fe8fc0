//! A data set in an object store that speaks S3, and single objects there.
//!
//! Objects can't be renamed, but copied by the store itself, without their bytes coming here: a move is a copy, then the
//! removal of the original. A commit is written on the condition that there is none of its number (`If-None-Match`), which
//! the store decides. Large objects are sent in parts while they are being written; one that is given up is aborted.

use std::any::Any;
use std::collections::BTreeSet;
use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use object_store::aws::AmazonS3Builder;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, PutPayload, WriteMultipart};
use tokio::runtime::Runtime;

use super::Place;
use super::http::Connector;
use crate::export::{ExportError, Sink};

/// Bytes of a part; a store takes 10,000 of them, which is 80 GB, and wants 5 MiB at least.
const PART_BYTES: usize = 8 << 20;

/// Parts on their way at the same time.
const PARTS_AT_ONCE: usize = 4;

/// The region that is named where nothing names one, as stores other than Amazon's have none.
const REGION: &str = "us-east-1";

/// The address of a bucket, and what the names in it begin with.
///
/// ```
/// use cartlog::export::dataset::ObjectUrl;
///
/// let url = ObjectUrl::parse("s3://shop/events/").unwrap();
/// assert_eq!((url.bucket(), url.prefix()), ("shop", "events"));
/// assert!(ObjectUrl::parse("events").is_none());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectUrl {
    bucket: String,
    prefix: String,
}

impl ObjectUrl {
    /// The address that a text of the form `s3://BUCKET/PREFIX` is; `None` for any other.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("s3://").or_else(|| text.strip_prefix("s3a://"))?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_matches('/');
        (!bucket.is_empty()).then(|| Self { bucket: bucket.to_owned(), prefix: prefix.to_owned() })
    }

    /// The bucket.
    #[must_use]
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    /// What names begin with; no slash at its ends.
    #[must_use]
    pub fn prefix(&self) -> &str {
        &self.prefix
    }
}

impl fmt::Display for ObjectUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.prefix.is_empty() { "" } else { "/" };
        write!(formatter, "s3://{}{separator}{}", self.bucket, self.prefix)
    }
}

/// Part of a bucket.
#[derive(Debug, Clone)]
pub struct ObjectPlace {
    store: Arc<dyn ObjectStore>,
    url: ObjectUrl,
    runtime: Arc<Runtime>,
}

impl ObjectPlace {
    /// Connects to the store that the environment names: `AWS_ENDPOINT_URL` (Amazon's own without), `AWS_REGION`,
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`.
    ///
    /// # Errors
    /// [`ExportError::ObjectStore`] if the environment doesn't fit together.
    pub fn connect(url: ObjectUrl) -> Result<Self, ExportError> {
        let failed = |source| ExportError::ObjectStore { url: url.to_string(), action: "connecting", source };
        let given = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let mut builder = AmazonS3Builder::from_env().with_bucket_name(url.bucket()).with_http_connector(Connector);
        if given("AWS_REGION").or(given("AWS_DEFAULT_REGION")).is_none() {
            builder = builder.with_region(REGION);
        }
        let endpoint = given("AWS_ENDPOINT_URL_S3").or(given("AWS_ENDPOINT_URL")).or(given("AWS_ENDPOINT"));
        if let Some(endpoint) = endpoint {
            // Who writes http:// means it; without an endpoint it is always https.
            builder = builder.with_allow_http(endpoint.starts_with("http://")).with_endpoint(endpoint);
        }
        let store = builder.build().map_err(failed)?;
        Ok(Self::of(Arc::new(store), url, runtime()?))
    }

    /// Any object store.
    #[must_use]
    pub fn of(store: Arc<dyn ObjectStore>, url: ObjectUrl, runtime: Arc<Runtime>) -> Self {
        Self { store, url, runtime }
    }

    /// Begins the object that the address itself names.
    ///
    /// # Errors
    /// None here; writing fails later if the store refuses.
    pub fn create_itself(&self) -> Result<Box<dyn Sink>, ExportError> {
        self.create("")
    }

    fn path(&self, name: &str) -> Path {
        Path::from_iter(
            [self.url.prefix(), name].into_iter().flat_map(|part| part.split('/')).filter(|part| !part.is_empty()),
        )
    }

    fn failed(&self, name: &str, action: &'static str) -> impl FnOnce(object_store::Error) -> ExportError {
        let url = self.describe(name);
        move |source| ExportError::ObjectStore { url, action, source }
    }

    /// Every object below a folder, and the folders in it.
    fn list_folder(&self, folder: &str) -> Result<object_store::ListResult, ExportError> {
        let path = self.path(folder);
        let listed = self.runtime.block_on(self.store.list_with_delimiter(Some(&path)));
        listed.map_err(self.failed(folder, "listing"))
    }
}

/// A runtime for requests.
pub(super) fn runtime() -> Result<Arc<Runtime>, ExportError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.map(Arc::new).map_err(ExportError::Write)
}

impl Place for ObjectPlace {
    fn describe(&self, name: &str) -> String {
        if name.is_empty() { self.url.to_string() } else { format!("{}/{name}", self.url) }
    }

    /// Nothing can be locked; the condition of the commit decides between two exports.
    fn lock(&self, _: &str) -> Result<Option<Box<dyn Any>>, ExportError> {
        Ok(None)
    }

    fn is_exclusive(&self) -> bool {
        false
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, ExportError> {
        let listed = self.list_folder(folder)?;
        let objects = listed.objects.iter().map(|object| &object.location);
        let names = listed.common_prefixes.iter().chain(objects);
        let mut names: Vec<String> = names.filter_map(|path| path.filename().map(str::to_owned)).collect();
        names.sort_unstable();
        Ok(names)
    }

    fn exists(&self, name: &str) -> Result<bool, ExportError> {
        match self.runtime.block_on(self.store.head(&self.path(name))) {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(error) => Err(self.failed(name, "looking for it")(error)),
        }
    }

    fn read(&self, name: &str, most: usize) -> Result<Option<Vec<u8>>, ExportError> {
        let path = self.path(name);
        let most = most as u64;
        let read = self.runtime.block_on(async {
            let found = self.store.get(&path).await?;
            if found.meta.size > most { self.store.get_range(&path, 0..most).await } else { found.bytes().await }
        });
        match read {
            Ok(bytes) => Ok(Some(bytes.into())),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(name, "reading")(error)),
        }
    }

    fn create(&self, name: &str) -> Result<Box<dyn Sink>, ExportError> {
        let (place, path, url) = (self.clone(), self.path(name), self.describe(name));
        Ok(Box::new(ObjectFile { place, path, url, buffer: Vec::new(), upload: None }))
    }

    fn create_new(&self, name: &str, bytes: &[u8]) -> Result<bool, ExportError> {
        let payload = PutPayload::from(bytes.to_vec());
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        let path = self.path(name);
        match self.runtime.block_on(self.store.put_opts(&path, payload, options)) {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. } | object_store::Error::Precondition { .. }) => Ok(false),
            Err(error) => Err(self.failed(name, "writing the commit")(error)),
        }
    }

    fn rename(&self, from: &str, to: &str) -> Result<bool, ExportError> {
        let (source, target) = (self.path(from), self.path(to));
        match self.runtime.block_on(self.store.copy(&source, &target)) {
            Ok(()) => {}
            Err(object_store::Error::NotFound { .. }) => return Ok(false),
            Err(error) => return Err(self.failed(to, "copying the finished object to it")(error)),
        }
        match self.runtime.block_on(self.store.delete(&source)) {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(true),
            Err(error) => Err(self.failed(from, "removing")(error)),
        }
    }

    fn settle(&self, _: &BTreeSet<&str>) -> Result<(), ExportError> {
        Ok(())
    }

    fn remove_folder(&self, folder: &str) -> Result<(), ExportError> {
        for object in self.list_folder(folder)?.objects {
            match self.runtime.block_on(self.store.delete(&object.location)) {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(self.failed(folder, "removing")(error)),
            }
        }
        Ok(())
    }
}

/// An object that is being written.
struct ObjectFile {
    place: ObjectPlace,
    path: Path,
    url: String,
    /// What fits a single request, until it doesn't.
    buffer: Vec<u8>,
    upload: Option<WriteMultipart>,
}

impl Write for ObjectFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.upload.is_none() && self.buffer.len() + bytes.len() <= PART_BYTES {
            self.buffer.extend_from_slice(bytes);
            return Ok(bytes.len());
        }
        let Self { place, path, buffer, upload, .. } = self;
        let ObjectPlace { store, runtime, .. } = place;
        let write = async {
            let upload = match upload {
                Some(upload) => upload,
                None => {
                    let begun = WriteMultipart::new_with_chunk_size(store.put_multipart(path).await?, PART_BYTES);
                    let upload = upload.insert(begun);
                    upload.write(&std::mem::take(buffer));
                    upload
                }
            };
            upload.wait_for_capacity(PARTS_AT_ONCE).await?;
            upload.write(bytes);
            Ok(())
        };
        runtime
            .block_on(write)
            .map_err(|error: object_store::Error| io::Error::other(format!("{}: {error}", self.url)))?;
        Ok(bytes.len())
    }

    /// Does nothing: bytes count only when the object is complete.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Sink for ObjectFile {
    fn complete(mut self: Box<Self>) -> Result<(), ExportError> {
        let (store, runtime) = (Arc::clone(&self.place.store), Arc::clone(&self.place.runtime));
        let written = match self.upload.take() {
            Some(upload) => runtime.block_on(upload.finish()),
            None => {
                let payload = PutPayload::from(std::mem::take(&mut self.buffer));
                runtime.block_on(store.put(&self.path, payload))
            }
        };
        let failed = |source| ExportError::ObjectStore { url: self.url.clone(), action: "writing", source };
        written.map(drop).map_err(failed)
    }
}

impl Drop for ObjectFile {
    fn drop(&mut self) {
        if let Some(upload) = self.upload.take() {
            // What can't be aborted is no object that anybody sees; stores have rules that remove such parts in time.
            let _ = self.place.runtime.block_on(upload.abort());
        }
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    fn place() -> ObjectPlace {
        let url = ObjectUrl::parse("s3://bucket/a/b/").unwrap();
        ObjectPlace::of(Arc::new(InMemory::new()), url, runtime().unwrap())
    }

    #[test]
    fn addresses() {
        for (text, expected) in [
            ("s3://bucket", Some("s3://bucket")),
            ("s3a://bucket//x//", Some("s3://bucket/x")),
            ("s3://bucket/x/y.parquet", Some("s3://bucket/x/y.parquet")),
            ("s3:///x", None),
            ("file:///x", None),
            ("folder", None),
        ] {
            assert_eq!(ObjectUrl::parse(text).map(|url| url.to_string()).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn small_and_large_objects_appear_whole() {
        let place = place();
        for length in [0, 7, PART_BYTES, 3 * PART_BYTES + 11] {
            let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let mut file = place.create("day=1/x").unwrap();
            for piece in bytes.chunks(1 << 20) {
                file.write_all(piece).unwrap();
            }
            assert!(!place.exists("day=1/x").unwrap());
            file.complete().unwrap();
            assert_eq!(place.list("").unwrap(), ["day=1"]);
            assert_eq!(place.list("day=1").unwrap(), ["x"]);
            assert!(place.read("day=1/x", usize::MAX).unwrap().unwrap() == bytes, "{length} bytes");
            assert!(place.rename("day=1/x", "day=2/y").unwrap());
            assert!(!place.rename("day=1/x", "day=2/y").unwrap());
            assert!(place.read("day=2/y", usize::MAX).unwrap().unwrap() == bytes);
            place.remove_folder("day=2").unwrap();
            assert_eq!(place.list("").unwrap(), [""; 0]);
        }
    }

    #[test]
    fn what_is_given_up_is_never_seen() {
        let place = place();
        let mut file = place.create("x").unwrap();
        file.write_all(&vec![1; 2 * PART_BYTES]).unwrap();
        drop(file);
        assert_eq!(place.list("").unwrap(), [""; 0]);
    }

    #[test]
    fn only_one_makes_a_new_object() {
        let place = place();
        assert!(place.create_new("c", b"one").unwrap());
        assert!(!place.create_new("c", b"two").unwrap());
        for (most, expected) in [(4, &b"one"[..]), (3, b"one"), (2, b"on")] {
            assert_eq!(place.read("c", most).unwrap().unwrap(), expected);
        }
        assert_eq!(place.read("d", 4).unwrap(), None);
    }
}
