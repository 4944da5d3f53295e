//! The codes with which `oz` ends: a contract with scripts. With `-- CMD` the remote command's own code passes
//! through, and every failure of Oz itself is [`OWN_FAILURE`]. Ended by a signal: 128 and its number, as shells do.

/// Done.
pub(crate) const DONE: u8 = 0;
/// Something is wrong that is none of the others.
pub(crate) const INTERNAL: u8 = 1;
/// The command line is wrong, or names what does not exist.
pub(crate) const USAGE: u8 = 2;
/// The cluster's rules refuse it.
pub(crate) const DENIED: u8 = 3;
/// A person said no.
pub(crate) const REJECTED: u8 = 4;
/// Nobody decided in time.
pub(crate) const TIMED_OUT: u8 = 5;
/// The access has expired or was taken back.
pub(crate) const ENDED: u8 = 6;
/// The cluster does not answer.
pub(crate) const UNREACHABLE: u8 = 7;
/// It was approved, but could not be made.
pub(crate) const NOT_READY: u8 = 8;
/// With `-- CMD`: Oz failed, not the command.
pub(crate) const OWN_FAILURE: u8 = 125;

/// For `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0 done                        5 timed out waiting
  1 internal                    6 expired or revoked
  2 usage                       7 cluster unreachable
  3 denied by policy            8 failed to become ready
  4 rejected by a person        128+N ended by signal N
  With `-- CMD` the remote command's code passes through, and Oz's own failures are 125.";
