//! Sources: files, globs and standard input as blocks of whole lines.
