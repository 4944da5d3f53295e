//! Tokens kept on disk between two runs of the credential plugin, which kubectl starts for each process of its own.
//!
//! One file a token, for its owner alone, under a name that no other user, cluster or request has ([`crate::kube::Way::key`]);
//! it is written beside and renamed, so that a reader sees all of it or nothing. What is not exactly that (a link, someone
//! else's, readable for others, damaged, under another's name) is as good as not there, and is replaced. So is a cache that
//! cannot be written: then there is none. Kernel locks keep many from minting at once; whoever is killed leaves none behind.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

/// The largest file that is read, in bytes: a token has one or two thousand.
const SIZE_LIMIT: u64 = 64 << 10;
/// What a kept token's file ends with.
const SUFFIX: &str = ".json";
/// What a file that is being written begins with.
const UNFINISHED: &str = ".new-";
/// A file that is still being written after this was left behind.
const LEFT_BEHIND: Duration = Duration::from_secs(3600);

/// A token as it is kept.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// For whom and what: the file's name.
    pub(crate) key: String,
    /// The request: `namespace/name`.
    pub(crate) request: String,
    /// The account whose token it is.
    pub(crate) account: String,
    /// The token.
    pub(crate) secret: String,
    /// When another is to be had, by this machine's clock.
    pub(crate) renew: Timestamp,
    /// Until when it is good, by this machine's clock.
    pub(crate) end: Timestamp,
    /// The process that was given it last.
    pub(crate) asker: u32,
    /// When that was.
    pub(crate) asked: Timestamp,
}

/// Whether another is at work on the same key.
pub(crate) enum Turn {
    /// Nobody else, for as long as this lives.
    Ours(#[allow(dead_code, reason = "held, not used")] File),
    /// Someone else is.
    Theirs,
    /// There are no locks here.
    Unknown,
}

/// The folder of the kept tokens.
pub(crate) struct Cache {
    folder: PathBuf,
}

impl Cache {
    /// The user's own, `~/.cache/oz/tokens`, made if it is not there. None where it cannot be, or is not his alone.
    pub(crate) fn open() -> Option<Self> {
        Self::at(dirs::cache_dir()?.join("oz").join("tokens"))
    }

    /// Where the tokens of accounts are that mint their own next ones: they are no mere copies, so they are not kept where
    /// things are kept that may be lost.
    pub(crate) fn of_partners() -> Option<Self> {
        Self::at(dirs::state_dir().or_else(dirs::data_local_dir)?.join("oz").join("partners"))
    }

    fn at(folder: PathBuf) -> Option<Self> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        let found = fs::symlink_metadata(&folder).ok()?;
        if made.is_err() || !found.is_dir() || found.uid() != me() {
            return None;
        }
        if found.mode() & 0o077 != 0 {
            fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).ok()?;
        }
        Some(Self { folder })
    }

    fn path(&self, key: &str) -> PathBuf {
        self.folder.join(format!("{key}{SUFFIX}"))
    }

    /// What is kept under this key, whether it is still good or not.
    pub(crate) fn read(&self, key: &str) -> Option<Kept> {
        read(&self.path(key)).filter(|kept| kept.key == key)
    }

    /// Asks for the turn on this key. Does not wait.
    ///
    /// The locks are sixteen files which stay, by the key's first digit: a lock file that is removed would have to be
    /// proved the same by everyone who waits for it.
    pub(crate) fn turn(&self, key: &str) -> Turn {
        let path = self.folder.join(format!("lock-{}", key.get(..1).unwrap_or_default()));
        let opened = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(path);
        let Ok(file) = opened else { return Turn::Unknown };
        match file.try_lock() {
            Ok(()) => Turn::Ours(file),
            Err(TryLockError::WouldBlock) => Turn::Theirs,
            Err(TryLockError::Error(_)) => Turn::Unknown,
        }
    }

    /// Keeps a token in the place of the one that has its key. Best effort: what cannot be kept is minted again.
    pub(crate) fn keep(&self, kept: &Kept) {
        let _ = self.store(kept);
    }

    /// The same where it matters.
    ///
    /// # Errors
    /// It could not be written.
    pub(crate) fn store(&self, kept: &Kept) -> std::io::Result<()> {
        let mut file = tempfile::Builder::new()
            .prefix(UNFINISHED)
            .permissions(fs::Permissions::from_mode(0o600))
            .tempfile_in(&self.folder)?;
        file.write_all(&serde_json::to_vec(kept)?)?;
        file.persist(self.path(&kept.key))?;
        Ok(())
    }

    /// Removes what is kept for a request, `namespace/name`, on whatever cluster: a token that is missed is minted again.
    pub(crate) fn forget(&self, request: &str) {
        self.sweep(|kept| kept.request == request);
    }

    /// Removes what is over at `now`, and what nobody can use.
    pub(crate) fn prune(&self, now: Timestamp) {
        self.sweep(|kept| kept.end <= now);
    }

    fn sweep(&self, doomed: impl Fn(&Kept) -> bool) {
        for entry in fs::read_dir(&self.folder).into_iter().flatten().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            let name = name.to_string_lossy();
            let going = if name.ends_with(SUFFIX) {
                read(&path).is_none_or(|kept| doomed(&kept))
            } else {
                name.starts_with(UNFINISHED) && age(&path).is_some_and(|age| age > LEFT_BEHIND)
            };
            if going {
                let _ = fs::remove_file(&path);
            }
        }
    }
}

