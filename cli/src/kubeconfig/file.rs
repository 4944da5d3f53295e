//! One kubeconfig file on disk: read whole though others write it in place, and replaced whole, by a rename, with
//! its mode, its owner and the links to it kept.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown,
};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use super::Error;
use super::sheet::{Flaw, Sheet};

/// The largest kubeconfig that is read, in bytes: thousands of clusters need 5 MB, and it is held several times.
pub(super) const SIZE_LIMIT: u64 = 32 << 20;
/// kubectl truncates and writes in place, so a reader may see nothing or a part; how often and after how long it
/// looks again before it believes that.
const TORN_READS: u32 = 5;
const TORN_PAUSE: Duration = Duration::from_millis(30);
/// As many links as Linux follows.
const LINKS: usize = 40;

/// A file as it was when read.
pub(super) struct Found {
    /// The path as the user gave it.
    pub(super) path: PathBuf,
    /// Where links lead.
    pub(super) target: PathBuf,
    /// What was in it; none if it is not there.
    pub(super) bytes: Option<Vec<u8>>,
}

/// Reads and understands a kubeconfig. A missing file, or a device such as /dev/null, is an empty one.
pub(super) fn read(path: &Path) -> Result<(Found, Sheet), Error> {
    let target = resolve(path)?;
    let mut look = 1;
    loop {
        let bytes = bytes(path, &target)?;
        let empty = bytes.as_ref().is_some_and(Vec::is_empty);
        let found = Found { path: path.to_owned(), target: target.clone(), bytes };
        let sheet = understand(&found);
        if look == TORN_READS || (sheet.is_ok() && !empty) {
            return sheet.map(|sheet| (found, sheet));
        }
        look += 1;
        thread::sleep(TORN_PAUSE);
    }
}

fn understand(found: &Found) -> Result<Sheet, Error> {
    let path = || found.path.clone();
    let bytes = found.bytes.clone().unwrap_or_default();
    let malformed = |detail| Error::Malformed { path: path(), line: None, detail };
    let text = String::from_utf8(bytes).map_err(|_| malformed("not UTF-8 text"))?;
    Sheet::read(text).map_err(|flaw| match flaw {
        Flaw::Malformed { line, detail } => Error::Malformed { path: path(), line, detail },
        Flaw::Shape(detail) => Error::Shape { path: path(), detail },
    })
}

