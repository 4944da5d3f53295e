//! Which files make up the kubeconfig, and how a change to them is made: under the lock, once, and again from the
//! start if someone else was faster.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::draft::Draft;
use super::file::{self, Found, Outcome};
use super::lock::{self, Lock, Refused};
use super::{Entry, Error, OurEntry};

/// How often a change is begun anew because a file was changed by someone who takes no lock.
const ATTEMPTS: usize = 5;

/// What a change has written.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Written {
    /// The files that were replaced or created; none if everything was already as asked.
    pub(crate) files: Vec<PathBuf>,
    /// The backups made, on the first change of a file.
    pub(crate) backups: Vec<PathBuf>,
}

/// The user's kubeconfig: one file, or several that count as one.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    /// In the order in which they are merged; never empty.
    paths: Vec<PathBuf>,
}

impl Store {
    /// Finds the kubeconfig as kubectl does: the file given on the command line, else the files listed in
    /// KUBECONFIG, else `~/.kube/config`. None of them need exist.
    ///
    /// # Errors
    /// [`Error::NoHome`] if there is nothing to go by.
    pub(crate) fn locate(
        explicit: Option<&Path>,
        kubeconfig: Option<OsString>,
        home: Option<PathBuf>,
    ) -> Result<Self, Error> {
        if let Some(path) = explicit.filter(|path| !path.as_os_str().is_empty()) {
            return Ok(Self { paths: vec![path.to_owned()] });
        }
        let mut paths: Vec<PathBuf> = Vec::new();
        for path in std::env::split_paths(&kubeconfig.unwrap_or_default()) {
            if !path.as_os_str().is_empty() && !paths.contains(&path) {
                paths.push(path);
            }
        }
        if paths.is_empty() {
            let home = home.filter(|home| !home.as_os_str().is_empty()).ok_or(Error::NoHome)?;
            paths.push(home.join(".kube").join("config"));
        }
        Ok(Self { paths })
    }

    /// The file that takes new entries: the first that exists, else the last (client-go, `GetDefaultFilename`).
    pub(crate) fn home(&self) -> &Path {
        &self.paths[self.home_index()]
    }

    fn home_index(&self) -> usize {
        self.paths.iter().position(|path| path.exists()).unwrap_or(self.paths.len() - 1)
    }

    /// The contexts that are ours. Takes no lock.
    ///
    /// # Errors
    /// A file that cannot be read or understood; a missing one is an empty one.
    pub(crate) fn ours(&self) -> Result<Vec<OurEntry>, Error> {
        Ok(self.read()?.1.ours())
    }

    /// [`Draft::put`] as a change of its own.
    ///
    /// # Errors
    /// As [`Self::change`] and [`Draft::put`].
    pub(crate) fn put(&self, entry: &Entry) -> Result<Written, Error> {
        Ok(self.change(|draft| draft.put(entry))?.1)
    }

    /// [`Draft::remove`] as a change of its own.
    ///
    /// # Errors
    /// As [`Self::change`].
    pub(crate) fn remove(&self, name: &str) -> Result<bool, Error> {
        Ok(self.change(|draft| Ok(draft.remove(name)))?.0)
    }

    /// [`Draft::set_current`] as a change of its own.
    ///
    /// # Errors
    /// As [`Self::change`] and [`Draft::set_current`].
    pub(crate) fn set_current(&self, name: &str) -> Result<Written, Error> {
        Ok(self.change(|draft| draft.set_current(name))?.1)
    }

    /// [`Draft::prune`] as a change of its own.
    ///
    /// # Errors
    /// As [`Self::change`].
    pub(crate) fn prune(
        &self,
        now: Timestamp,
        keep: impl Fn(&OurEntry) -> bool,
    ) -> Result<Vec<String>, Error> {
        Ok(self.change(|draft| Ok(draft.prune(now, &keep)))?.0)
    }

    /// Makes any number of changes in one pass: each file is written once, or not at all if nothing in it changes,
    /// and then no lock is taken either. `edit` may run several times, each time on a fresh draft.
    ///
    /// Waits up to 10 s for one holder of kubectl's lock and up to 60 s for a queue of them.
    ///
    /// # Errors
    /// Those of `edit`, and whatever keeps a file from being read, locked, changed without harm, or written. Only
    /// when the kubeconfig is several files of which more than one changes can an error leave some of them written.
    pub(crate) fn change<T>(
        &self,
        mut edit: impl FnMut(&mut Draft) -> Result<T, Error>,
    ) -> Result<(T, Written), Error> {
        if let Ok((_, mut draft)) = self.read()
            && let Ok(value) = edit(&mut draft)
            && !draft.changed()
        {
            return Ok((value, Written::default()));
        }
        for _ in 0..ATTEMPTS {
            let locks = self.lock()?;
            let (found, mut draft) = self.read()?;
            let value = edit(&mut draft)?;
            let texts = render(&found, draft)?;
            let mut written = Written::default();
            let mut overtaken = false;
            for (n, text) in &texts {
                let found = &found[*n];
                if let Some(why) = locks.refused.get(&found.path) {
                    return Err(Error::ReadOnly { path: found.path.clone(), why: why.clone() });
                }
                match file::write(found, text)? {
                    Outcome::Written(backup) => {
                        written.files.push(found.path.clone());
                        written.backups.extend(backup);
                    }
                    Outcome::Overtaken => {
                        overtaken = true;
                        break;
                    }
                }
            }
            if !overtaken {
                return Ok((value, written));
            }
        }
        Err(Error::Busy(self.home().to_owned()))
    }

    fn read(&self) -> Result<(Vec<Found>, Draft), Error> {
        let mut found = Vec::new();
        let mut files = Vec::new();
        for path in &self.paths {
            let (file, sheet) = file::read(path)?;
            files.push((path.clone(), sheet));
            found.push(file);
        }
        Ok((found, Draft::new(files, self.home_index())))
    }

    /// Locks all files, as kubectl does; by the path given, which kubectl uses, and by the one that links lead to,
    /// for those who come by another link. Always in the same order.
    fn lock(&self) -> Result<Locks, Error> {
        file::make_directory(&file::resolve(self.home())?)?;
        let mut wanted = BTreeMap::new();
        for path in &self.paths {
            for name in [path.clone(), file::resolve(path)?] {
                wanted.entry(file::canonical(lock::lock_path(&name))).or_insert(path);
            }
        }
        let mut locks = Locks { _held: Vec::new(), refused: BTreeMap::new() };
        for (lock, path) in wanted {
            match Lock::acquire(&lock, path) {
                Ok(lock) => locks._held.push(lock),
                Err(Refused::NoDirectory) => {}
                Err(Refused::ReadOnly(error)) => {
                    locks.refused.insert(path.clone(), format!("no lock can be made beside it: {error}"));
                }
                Err(Refused::Error(error)) => return Err(error),
            }
        }
        Ok(locks)
    }
}

/// The locks held, and the files that cannot be locked because nothing can be written there.
struct Locks {
    _held: Vec<Lock>,
    refused: BTreeMap<PathBuf, String>,
}

/// The new texts of the files that change, by their place.
fn render(found: &[Found], draft: Draft) -> Result<Vec<(usize, String)>, Error> {
    let mut texts = Vec::new();
    for (n, (path, sheet)) in draft.into_files().into_iter().enumerate() {
        let text = sheet.render().map_err(|detail| Error::Shape { path, detail })?;
        let old = found[n].bytes.as_deref();
        texts.extend(text.filter(|text| Some(text.as_bytes()) != old).map(|text| (n, text)));
    }
    Ok(texts)
}
