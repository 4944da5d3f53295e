//! All files of a kubeconfig at once, as kubectl merges them, and the changes that can be asked for. Nothing is
//! written here; [`super::Store`] does that when the changes are complete.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use jiff::Timestamp;
use serde_yaml::Value;

use super::entry::{Mark, Section};
use super::sheet::{Item, Sheet};
use super::{Entry, Error, OurEntry, PREFIX};

/// A kubeconfig under change. Where files disagree the first one wins, as in kubectl.
pub(crate) struct Draft {
    files: Vec<(PathBuf, Sheet)>,
    /// The place of the file that takes new entries.
    home: usize,
}

impl Draft {
    /// `files` in the order in which they are merged, of which the one at `home` takes new entries.
    pub(super) fn new(files: Vec<(PathBuf, Sheet)>, home: usize) -> Self {
        Self { files, home }
    }

    /// Whether anything was changed, even if changed back.
    pub(super) fn changed(&self) -> bool {
        self.files.iter().any(|(_, sheet)| sheet.changed())
    }

    pub(super) fn into_files(self) -> Vec<(PathBuf, Sheet)> {
        self.files
    }

    /// Adds an entry, or replaces the one of ours that has its name: a cluster, a user and a context, each in the
    /// file that holds it already.
    ///
    /// # Errors
    /// [`Error::BadName`], and [`Error::Taken`] if one of the three names belongs to someone else.
    pub(crate) fn put(&mut self, entry: &Entry) -> Result<(), Error> {
        let name = &entry.name;
        if name.len() <= PREFIX.len() || !name.starts_with(PREFIX) || name.chars().any(char::is_control) {
            return Err(Error::BadName(name.clone()));
        }
        let mut places = Vec::new();
        for section in Section::ALL {
            let place = self.find(section, name);
            if let Some((file, item)) = place
                && item.mark.is_none()
            {
                let path = self.files[file].0.clone();
                return Err(Error::Taken { path, kind: section.kind(), name: name.clone() });
            }
            places.push(place.map(|(file, _)| file));
        }
        // What is new goes to the rest of the entry, if there is one.
        let home = places.iter().rev().flatten().next().copied().unwrap_or(self.home);
        for (section, place) in Section::ALL.into_iter().zip(places) {
            let sheet = &mut self.files[place.unwrap_or(home)].1;
            sheet.put(section, entry.item(section));
            // kubectl refuses a file in which a name stands twice.
            let mut seen = false;
            sheet.remove(section, |other, _| other == name && std::mem::replace(&mut seen, true));
        }
        Ok(())
    }

    /// `wanted`, or the first of `wanted-2`, `wanted-3` that nothing in any list is called, be it ours or not.
    pub(crate) fn free(&self, wanted: &str) -> String {
        let taken: BTreeSet<&str> = Section::ALL
            .into_iter()
            .flat_map(|section| self.items(section))
            .filter_map(|item| item.name.as_deref())
            .collect();
        let mut name = wanted.to_owned();
        let mut number = 2;
        while taken.contains(name.as_str()) {
            name = format!("{wanted}-{number}");
            number += 1;
        }
        name
    }

    /// Removes what is ours of this name from all files, and clears a current context that pointed there. Whether
    /// there was anything.
    pub(crate) fn remove(&mut self, name: &str) -> bool {
        !self.sweep(|_, other, _| other == name).is_empty()
    }

    /// Removes what is ours and either over at `now` or not to be kept, and parts of ours that no context uses any
    /// more. Returns the names, sorted.
    pub(crate) fn prune(&mut self, now: Timestamp, keep: impl Fn(&OurEntry) -> bool) -> Vec<String> {
        let unwanted: BTreeSet<String> =
            self.ours().iter().filter(|e| !keep(e)).map(|e| e.name.clone()).collect();
        let mut gone: BTreeSet<String> = self
            .sweep(|section, name, mark| {
                mark.expires <= now || (unwanted.contains(name) && section == Section::Contexts)
            })
            .into_iter()
            .collect();
        // Only now: a cluster or a user may still serve a context that its user made from it.
        let used = self.used();
        gone.extend(self.sweep(|section, name, _| match section {
            Section::Contexts => false,
            Section::Clusters | Section::Users => !used.contains(&(section.kind(), name.to_owned())),
        }));
        gone.into_iter().collect()
    }

