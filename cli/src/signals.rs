//! INT, TERM and HUP. A command that does nothing about them is ended by them; one that has something to undo first
//! takes them over for as long as that holds.

use std::cell::Cell;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signal that asked the process to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Interrupt {
    /// Ctrl-C.
    Int,
    /// `kill`.
    Term,
    /// The terminal is gone.
    Hup,
}

impl Interrupt {
    /// What a process ended by it exits with.
    pub(crate) const fn exit_code(self) -> u8 {
        match self {
            Self::Hup => 129,
            Self::Int => 130,
            Self::Term => 143,
        }
    }
}

/// A subscription: signals that come after it was made are seen by it.
pub(crate) struct Interrupts {
    int: Signal,
    term: Signal,
    hup: Signal,
}

impl Interrupts {
    /// Subscribes; from the first time on the signals no longer end the process by themselves.
    ///
    /// # Errors
    /// The system refuses a handler.
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            int: signal(SignalKind::interrupt())?,
            term: signal(SignalKind::terminate())?,
            hup: signal(SignalKind::hangup())?,
        })
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Interrupt {
        tokio::select! {
            Some(()) = self.int.recv() => Interrupt::Int,
            Some(()) = self.term.recv() => Interrupt::Term,
            Some(()) = self.hup.recv() => Interrupt::Hup,
            else => std::future::pending().await,
        }
    }
}

/// Whether some command handles interrupts itself at present.
#[derive(Debug, Default)]
pub(crate) struct Custody(Cell<usize>);

impl Custody {
    /// Until the guard is dropped, interrupts are the caller's.
    pub(crate) fn take(&self) -> CustodyGuard<'_> {
        self.0.set(self.0.get() + 1);
        CustodyGuard(self)
    }

    /// Runs `work`, which an interrupt ends unless `work` has taken them over.
    ///
    /// # Errors
    /// The interrupt that ended it.
    pub(crate) async fn run<T>(&self, work: impl Future<Output = T>) -> Result<T, Interrupt> {
        let Ok(mut interrupts) = Interrupts::new() else { return Ok(work.await) };
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return Ok(done),
                interrupt = interrupts.next() => if self.0.get() == 0 { return Err(interrupt) },
            }
        }
    }
}

/// Gives the interrupts back when dropped.
#[must_use]
pub(crate) struct CustodyGuard<'a>(&'a Custody);

impl Drop for CustodyGuard<'_> {
    fn drop(&mut self) {
        self.0.0.set(self.0.0.get().saturating_sub(1));
    }
}