/// A file that is plainly ours, and whole.
fn read(path: &Path) -> Option<Kept> {
    // Not to be held up by a pipe, nor led elsewhere by a link.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).ok()?;
    let found = file.metadata().ok()?;
    if !found.is_file() || found.uid() != me() || found.mode() & 0o077 != 0 {
        return None;
    }
    let mut bytes = Vec::new();
    file.take(SIZE_LIMIT).read_to_end(&mut bytes).ok()?;
    let kept: Kept = serde_json::from_slice(&bytes).ok()?;
    let sound = !kept.secret.is_empty() && kept.secret.bytes().all(|b| b.is_ascii_graphic());
    sound.then_some(kept)
}

fn age(path: &Path) -> Option<Duration> {
    SystemTime::now().duration_since(fs::symlink_metadata(path).ok()?.modified().ok()?).ok()
}

fn me() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use tempfile::TempDir;

    fn kept(key: &str, request: &str, end: &str) -> Kept {
        let end: Timestamp = end.parse().unwrap();
        let (asker, account) = (7, "oz-p-1-x2".to_owned());
        let (key, request, secret) = (key.to_owned(), request.to_owned(), "s3cr3t".to_owned());
        Kept { key, request, account, secret, renew: end, end, asker, asked: end }
    }

    fn soon(key: &str) -> Kept {
        kept(key, "shop/a", "2026-11-22T12:00:00Z")
    }

    fn home() -> (TempDir, Cache) {
        let dir = TempDir::new().unwrap();
        let cache = Cache::at(dir.path().join("oz/tokens")).unwrap();
        (dir, cache)
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().mode() & 0o777
    }

    #[test]
    fn what_is_kept_is_found_and_private() {
        let (_dir, cache) = home();
        assert!(cache.read("aa").is_none());
        cache.keep(&soon("aa"));
        assert!(cache.read("aa") == Some(soon("aa")) && cache.read("ab").is_none());
        assert_eq!((mode(&cache.folder), mode(&cache.path("aa"))), (0o700, 0o600));
        assert_eq!(mode(cache.folder.parent().unwrap()), 0o700);
    }

    #[test]
    fn what_is_not_plainly_ours_is_not_there_and_is_replaced() {
        let (dir, cache) = home();
        let path = cache.path("aa");
        let elsewhere = dir.path().join("elsewhere");
        let whole = serde_json::to_string(&soon("aa")).unwrap();
        let spoil: [&dyn Fn(); 7] = [
            &|| fs::write(&path, "{").unwrap(),
            &|| fs::write(&path, whole.replace("s3cr3t", "two\\nlines")).unwrap(),
            &|| fs::write(&path, whole.replace("\"aa\"", "\"ab\"")).unwrap(),
            &|| fs::write(&path, " ".repeat(100 << 10) + &whole).unwrap(),
            &|| fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap(),
            &|| {
                fs::rename(&path, &elsewhere).unwrap();
                symlink(&elsewhere, &path).unwrap();
            },
            &|| {
                fs::remove_file(&path).unwrap();
                let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
                assert!(made.success());
            },
        ];
        for (n, spoil) in spoil.iter().enumerate() {
            cache.keep(&soon("aa"));
            assert!(cache.read("aa").is_some(), "{n}");
            spoil();
            assert!(cache.read("aa").is_none(), "{n}");
        }
        cache.keep(&soon("aa"));
        assert!(cache.read("aa").is_some() && fs::symlink_metadata(&path).unwrap().is_file());
        assert_eq!(fs::read_to_string(elsewhere).unwrap(), whole, "what a link led to is left alone");
    }

    #[test]
    fn someone_elses_is_not_used() {
        let (_dir, cache) = home();
        cache.keep(&soon("aa"));
        if me() == 0 {
            std::os::unix::fs::chown(cache.path("aa"), Some(65534), None).unwrap();
            assert!(cache.read("aa").is_none());
            std::os::unix::fs::chown(&cache.folder, Some(65534), None).unwrap();
            assert!(Cache::at(cache.folder).is_none());
        }
    }

    #[test]
    fn a_folder_that_will_not_do_is_no_cache() {
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        assert!(Cache::at(dir.path().join("file/tokens")).is_none());
        symlink(dir.path(), dir.path().join("link")).unwrap();
        assert!(Cache::at(dir.path().join("link")).is_none());
        // One that was too open is closed.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        assert!(Cache::at(dir.path().to_owned()).is_some());
        assert_eq!(mode(dir.path()), 0o700);
    }

    #[test]
    fn what_is_over_goes() {
        let (_dir, cache) = home();
        cache.keep(&soon("aa"));
        cache.keep(&kept("bb", "shop/b", "2026-11-22T13:00:00Z"));
        fs::write(cache.path("cc"), "damaged").unwrap();
        fs::write(cache.folder.join("mine"), "").unwrap();
        fs::write(cache.folder.join(".new-x"), "being written").unwrap();
        cache.prune("2026-11-22T12:00:00Z".parse().unwrap());
        assert!(cache.read("aa").is_none() && cache.read("bb").is_some());
        assert!(!cache.path("cc").exists() && cache.folder.join("mine").exists());
        assert!(cache.folder.join(".new-x").exists());
        cache.forget("shop/a");
        assert!(cache.read("bb").is_some());
        cache.forget("shop/b");
        assert!(cache.read("bb").is_none());
    }

    #[test]
    fn one_at_a_time_on_a_key() {
        let (_dir, cache) = home();
        let first = cache.turn("aa");
        assert!(matches!(first, Turn::Ours(_)) && matches!(cache.turn("aa"), Turn::Theirs));
        assert!(matches!(cache.turn("bb"), Turn::Ours(_)));
        drop(first);
        assert!(matches!(cache.turn("aa"), Turn::Ours(_)));
        fs::remove_file(cache.folder.join("lock-a")).unwrap();
        symlink("/dev/null", cache.folder.join("lock-a")).unwrap();
        assert!(matches!(cache.turn("aa"), Turn::Unknown));
    }
}
