//! What talks to the API server: the cluster as the user's kubeconfig names it, asking, deciding, waiting, minting and
//! opening a shell. Nothing here prints.

mod access;
mod ask;
mod asked;
mod client;
mod decide;
pub(crate) mod delegations;
mod exec;
mod list;
mod proxy;
mod token;
mod wait;
mod way;
mod workloads;

pub(crate) use access::{Unknown, default_command, made, offer, source_in_words};
pub(crate) use ask::{Ask, Withdrawn, is_mine, name_like, submit, withdraw};
pub(crate) use asked::{Asked, named};
pub(crate) use client::{Cluster, Fault};
pub(crate) use decide::{decide, release};
pub(crate) use exec::{Conversation, Door, End, How, SessionError, open};
pub(crate) use list::{Listing, Unread};
pub(crate) use token::{
    Token, account, context_name, deadline, entries, is_rbac_refusal, mint, mint_for, own_name,
    plugin_in_pod, program,
};
pub(crate) use wait::{Change, Ended, Follow, Goal, outcome, until};
pub(crate) use way::{Way, token_in_kubeconfig};
pub(crate) use workloads::{labels, source};
