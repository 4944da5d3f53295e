//! `cargo lab`: a real Kubernetes on this machine with Oz installed in it, for the tests, the demonstration and for
//! trying things out. It needs no download but the package registries (Go, Debian, crates.io).
//!
//! Each cluster has a name and lives in a sandbox of Linux namespaces of its own ([`sandbox`]), so that several run side by
//! side, and so that taking one down is killing one process. Everything that it writes lies in one folder ([`lab`]).

#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for developers talks to its terminal"
)]

mod cgroups;
mod cluster;
mod commands;
mod components;
mod configuration;
mod demo;
mod files;
mod given;
mod identities;
mod images;
mod install;
mod kubeconfig;
mod kubectl;
mod kubernetes;
mod lab;
mod network;
mod packages;
mod pki;
mod processes;
mod programs;
mod requirements;
mod run;
mod sandbox;
mod wait;

use std::process::ExitCode;

use clap::Parser;

use crate::commands::Cli;
use crate::requirements::Unmet;

/// Something went wrong on the way.
const FAILED: u8 = 1;
/// This machine, or the way the lab was called, lacks something that the user can provide.
const UNMET: u8 = 2;

fn main() -> ExitCode {
    match commands::run(Cli::parse()) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("lab: {error:#}");
            ExitCode::from(if error.is::<Unmet>() { UNMET } else { FAILED })
        }
    }
}