fn bytes(path: &Path, target: &Path) -> Result<Option<Vec<u8>>, Error> {
    let failed = |source| Error::Io { doing: "read", path: path.to_owned(), source };
    let kind = match fs::metadata(target) {
        Ok(found) => found,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(failed(error)),
    };
    if !kind.is_file() {
        use std::os::unix::fs::FileTypeExt as _;
        // To read a pipe is to empty it.
        return if kind.file_type().is_char_device() {
            Ok(None)
        } else {
            Err(Error::NotAFile(path.to_owned()))
        };
    }
    let file = match File::open(target) {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    let mut bytes = Vec::new();
    file.take(SIZE_LIMIT + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > SIZE_LIMIT {
        let size = kind.len().max(bytes.len() as u64);
        return Err(Error::TooLarge { path: path.to_owned(), size, limit: SIZE_LIMIT });
    }
    Ok(Some(bytes))
}

/// Where a path leads, the file itself there or not.
pub(super) fn resolve(path: &Path) -> Result<PathBuf, Error> {
    let mut target = path.to_owned();
    for _ in 0..LINKS {
        let Ok(next) = fs::read_link(&target) else {
            return Ok(canonical(target));
        };
        target = target.parent().unwrap_or(Path::new("")).join(next);
    }
    let source = std::io::Error::other("too many levels of symbolic links");
    Err(Error::Io { doing: "read", path: path.to_owned(), source })
}

/// The same path without links in its directory part, if that exists.
pub(super) fn canonical(path: PathBuf) -> PathBuf {
    match (directory(&path).canonicalize(), path.file_name()) {
        (Ok(parent), Some(name)) => parent.join(name),
        _ => path,
    }
}

/// The directory a file is in.
pub(super) fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes the directory of a file that is to be created, for its owner alone.
pub(super) fn make_directory(path: &Path) -> Result<(), Error> {
    let parent = directory(path);
    let made = DirBuilder::new().recursive(true).mode(0o700).create(parent);
    made.map_err(|source| match source.kind() {
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            Error::ReadOnly { path: path.to_owned(), why: format!("its directory cannot be made: {source}") }
        }
        _ => Error::Io { doing: "create the directory", path: parent.to_owned(), source },
    })
}

/// What came of an attempt to write.
pub(super) enum Outcome {
    /// Written; with the backup, if this was the first time.
    Written(Option<PathBuf>),
    /// Someone else wrote since it was read: nothing was done.
    Overtaken,
}

/// Replaces what was `found` by `text`, unless it has changed since.
pub(super) fn write(found: &Found, text: &str) -> Result<Outcome, Error> {
    let failed = |doing| move |source| Error::Io { doing, path: found.path.clone(), source };
    let old = writable(found)?;
    let parent = directory(&found.target);
    let mut temp = tempfile::Builder::new()
        .prefix(".oz-kubeconfig-")
        .permissions(fs::Permissions::from_mode(0o600))
        .tempfile_in(parent)
        .map_err(|source| Error::ReadOnly { path: found.path.clone(), why: source.to_string() })?;
    temp.write_all(text.as_bytes()).map_err(failed("write beside"))?;
    if let Some(old) = &old {
        keep_owner(temp.as_file(), old).map_err(|source| Error::ReadOnly {
            path: found.path.clone(),
            why: format!("it belongs to another user: {source}"),
        })?;
        // It holds a credential now: for its owner alone, and never for more than it was.
        let mode = fs::Permissions::from_mode(old.mode() & 0o600);
        temp.as_file().set_permissions(mode).map_err(failed("set the mode beside"))?;
    }
    temp.as_file().sync_all().map_err(failed("write beside"))?;
    let backup = back_up(found, old.as_ref())?;
    if bytes(&found.path, &found.target)? != found.bytes {
        return Ok(Outcome::Overtaken);
    }
    temp.persist(&found.target).map_err(|error| failed("replace")(error.error))?;
    // The change is made; that it also survives a power cut is only worth trying for.
    let _ = File::open(parent).and_then(|parent| parent.sync_all());
    Ok(Outcome::Written(backup))
}

/// The file as it stands, if it is there and may be written. A rename would not ask.
fn writable(found: &Found) -> Result<Option<Metadata>, Error> {
    let read_only = |why| Error::ReadOnly { path: found.path.clone(), why };
    let old = match fs::metadata(&found.target) {
        Ok(old) => old,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(Error::Io { doing: "read", path: found.path.clone(), source }),
    };
    if !old.is_file() {
        return Err(Error::NotAFile(found.path.clone()));
    }
    if old.mode() & 0o200 == 0 {
        return Err(read_only(format!("its mode is {:04o}", old.mode() & 0o7777)));
    }
    OpenOptions::new().write(true).open(&found.target).map_err(|error| read_only(error.to_string()))?;
    Ok(Some(old))
}

/// Under sudo the file must stay the user's.
fn keep_owner(new: &File, old: &Metadata) -> std::io::Result<()> {
    let made = new.metadata()?;
    if (made.uid(), made.gid()) == (old.uid(), old.gid()) {
        return Ok(());
    }
    match fchown(new, Some(old.uid()), Some(old.gid())) {
        // Its group is worth keeping, but gives no right to a file of mode 0600.
        Err(_) if made.uid() == old.uid() => Ok(()),
        other => other,
    }
}

/// Keeps what was there before Oz first came, as `<file>.oz-backup`. One that exists stays.
fn back_up(found: &Found, old: Option<&Metadata>) -> Result<Option<PathBuf>, Error> {
    let (Some(bytes), Some(old)) = (found.bytes.as_ref().filter(|bytes| !bytes.is_empty()), old) else {
        return Ok(None);
    };
    let mut name = found.target.as_os_str().to_owned();
    name.push(".oz-backup");
    let path = PathBuf::from(name);
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    let written = match made {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(None),
        Err(error) => Err(error),
        Ok(mut file) => {
            let whole =
                file.write_all(bytes).and_then(|()| keep_owner(&file, old)).and_then(|()| file.sync_all());
            // Half a backup would never be made whole.
            whole.inspect_err(|_| drop(fs::remove_file(&path)))
        }
    };
    match written {
        Ok(()) => Ok(Some(path)),
        Err(source) => Err(Error::Io { doing: "back up to", path, source }),
    }
}
