//! Bringing a store back to its last commit, before anything is written to it.
//!
//! What a writer that was cut off may have left: files that no manifest names, and bytes behind the committed lengths
//! of the dictionaries and the reject file. Both go. Everything committed is looked at first; if any of it is absent
//! or damaged, the store is left as it is and the error says what is wrong.

use std::sync::Arc;

use crate::io::Directory;

use super::dictionary::{self, SharedDictionary};
use super::framed::{FrameReader, FramedFile};
use super::gaps::Gaps;
use super::manifest::{self, FileKind, Manifest};
use super::rejects;
use super::sealer::{Encoder, Sealer};
use super::sources::KnownSources;
use super::{Schema, StoreError, Totals, WriterOptions};

/// A file of a store that was never committed holds at most this: the header of an empty one.
const EMPTY_FILE: u64 = 16;

/// Opens the store for the writer that holds its lock, or creates it.
pub(crate) fn recover(
    directory: Arc<dyn Directory>,
    schema: &Schema,
    options: &WriterOptions,
) -> Result<Sealer, StoreError> {
    let Some(manifest) = Manifest::read(&*directory)? else {
        return create(directory, schema, options);
    };
    check_schema(&manifest, schema)?;
    for segment in &manifest.segments {
        check_segment_file(&*directory, &FileKind::Segment.name(segment.file), segment.length)?;
    }
    let mut dictionaries: Vec<Arc<SharedDictionary>> = Vec::new();
    dictionaries.resize_with(schema.columns.len(), Arc::default);
    for (column, &record) in schema.dictionary_columns().zip(&manifest.dictionaries) {
        dictionaries[column] = Arc::new(dictionary::read(&*directory, record)?.into());
    }
    let name = FileKind::Rejects.name(manifest.rejects.file);
    FrameReader::open(&*directory, name.clone(), rejects::MAGIC, manifest.rejects)?;

    remove_leftovers(&*directory, Some(&manifest))?;
    let dictionary_files = manifest
        .dictionaries
        .iter()
        .map(|&record| FramedFile::open(&*directory, FileKind::Dictionary.name(record.file), record))
        .collect::<Result<_, _>>()?;
    let rejects_file = FramedFile::open(&*directory, name, manifest.rejects)?;
    Ok(sealer(directory, manifest, dictionaries, dictionary_files, rejects_file, options))
}

/// The sealer of a store that was looked at.
pub(super) fn sealer(
    directory: Arc<dyn Directory>,
    manifest: Manifest,
    dictionaries: Vec<Arc<SharedDictionary>>,
    dictionary_files: Vec<FramedFile>,
    rejects_file: FramedFile,
    options: &WriterOptions,
) -> Sealer {
    let encoder = Encoder { schema: manifest.schema.clone(), dictionaries, threads: options.encode_threads };
    let segment_rows = options.segment_rows as u64;
    Sealer { directory, manifest, encoder, dictionary_files, rejects_file, segment_rows }
}

/// Creates an empty store: its append-only files, and the manifest that names them.
fn create(directory: Arc<dyn Directory>, schema: &Schema, options: &WriterOptions) -> Result<Sealer, StoreError> {
    check_no_store(&*directory)?;
    remove_leftovers(&*directory, None)?;
    let mut number = 0;
    let mut create = |kind: FileKind, magic| {
        number += 1;
        FramedFile::create(&*directory, kind.name(number), magic, number)
    };
    let dictionary_files = schema
        .dictionary_columns()
        .map(|_| create(FileKind::Dictionary, dictionary::MAGIC))
        .collect::<Result<Vec<_>, _>>()?;
    let rejects_file = create(FileKind::Rejects, rejects::MAGIC)?;
    let manifest = Manifest {
        generation: 1,
        totals: Totals::default(),
        next_file: number + 1,
        schema: schema.clone(),
        segments: Vec::new(),
        dictionaries: dictionary_files.iter().map(FramedFile::record).collect(),
        rejects: rejects_file.record(),
        positions: Vec::new(),
        sources: KnownSources::default(),
        gaps: Gaps::default(),
    };
    manifest.replace(&*directory)?;
    let mut dictionaries = Vec::new();
    dictionaries.resize_with(schema.columns.len(), Arc::default);
    Ok(sealer(directory, manifest, dictionaries, dictionary_files, rejects_file, options))
}

/// Checks that a folder without a manifest holds no store. A first creation that was cut off leaves nothing but empty files;
/// anything longer belongs to a store whose manifest got lost, and is not ours to remove.
///
/// # Errors
/// [`StoreError::MissingManifest`] with the first such file; I/O errors.
pub(super) fn check_no_store(directory: &dyn Directory) -> Result<(), StoreError> {
    for name in names(directory)?.into_iter().filter(|name| FileKind::of_name(name).is_some()) {
        let length = directory.length(&name).map_err(StoreError::io(&name, "measuring"))?;
        if length > EMPTY_FILE {
            return Err(StoreError::MissingManifest { file: name });
        }
    }
    Ok(())
}

/// Why there is nothing to open in a folder without a manifest.
pub(super) fn no_store(directory: &dyn Directory) -> StoreError {
    check_no_store(directory).err().unwrap_or(StoreError::NoStore)
}

/// Checks that a store holds the columns that its writer will bring.
pub(crate) fn check_schema(manifest: &Manifest, schema: &Schema) -> Result<(), StoreError> {
    if manifest.schema == *schema {
        Ok(())
    } else {
        Err(StoreError::SchemaMismatch { got: manifest.schema.to_string(), expected: schema.to_string() })
    }
}

/// Removes our files that the manifest doesn't name, and a manifest that was not finished. Other files stay.
pub(crate) fn remove_leftovers(directory: &dyn Directory, manifest: Option<&Manifest>) -> Result<(), StoreError> {
    let needed = manifest.map(Manifest::files).unwrap_or_default();
    for name in names(directory)? {
        let is_ours = name == manifest::NEW_NAME || FileKind::of_name(&name).is_some();
        if is_ours && !needed.contains(&name) {
            tracing::info!(file = name, "removing what a load that was cut off has left");
            directory.remove(&name).map_err(StoreError::io(&name, "removing"))?;
        }
    }
    Ok(())
}

fn names(directory: &dyn Directory) -> Result<Vec<String>, StoreError> {
    directory.list("").map_err(StoreError::folder(directory, "", "listed"))
}

fn check_segment_file(directory: &dyn Directory, name: &str, expected: u64) -> Result<(), StoreError> {
    if !directory.exists(name).map_err(StoreError::io(name, "looking for it"))? {
        return Err(StoreError::MissingFile { file: name.to_owned() });
    }
    let length = directory.length(name).map_err(StoreError::io(name, "measuring"))?;
    if length == expected {
        Ok(())
    } else {
        Err(StoreError::corrupt(
            name,
            length.min(expected),
            format!("the file has {length} bytes, expected {expected}"),
        ))
    }
}
