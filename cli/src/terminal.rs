//! The user's terminal while a shell is open: raw, and restored whatever happens.

use std::sync::Once;

use crossterm::terminal;

/// The terminal is raw while this lives.
#[must_use]
pub(crate) struct Raw(());

impl Raw {
    /// Makes it raw.
    ///
    /// # Errors
    /// There is no terminal.
    pub(crate) fn enter() -> std::io::Result<Self> {
        static HOOK: Once = Once::new();
        // The release build aborts on a panic, so that no destructor runs.
        HOOK.call_once(|| {
            let before = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |info| {
                let _ = terminal::disable_raw_mode();
                before(info);
            }));
        });
        terminal::enable_raw_mode()?;
        Ok(Self(()))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = terminal::disable_raw_mode();
    }
}

/// Columns and rows, where they are known.
pub(crate) fn size() -> Option<(u16, u16)> {
    terminal::size().ok().filter(|(columns, rows)| *columns > 0 && *rows > 0)
}

/// Follows what a remote program does to the terminal, so that what it leaves behind when it is cut off can be undone.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    alternate: bool,
}

impl Screen {
    /// Looks at output on its way to the terminal.
    pub(crate) fn watch(&mut self, output: &[u8]) {
        let last = |needle: &[u8]| output.windows(needle.len()).rposition(|w| w == needle);
        match (last(b"\x1b[?1049h"), last(b"\x1b[?1049l")) {
            (Some(on), off) => self.alternate = off.is_none_or(|off| on > off),
            (None, Some(_)) => self.alternate = false,
            (None, None) => {}
        }
    }

    /// What puts the terminal right: colours, cursor, mouse, paste, and the main screen.
    pub(crate) fn restore(&self) -> &'static [u8] {
        if self.alternate {
            b"\x1b[?1049l\x1b[0m\x1b[?25h\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\r"
        } else {
            b"\x1b[0m\x1b[?25h\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l\r"
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_alternate_screen_is_left_only_if_it_was_entered() {
        let mut screen = Screen::default();
        screen.watch(b"hello");
        assert!(!screen.restore().starts_with(b"\x1b[?1049l"));
        screen.watch(b"x\x1b[?1049l\x1b[?1049hvim");
        assert!(screen.restore().starts_with(b"\x1b[?1049l"));
        screen.watch(b"\x1b[?1049l$ ");
        assert!(!screen.restore().starts_with(b"\x1b[?1049l"));
    }
}
