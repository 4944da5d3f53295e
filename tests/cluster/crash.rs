//! What can only be shown with a controller of one's own, or with the gate open: kills between any two writes, two
//! controllers at once, a controller that was away, a gate that is not in force, foreign finalizers. One of these runs
//! at a time, while the controller in the cluster is stopped; beside them `abandoned`, in a cluster of its own.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests: what is outside of a test function here serves test functions only"
)]
#![allow(dead_code, reason = "shared by two test programs, neither of which uses all of it")]

mod abandoned;
mod bodies;
mod controller;
mod delegated;
mod delegating;
mod diagnosis;
mod gate;
mod gate_open;
mod held_up;
mod killed;
mod lending;
mod lives;
mod nested;
mod nsplease;
mod offers;
mod partners;
mod partners_away;
mod process;
mod session;
mod spaces;
mod spare;
mod strangers;
mod two;
mod witness;
mod world;
