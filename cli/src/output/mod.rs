//! All that `oz` prints. Data goes to standard output, talk to standard error; what comes from others is never printed
//! raw.

mod escape;
mod objects;
mod printer;
mod rows;
mod table;

pub(crate) use escape::{clean, json_safe, one_line};
pub(crate) use objects::{Format, plain, yaml};
pub(crate) use printer::{Printer, color_wanted};
pub(crate) use rows::{Listed, ends, lends, of, stamp};
pub(crate) use table::Table;
