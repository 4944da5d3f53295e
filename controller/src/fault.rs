//! Fault points: where tests kill the process between two writes. Without the feature `fault-points` nothing is here.

/// Called before each write to the API server. With `OZ_KILL_AT_WRITE=N` the process dies by SIGKILL at the Nth.
#[cfg(feature = "fault-points")]
pub(crate) fn before_write() {
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};
    static WRITES: AtomicU64 = AtomicU64::new(0);
    static KILL_AT: OnceLock<Option<u64>> = OnceLock::new();
    let kill_at = KILL_AT.get_or_init(|| std::env::var("OZ_KILL_AT_WRITE").ok()?.parse().ok());
    if Some(WRITES.fetch_add(1, Ordering::SeqCst) + 1) == *kill_at {
        tracing::error!("killed at a fault point");
        let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
        loop {
            std::thread::park();
        }
    }
}

/// Nothing.
#[cfg(not(feature = "fault-points"))]
pub(crate) const fn before_write() {}
