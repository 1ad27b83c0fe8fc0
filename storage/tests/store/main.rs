//! The columnar store from outside: loading, being cut off at every point, damage, and files of earlier versions.

mod crash;
mod damage;
mod support;
mod writer;
