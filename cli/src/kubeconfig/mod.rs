//! The user's kubeconfig: what Oz lends is put there, found again and taken away, and nothing else is touched.
//!
//! A kubeconfig belongs to its user. Every byte that is not ours stays: comments, order, quoting, anchors, line
//! endings. So nothing is parsed and written back: a parser says where things are ([`layout`]), the text is
//! changed at those places alone ([`sheet`]), and before the result replaces the file it is read again by another
//! parser and compared with what was meant. A shape that does not come through this is refused and the file left
//! as it was. The edits take kubectl's own lock ([`lock`]).
//!
//! What is ours carries an extension `ozaccess.io` and a name that begins with [`PREFIX`]; both are asked for
//! before anything is changed or removed, in each of the three lists by itself.
//!
//! Not here: what to lend, minting, talking to a cluster, reading a kubeconfig in order to connect with it.

mod draft;
mod entry;
mod error;
mod file;
mod foreign;
mod layout;
mod lock;
mod render;
mod server;
mod sheet;
mod splice;
mod store;

#[cfg(test)]
mod tests;

pub(crate) use draft::Draft;
pub(crate) use entry::{Credential, Entry, OurEntry, PREFIX};
pub(crate) use error::Error;
pub(crate) use foreign::{Foreign, Refusal, SIZE_LIMIT as FOREIGN_LIMIT, read as read_foreign, uid_of};
pub(crate) use server::{BadServer, is_private, server};
pub(crate) use store::{Store, Written};
