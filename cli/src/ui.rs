//! Asking people. Only ever on a terminal: in a pipe the caller says instead which flag was missing.

use std::io::IsTerminal as _;

use dialoguer::console::Term;
use dialoguer::theme::{ColorfulTheme, SimpleTheme, Theme};
use dialoguer::{Confirm, FuzzySelect, Input};

use crate::error::Error;
use crate::output::clean;
use crate::signals::Interrupt;

/// Whether and how people can be asked.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ui {
    interactive: bool,
    color: bool,
}

impl Ui {
    pub(crate) fn new() -> Self {
        let interactive = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
        Self { interactive, color: crate::output::color_wanted() }
    }

    /// Is there someone to ask?
    pub(crate) const fn interactive(self) -> bool {
        self.interactive
    }

    fn theme(self) -> Box<dyn Theme> {
        if self.color { Box::new(ColorfulTheme::default()) } else { Box::new(SimpleTheme) }
    }

    /// One of `items`, by its place.
    ///
    /// # Errors
    /// The prompt was left.
    pub(crate) fn select(self, prompt: &str, items: &[String]) -> Result<usize, Error> {
        let items: Vec<String> = items.iter().map(|i| clean(i).into_owned()).collect();
        let theme = self.theme();
        let prompt = FuzzySelect::with_theme(theme.as_ref())
            .with_prompt(prompt)
            .items(&items)
            .default(0)
            .max_length(12);
        answered(prompt.interact_on_opt(&Term::stderr()))?.ok_or_else(|| Error::interrupted(Interrupt::Int))
    }

    /// A line of text, not empty.
    ///
    /// # Errors
    /// The prompt was left.
    pub(crate) fn line(self, prompt: &str) -> Result<String, Error> {
        let theme = self.theme();
        let prompt = Input::<String>::with_theme(theme.as_ref()).with_prompt(prompt);
        let text = answered(prompt.interact_text_on(&Term::stderr()))?;
        Ok(text.trim().to_owned())
    }

    /// Yes or no; no unless said otherwise.
    ///
    /// # Errors
    /// The prompt was left.
    pub(crate) fn confirm(self, prompt: &str) -> Result<bool, Error> {
        let theme = self.theme();
        let prompt = Confirm::with_theme(theme.as_ref()).with_prompt(prompt).default(false);
        Ok(answered(prompt.interact_on_opt(&Term::stderr()))?.unwrap_or(false))
    }
}

/// Ctrl-C in a prompt leaves the cursor hidden: dialoguer does not put it back.
fn answered<T>(answer: Result<T, dialoguer::Error>) -> Result<T, Error> {
    answer.map_err(|dialoguer::Error::IO(error)| {
        let _ = Term::stderr().show_cursor();
        if error.kind() == std::io::ErrorKind::Interrupted {
            Error::interrupted(Interrupt::Int)
        } else {
            Error::internal(format!("failed to ask: {error}"))
        }
    })
}
