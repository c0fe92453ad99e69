//! The folder of the next invocation, made before there is one. What a new name costs, and that it is
//! on the disk, is paid when nobody waits: a start fills in the specification, which is one write and no
//! change that a file system has to log, so it can go beside the commit of the row. What makes a file
//! anew is logged, and the row's commit waits for that log, too.
//!
//! ```text
//! made, synced ──> lent ──> filled, synced; row committed ──> renamed to be the state folder
//!      ^──refused───┘
//! ```
//!
//! A power loss may take the rename back. Then the next daemon finds the draft, and a row of the same
//! uuid, and names it again.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{io, mem};

use steroids_shim::durable::FileError;
use steroids_shim::furnish::furnish;
use steroids_shim::paths::InvDir;
use steroids_shim::spec::Spec;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::{debug, info, warn};
use uuid::Uuid;

use super::Supervisor;
use super::reconcile::uuid_of;
use super::supervisor::Inner;
use super::waiting::has_begun;

/// A specification with a usual environment is some thousand bytes. One with a longer prompt is
/// written into a folder of its own.
const CAPACITY: usize = 16 * 1024;

/// Who asks for the row of one that was left waits no longer: the daemon is about to serve.
const ROW_WITHIN: Duration = Duration::from_secs(2);

/// What may be in a folder in which no shim was at work.
const UNUSED: [&str; 5] = [
    "lock",
    "spool",
    "exit.json.tmp",
    "state.json.tmp",
    "spec.json.tmp",
];

/// The folder. Removed when this is dropped without having been published; blocks then.
pub(super) struct Draft {
    uuid: String,
    dir: InvDir,
    spec: File,
    is_published: bool,
}

impl Draft {
    /// Makes one in this folder, durably. Blocks.
    fn make(folder: &Path) -> io::Result<Draft> {
        let mut private = DirBuilder::new();
        private.mode(0o700);
        match private.create(folder) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
        // Not through a link: what is found there is removed one day.
        if !fs::symlink_metadata(folder)?.is_dir() {
            return Err(io::ErrorKind::NotADirectory.into());
        }
        let uuid = Uuid::new_v4().to_string();
        let dir = InvDir::at(folder.join(&uuid));
        private.create(dir.path())?;
        let spec = furnished(&dir).inspect_err(|_| {
            let _ = remove(&dir);
        })?;
        let draft = Draft {
            uuid,
            dir,
            spec,
            is_published: false,
        };
        for folder in draft.dir.path().ancestors().take(3) {
            File::open(folder)?.sync_all()?;
        }
        Ok(draft)
    }

    /// Fills in the specification; false if there is not that much room. Blocks.
    pub(super) fn fill(&self, spec: &Spec) -> io::Result<bool> {
        let mut bytes = serde_json::to_vec(spec)?;
        if bytes.len() >= CAPACITY {
            return Ok(false);
        }
        // To cut the file would be a change to log.
        bytes.resize(CAPACITY - 1, b' ');
        bytes.push(b'\n');
        self.spec.write_all_at(&bytes, 0)?;
        Ok(true)
    }

    /// Makes what was filled in durable. Blocks.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.spec.sync_data()
    }

    /// Makes it the state folder of its invocation. Blocks.
    fn publish(mut self, dir: &InvDir) -> io::Result<()> {
        move_to(&self.dir, dir)?;
        self.is_published = true;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.is_published {
            // The next daemon removes what stays.
            let _ = remove(&self.dir);
        }
    }
}

/// Its files, on the disk but for their names; gives the specification's.
fn furnished(dir: &InvDir) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600);
    let spec = options.open(dir.spec())?;
    furnish(dir).map_err(io::Error::other)?;
    // Bytes that no document has, wherever they stand: what is torn while it is filled is none.
    spec.write_all_at(&[0; CAPACITY], 0)?;
    spec.sync_all()?;
    Ok(spec)
}

/// The draft for the next start, and who is to make another.
pub(super) struct Drafts {
    folder: PathBuf,
    // Held to take or to put, never while a file is asked.
    next: Mutex<Next>,
    is_wanted: Notify,
}

