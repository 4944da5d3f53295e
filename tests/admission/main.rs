//! The gate from both sides, on a real API server: policies, CRD rules and RBAC. Each rule has an act that passes and
//! one that is refused, and each refusal names who must refuse; a refusal by anyone else is a failure.
//!
//! The controller is stopped meanwhile (`setup`), since what is tried here in its name it would clean away.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests: what is outside of a test function here serves test functions only"
)]

mod bodies;
mod change_release_delete;
mod classes;
mod collectors;
mod connections;
mod controller_held;
mod controller_lends;
mod create;
mod decide;
mod delegations;
mod federations;
mod filled;
mod grants;
mod guard;
mod lending;
mod lent_namespaces;
mod limits;
mod minting;
mod namespace_decisions;
mod namespace_requests;
mod nsplease;
mod probes;
mod sessions_namespace;
mod setup;
mod table;
mod templates;
mod world;
