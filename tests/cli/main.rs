//! `oz` as people and scripts use it: the built program in an empty environment, on a terminal or in a pipe, against a real
//! cluster with the controller running in it. A test looks at what a user sees: the exit code, standard output, standard
//! error, the terminal, the kubeconfig. What the API server and the controller do behind that is shown elsewhere.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "tests: what is outside of a test function here serves test functions only"
)]
#![allow(dead_code, reason = "the world is that of the cluster tests, which need more of it")]

// A namespace, its people and their templates: the cluster tests' own.
#[path = "../cluster/bodies.rs"]
mod bodies;
#[path = "../cluster/controller.rs"]
mod controller;
#[path = "../cluster/diagnosis.rs"]
mod diagnosis;
#[path = "../cluster/lending.rs"]
mod lending;
#[path = "../cluster/partners.rs"]
mod partners;
#[path = "../cluster/spaces.rs"]
mod spaces;
#[path = "../cluster/spare.rs"]
mod spare;
#[path = "../cluster/world.rs"]
mod world;

mod home;
mod proxy;
mod running;
mod stage;
mod terminal;
mod tmux;

mod asking;
mod check;
mod codes;
mod completed;
mod copies;
mod debugging;
mod deciding;
mod delegations;
mod federations;
mod filled;
mod full_screen;
mod handed;
mod help;
mod hostile;
mod installed;
mod interrupted;
mod kubeconfig;
mod left;
mod migrated;
mod namespaces;
mod nsplease;
mod offers;
mod output;
mod plugin;
mod recipes;
mod roles;
mod shell;
mod streams;
mod token;
mod unread;
mod ways;
