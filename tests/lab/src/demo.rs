//! The demonstration of Oz on the lab's cluster.

use anyhow::{Result, bail};

use crate::lab::Lab;

/// Plays it on a cluster that is up.
pub(crate) fn run(_lab: &Lab) -> Result<()> {
    bail!("the demonstration is not there yet")
}
