//! `oz version`

use crate::app::App;
use crate::error::Error;
use crate::exit;

const EXAMPLES: &str = "\
Examples:
  oz version";

/// Print the version of this program
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args, app: &App) -> Result<u8, Error> {
    app.printer.data(concat!("oz ", env!("CARGO_PKG_VERSION")))?;
    Ok(exit::DONE)
}
