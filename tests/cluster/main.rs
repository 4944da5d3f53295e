//! The running controller on a real cluster: what is lent works, is limited as was said, and ends as it should. These
//! tests use the controller that runs in the cluster and do not disturb each other; those that must own the controller
//! or open the gate are in `crash.rs`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests: what is outside of a test function here serves test functions only"
)]
#![allow(dead_code, reason = "shared by two test programs, neither of which uses all of it")]

mod approvals;
mod bodies;
mod connections;
mod controller;
mod copies;
mod debugging;
mod delegating;
mod delegations;
mod diagnosis;
mod ends;
mod federations;
mod gate;
mod lending;
mod namespaces;
mod offers;
mod partners;
mod records;
mod roles;
mod session;
mod spaces;
mod targets;
mod world;
