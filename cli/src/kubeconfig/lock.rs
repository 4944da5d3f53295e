//! kubectl's lock: a file `<kubeconfig>.lock` that exists while someone writes (client-go `tools/clientcmd`,
//! `lockFile`: O_CREAT|O_EXCL, removed when done, never waited for). Ours looks the same to kubectl, and holds a
//! kernel lock beside, so that what a killed `oz` left behind is told from one at work and taken over without a
//! race. A lock left by another tool cannot be told from one in use, and is reported.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher as _, RandomState};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::Error;

/// How long one holder is waited for; kubectl holds the lock for milliseconds.
const HOLDER_PATIENCE: Duration = Duration::from_secs(10);
/// How long a queue of holders is waited for.
const QUEUE_PATIENCE: Duration = Duration::from_secs(60);
/// A lock older than this has been left behind: nothing is written for so long. It is not waited for.
const STALE: Duration = Duration::from_secs(60);
/// The first and the longest pause between two tries; with some hundred waiting, still a small load.
const PAUSES: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(50));

/// What our lock files begin with, if they hold a kernel lock.
const SIGNATURE: &[u8] = b"oz ";

/// The lock on one kubeconfig, given up when dropped.
pub(super) struct Lock {
    path: PathBuf,
    file: File,
}

/// Why there is no lock.
pub(super) enum Refused {
    /// The directory takes no files: the kubeconfig can be read, not written.
    ReadOnly(std::io::Error),
    /// There is no such directory, so nobody writes there.
    NoDirectory,
    Error(Error),
}

/// The lock file's path for a kubeconfig's.
pub(super) fn lock_path(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    PathBuf::from(name)
}

impl Lock {
    /// Waits for the lock at `path` on `kubeconfig`: 10 s for one holder, 60 s in all.
    pub(super) fn acquire(path: &Path, kubeconfig: &Path) -> Result<Self, Refused> {
        let start = Instant::now();
        let mut holder = (None, start);
        let mut pause = PAUSES.0;
        loop {
            match Self::born_signed(path) {
                Ok(lock) => return Ok(lock),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                // Not here: then as any other tool does, which leaves a moment in which a killed one is not known as ours.
                Err(_) => {
                    match OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path) {
                        Ok(file) => {
                            if let Some(lock) = Self::sign(path, file) {
                                return Ok(lock);
                            }
                        }
                        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                        Err(error) => return Err(refused(error, path)),
                    }
                }
            }
            // Gone in the meantime is as good as free.
            if let Ok(found) = fs::symlink_metadata(path)
                && !take_over(path)
            {
                let identity = Some((found.ino(), found.mtime(), found.mtime_nsec()));
                if holder.0 != identity {
                    holder = (identity, Instant::now());
                }
                let modified = found.modified().unwrap_or_else(|_| SystemTime::now());
                let age = SystemTime::now().duration_since(modified).unwrap_or_default();
                if age > STALE || holder.1.elapsed() > HOLDER_PATIENCE {
                    return Err(Refused::Error(Error::Locked {
                        path: kubeconfig.to_owned(),
                        lock: path.to_owned(),
                        age_seconds: age.as_secs(),
                    }));
                }
                thread::sleep(pause / 2 + jitter(pause / 2));
                pause = (pause * 3 / 2).min(PAUSES.1);
            }
            if start.elapsed() > QUEUE_PATIENCE {
                return Err(Refused::Error(Error::Busy(kubeconfig.to_owned())));
            }
        }
    }

    /// A lock file that is signed and locked before it has a name, so that at no moment it could be taken for a stranger's.
    fn born_signed(path: &Path) -> std::io::Result<Self> {
        let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut file = tempfile::tempfile_in(folder)?;
        file.try_lock()?;
        file.write_all(SIGNATURE)?;
        writeln!(file, "{}", std::process::id())?;
        let nameless = format!("/proc/self/fd/{}", file.as_raw_fd());
        rustix::fs::linkat(
            rustix::fs::CWD,
            nameless,
            rustix::fs::CWD,
            path,
            rustix::fs::AtFlags::SYMLINK_FOLLOW,
        )?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Makes a fresh lock file known as ours. None if it was taken away before that.
    fn sign(path: &Path, mut file: File) -> Option<Self> {
        // Without kernel locks (some network file systems) the file alone is the lock, as it is for kubectl.
        let held = file.try_lock();
        if matches!(held, Err(TryLockError::WouldBlock)) {
            return None;
        }
        let lock = Self { path: path.to_owned(), file: file.try_clone().ok()? };
        let signature = if held.is_ok() { SIGNATURE } else { b"of oz, process " };
        // A full disk shows when the kubeconfig is written; an unsigned lock is still a lock.
        let _ = file.write_all(signature).and_then(|()| writeln!(file, "{}", std::process::id()));
        same(&lock.file, path).then_some(lock)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if same(&self.file, &self.path) {
            // Nothing to be done if it fails: the next one takes it over.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Removes a lock file that an `oz` left behind. Whoever gets the kernel lock on the file that is still at `path`
/// is alone in doing so, and its maker is gone.
fn take_over(path: &Path) -> bool {
    let Ok(mut file) = OpenOptions::new().read(true).write(true).open(path) else { return false };
    let mut start = [0; SIGNATURE.len()];
    let signed = file.read_exact(&mut start).is_ok() && start == SIGNATURE;
    signed && file.try_lock().is_ok() && same(&file, path) && fs::remove_file(path).is_ok()
}

/// Whether `path` still names the file that is open.
fn same(file: &File, path: &Path) -> bool {
    match (file.metadata(), fs::symlink_metadata(path)) {
        (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
        _ => false,
    }
}

fn refused(error: std::io::Error, path: &Path) -> Refused {
    match error.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => Refused::ReadOnly(error),
        ErrorKind::NotFound | ErrorKind::NotADirectory => Refused::NoDirectory,
        _ => Refused::Error(Error::Io { doing: "create the lock", path: path.to_owned(), source: error }),
    }
}

/// Up to `most`, so that those who wait do not wake together.
fn jitter(most: Duration) -> Duration {
    let random = RandomState::new().hash_one(0) % 1024;
    most * u32::try_from(random).unwrap_or(0) / 1024
}