/// The one for the next start.
enum Next {
    /// There is none.
    Missing,
    Ready(Draft),
    /// A start has it that may yet be refused.
    Lent,
    /// There will be none: it could not become a state folder.
    Useless,
}

impl Drafts {
    /// None yet.
    pub(super) fn new(state_dir: &Path) -> Drafts {
        Drafts {
            folder: state_dir.join("drafts"),
            next: Mutex::new(Next::Missing),
            is_wanted: Notify::new(),
        }
    }

    /// Lends the one that is ready. Of many starts at once the first has one.
    pub(super) fn lend(self: &Arc<Self>) -> Loan {
        let mut next = self.next();
        let draft = match mem::replace(&mut *next, Next::Lent) {
            Next::Ready(draft) => Some(draft),
            other => {
                *next = other;
                None
            }
        };
        Loan {
            draft,
            drafts: Arc::clone(self),
        }
    }

    /// There may be a start before long.
    pub(super) fn prepare(&self) {
        self.is_wanted.notify_one();
    }

    /// Makes a draft the state folder of its invocation; false if that is not to be. Blocks.
    pub(super) fn publish(&self, draft: Draft, dir: &InvDir) -> bool {
        let Err(error) = draft.publish(dir) else {
            return true;
        };
        let is_elsewhere = error.kind() == io::ErrorKind::CrossesDevices;
        if is_elsewhere {
            *self.next() = Next::Useless;
        }
        warn!(dir = %dir.path().display(), %error, is_elsewhere, "a start makes its own folder");
        false
    }

    /// Where the one that is ready lies.
    #[cfg(test)]
    pub(super) fn ready_in(&self) -> Option<PathBuf> {
        match &*self.next() {
            Next::Ready(draft) => Some(draft.dir.path().to_owned()),
            _ => None,
        }
    }

    fn is_missing(&self) -> bool {
        matches!(*self.next(), Next::Missing)
    }

    fn next(&self) -> MutexGuard<'_, Next> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A draft, or none, for a start that may yet be refused; given back when dropped.
pub(super) struct Loan {
    draft: Option<Draft>,
    drafts: Arc<Drafts>,
}

impl Loan {
    /// The name of the invocation to come: the draft's, where there is one.
    pub(super) fn uuid(&self) -> String {
        let draft = self.draft.as_ref();
        draft.map_or_else(|| Uuid::new_v4().to_string(), |draft| draft.uuid.clone())
    }

    /// The invocation comes: nobody else may have its name.
    pub(super) fn keep(mut self) -> Option<Draft> {
        let draft = self.draft.take()?;
        *self.drafts.next() = Next::Missing;
        Some(draft)
    }
}

impl Drop for Loan {
    fn drop(&mut self) {
        if let Some(draft) = self.draft.take() {
            *self.drafts.next() = Next::Ready(draft);
        }
    }
}

/// Removes it where nobody waits for it. At the runtime's end it may stay: the next daemon removes it.
pub(super) fn remove_behind(draft: Option<Draft>) {
    if draft.is_some() {
        spawn_blocking(move || drop(draft));
    }
}

impl Supervisor {
    /// Makes a draft whenever there is none for the next start, until the daemon stops; then removes what
    /// nobody has taken.
    pub async fn keep_drafts(self) {
        let inner = self.inner;
        tokio::select! {
            () = inner.stop.cancelled() => {}
            () = make_drafts(&inner.drafts) => {}
        }
        let left = inner.drafts.lend().keep();
        // Only a panic, or the runtime's end.
        let _ = spawn_blocking(move || drop(left)).await;
    }
}

async fn make_drafts(drafts: &Drafts) {
    loop {
        drafts.is_wanted.notified().await;
        if !drafts.is_missing() {
            continue;
        }
        let folder = drafts.folder.clone();
        match spawn_blocking(move || Draft::make(&folder)).await {
            Ok(Ok(draft)) => {
                // Nobody else makes one.
                *drafts.next() = Next::Ready(draft);
                steroids_failpoint::reach("draft.ready");
            }
            // The next start does without.
            Ok(Err(error)) => debug!(%error, "no draft was made"),
            Err(_) => {}
        }
    }
}

impl Inner {
    /// Looks through what a daemon before this one has left: of an invocation that has a row, or in
    /// which a shim was at work, it is the state folder. Before anybody can have been lent a draft.
    pub(super) async fn settle_drafts(&self) {
        let folder = self.drafts.folder.clone();
        let found = spawn_blocking(move || left_in(&folder)).await;
        for (draft, spec) in found.unwrap_or_default() {
            let is_named = match &spec {
                Ok(spec) => self.may_have_row(spec).await,
                Err(FileError::Malformed { .. }) => false,
                // It says nothing now, or not to us: who takes up state folders knows what to do.
                Err(error) => !error.is_missing(),
            };
            let dir = InvDir::new(&self.state_dir, &uuid_of(&draft));
            let path = draft.path().to_owned();
            let settling = spawn_blocking(move || settle(&draft, &dir, is_named));
            if let Ok(Err(error)) = settling.await {
                warn!(draft = %path.display(), error, "a draft that was left stays");
            }
        }
    }

