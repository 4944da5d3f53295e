//! What every command is given: the settings, the printer, the way to ask, and the cluster once it is needed.

use std::process::ExitCode;

use crate::error::Error;
use crate::exit;
use crate::kube::Cluster;
use crate::output::Printer;
use crate::settings::{GlobalArgs, Settings};
use crate::signals::Custody;
use crate::ui::Ui;

/// What a command has at hand.
pub(crate) struct App {
    /// The flags as they count.
    pub(crate) settings: Settings,
    /// Where everything is printed.
    pub(crate) printer: Printer,
    /// Where people are asked.
    pub(crate) ui: Ui,
    /// Who handles signals.
    pub(crate) custody: Custody,
}

impl App {
    pub(crate) fn new(global: GlobalArgs, printer: Printer) -> Self {
        Self { settings: global.into(), printer, ui: Ui::new(), custody: Custody::default() }
    }

    /// Reads the kubeconfig and makes the client. Nothing is sent yet.
    ///
    /// # Errors
    /// When the configuration cannot be used.
    pub(crate) async fn cluster(&self) -> Result<Cluster, Error> {
        Ok(Cluster::connect(&self.settings).await?)
    }

    /// Runs a command that waits for answers. One thread: there is nothing to compute.
    ///
    /// # Errors
    /// Those of `work`, and the signal that ended it.
    pub(crate) fn block_on(&self, work: impl Future<Output = Result<u8, Error>>) -> Result<u8, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|e| Error::internal(format!("failed to start: {e}")))?;
        let result = runtime.block_on(self.custody.run(work));
        // A thread may still be reading the terminal; it must not be waited for.
        runtime.shutdown_background();
        result.unwrap_or_else(|interrupt| Err(Error::interrupted(interrupt)))
    }

    /// Says what went wrong, if anything did, and turns it into the exit code.
    pub(crate) fn finish(&self, result: Result<u8, Error>, own_failure: bool) -> ExitCode {
        let code = match result {
            Ok(code) => return ExitCode::from(code),
            Err(error) => {
                self.printer.error(&error);
                error.code
            }
        };
        ExitCode::from(if own_failure && code < 128 && code != exit::DONE { exit::OWN_FAILURE } else { code })
    }
}