    /// Makes `name` the current context.
    ///
    /// # Errors
    /// [`Error::UnknownContext`]. The context need not be ours.
    pub(crate) fn set_current(&mut self, name: &str) -> Result<(), Error> {
        if self.find(Section::Contexts, name).is_none() {
            return Err(Error::UnknownContext(name.to_owned()));
        }
        if self.current() != Some(name) {
            self.files[self.home].1.set_current(Some(name));
        }
        Ok(())
    }

    /// The current context, ours or not.
    pub(crate) fn current(&self) -> Option<&str> {
        self.files.iter().find_map(|(_, sheet)| sheet.current())
    }

    /// The contexts that are ours, in the order of the files.
    pub(crate) fn ours(&self) -> Vec<OurEntry> {
        let mut servers = BTreeMap::new();
        for item in self.items(Section::Clusters) {
            let server = item.value.get("cluster").and_then(|c| c.get("server")).and_then(Value::as_str);
            servers.entry(item.name.as_deref()).or_insert(server);
        }
        let mut seen = BTreeSet::new();
        let mut ours = Vec::new();
        for item in self.items(Section::Contexts) {
            let Some(name) = item.name.as_deref().filter(|name| seen.insert(*name)) else { continue };
            let (Some(mark), Some(body)) = (&item.mark, item.value.get("context")) else { continue };
            let cluster = body.get("cluster").and_then(Value::as_str);
            ours.push(OurEntry {
                name: name.to_owned(),
                namespace: body.get("namespace").and_then(Value::as_str).map(str::to_owned),
                expires: mark.expires,
                request: mark.request.clone(),
                server: cluster.and_then(|_| *servers.get(&cluster)?).map(str::to_owned),
            });
        }
        ours
    }

    fn items(&self, section: Section) -> impl Iterator<Item = &Item> {
        self.files.iter().flat_map(move |(_, sheet)| sheet.items(section))
    }

    /// The item that counts for a name, and the place of its file.
    fn find(&self, section: Section, name: &str) -> Option<(usize, &Item)> {
        let named = |item: &&Item| item.name.as_deref() == Some(name);
        let files = self.files.iter().enumerate();
        files.filter_map(|(n, (_, sheet))| Some((n, sheet.items(section).iter().find(named)?))).next()
    }

    /// The clusters and users that contexts name.
    fn used(&self) -> BTreeSet<(&'static str, String)> {
        let mut used = BTreeSet::new();
        for item in self.items(Section::Contexts) {
            for kind in ["cluster", "user"] {
                let name = item.value.get("context").and_then(|body| body.get(kind)).and_then(Value::as_str);
                used.extend(name.map(|name| (kind, name.to_owned())));
            }
        }
        used
    }

    /// Removes what is ours and doomed, and clears the current contexts that pointed there. The names, as found.
    fn sweep(&mut self, doomed: impl Fn(Section, &str, &Mark) -> bool) -> Vec<String> {
        let mut gone = Vec::new();
        let mut contexts = BTreeSet::new();
        for (_, sheet) in &mut self.files {
            for section in Section::ALL {
                sheet.remove(section, |name, mark| {
                    let going = doomed(section, name, mark);
                    if going {
                        gone.push(name.to_owned());
                    }
                    if going && section == Section::Contexts {
                        contexts.insert(name.to_owned());
                    }
                    going
                });
            }
        }
        contexts.retain(|name| self.find(Section::Contexts, name).is_none());
        for (_, sheet) in &mut self.files {
            if sheet.current().is_some_and(|name| contexts.contains(name)) {
                sheet.set_current(None);
            }
        }
        gone
    }
}
