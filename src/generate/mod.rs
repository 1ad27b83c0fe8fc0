//! Synthetic events in the public layout with the public data's shape.
