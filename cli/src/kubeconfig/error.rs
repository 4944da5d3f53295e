//! What can go wrong with a kubeconfig, in words that name the file and the way out. No message quotes the
//! contents of a file: a kubeconfig is full of credentials.

use std::path::PathBuf;

/// Why a kubeconfig could not be read or changed. Unless the text says otherwise, nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Neither a flag, nor KUBECONFIG, nor a home directory says where the kubeconfig is.
    #[error("no kubeconfig to work on: HOME is not set; set KUBECONFIG or give --kubeconfig FILE")]
    NoHome,
    /// The system refused to read or write.
    #[error("failed to {doing} {}: {source}", path.display())]
    Io {
        /// What was tried, as a verb phrase.
        doing: &'static str,
        /// The file it was tried on.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The file, or the directory it is in, may not be written.
    #[error(
        "{} is read-only ({why}), nothing was changed; make it writable, or keep Oz's entries in a file of their \
         own: KUBECONFIG=$HOME/.kube/oz:{}",
        path.display(), path.display()
    )]
    ReadOnly {
        /// The kubeconfig.
        path: PathBuf,
        /// What forbids it.
        why: String,
    },
    /// Neither a file nor a link to one, so it cannot be replaced.
    #[error("{} is not a regular file and cannot be edited; set KUBECONFIG to one", .0.display())]
    NotAFile(PathBuf),
    /// Larger than any kubeconfig should be.
    #[error("{} has {size} bytes, more than the {limit} that Oz will edit; set KUBECONFIG to another file", path.display())]
    TooLarge {
        /// The kubeconfig.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// The most that is accepted, in bytes.
        limit: u64,
    },
    /// Not a kubeconfig as a YAML parser reads it.
    #[error("{} is malformed{}: {detail}; nothing was changed; repair it, or set KUBECONFIG to another file", path.display(), at(*line))]
    Malformed {
        /// The kubeconfig.
        path: PathBuf,
        /// The line where the parser stopped, from 1, where it says so.
        line: Option<usize>,
        /// What is wrong, without quoting the file.
        detail: &'static str,
    },
    /// Valid, but written in a way that cannot be edited without risk to what is not ours.
    #[error(
        "{} cannot be edited safely: {detail}; nothing was changed; `kubectl config view --raw --flatten` writes a \
         plainer copy, or keep Oz's entries in a file of their own: KUBECONFIG=$HOME/.kube/oz:{}",
        path.display(), path.display()
    )]
    Shape {
        /// The kubeconfig.
        path: PathBuf,
        /// What stands in the way.
        detail: &'static str,
    },
    /// The name is taken by an entry that Oz did not make, or that was changed so that it no longer says so.
    #[error("{} already has a {kind} named {name} that is not Oz's, left as it is; rename or delete it: kubectl config delete-{kind} {name}", path.display())]
    Taken {
        /// The kubeconfig that holds it.
        path: PathBuf,
        /// `cluster`, `user` or `context`.
        kind: &'static str,
        /// The name.
        name: String,
    },
    /// A name of ours that could not be told from the user's own.
    #[error("{0:?} cannot be the name of an entry: it must begin with {PREFIX:?}, go on, and hold no control characters", PREFIX = super::PREFIX)]
    BadName(String),
    /// No context of that name.
    #[error("no context named {0:?} in the kubeconfig; `kubectl config get-contexts` lists them")]
    UnknownContext(String),
    /// Another program holds, or left behind, kubectl's lock.
    #[error(
        "{} is locked: {} exists since {age_seconds} s; if no kubectl or other tool is at work on it, delete that \
         lock file and try again",
        path.display(), lock.display()
    )]
    Locked {
        /// The kubeconfig.
        path: PathBuf,
        /// The lock file.
        lock: PathBuf,
        /// Its age in seconds.
        age_seconds: u64,
    },
    /// Other programs change it all the time.
    #[error("{} is being changed by other programs without pause; try again", .0.display())]
    Busy(PathBuf),
}

fn at(line: Option<usize>) -> String {
    line.map(|line| format!(" at line {line}")).unwrap_or_default()
}