    /// Where that is not to be known now, it is kept as if: its row is put back then, and ended.
    async fn may_have_row(&self, spec: &Spec) -> bool {
        let looked = async {
            let project = self.projects.get(&spec.project).await.ok()?;
            let row = project.store.by_uuid(&spec.uuid).await.ok()?;
            Some(row.is_some())
        };
        timeout(ROW_WITHIN, looked)
            .await
            .ok()
            .flatten()
            .unwrap_or(true)
    }
}

/// Drafts that were left, with the specification that is filled in. Blocks.
fn left_in(folder: &Path) -> Vec<(InvDir, Result<Spec, FileError>)> {
    if !fs::symlink_metadata(folder).is_ok_and(|about| about.is_dir()) {
        return Vec::new();
    }
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .map(|entry| InvDir::at(entry.path()))
        .filter(is_ours)
        .map(|draft| {
            let spec = Spec::load(&draft);
            (draft, spec)
        })
        .collect()
}

/// By its name.
fn is_ours(dir: &InvDir) -> bool {
    Uuid::try_parse(&uuid_of(dir)).is_ok()
}

/// Names it again, or removes it: nobody was told of that. Blocks.
fn settle(draft: &InvDir, dir: &InvDir, is_named: bool) -> Result<(), String> {
    let was_used = has_begun(draft)? || draft.exit().exists();
    let settled = match was_used || is_named && !dir.spec().exists() {
        true => move_to(draft, dir).map(|()| info!(dir = %dir.path().display(), "named again")),
        false => remove(draft),
    };
    settled.map_err(|error| error.to_string())
}

fn move_to(draft: &InvDir, dir: &InvDir) -> io::Result<()> {
    match fs::rename(draft.path(), dir.path()) {
        // The first of all.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let all = dir.path().parent().unwrap_or(Path::new("/"));
            DirBuilder::new().recursive(true).mode(0o700).create(all)?;
            fs::rename(draft.path(), dir.path())
        }
        moved => moved,
    }
}

/// Whether a state folder has nothing in it but what a start makes for a shim that never came. Where the
/// disk does not say, it has. Blocks.
pub(super) fn is_unused(dir: &InvDir) -> bool {
    let Ok(entries) = fs::read_dir(dir.path()) else {
        return false;
    };
    let is_known = |entry: io::Result<fs::DirEntry>| {
        entry.is_ok_and(|entry| UNUSED.iter().any(|name| entry.file_name() == *name))
    };
    is_ours(dir) && entries.into_iter().all(is_known)
}

/// Removes such a folder; with anything else in it, it stays. Blocks.
pub(super) fn remove_unused(dir: &InvDir) {
    if let Err(error) = remove_empty(dir) {
        debug!(dir = %dir.path().display(), %error, "what a start has left stays");
    }
}

/// Removes a draft, and nothing else. Blocks.
fn remove(draft: &InvDir) -> io::Result<()> {
    match fs::remove_file(draft.spec()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => remove_empty(draft),
    }
}

fn remove_empty(dir: &InvDir) -> io::Result<()> {
    for name in UNUSED {
        match fs::remove_file(dir.path().join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    fs::remove_dir(dir.path())
}
