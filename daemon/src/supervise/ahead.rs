//! What a start does while its row waits for the disk: its folder, its specification in a draft of one,
//! and a shim that stands by. None of it counts without the row; then the draft becomes the state folder,
//! and the shim is told to begin.

use std::error::Error;
use std::fs::DirBuilder;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::sync::Arc;

use steroids_shim::durable::Staged;
use steroids_shim::furnish::furnish as furnish_all;
use steroids_shim::paths::InvDir;
use steroids_shim::spec::Spec;
use steroids_shim::{durable, lock};
use tokio::sync::watch;
use tokio::task::{JoinError, spawn_blocking};

use super::drafts::{Draft, remove_behind};
use super::supervisor::Inner;
use super::{lost, waiting};
use crate::domain::InvocationId;
use crate::launch::{Launcher, Standby, is_exhausted};

/// What stands ready.
#[derive(Default)]
pub(super) struct Ahead {
    /// The specification of this invocation, on the disk.
    drafted: Option<(InvocationId, Draft)>,
    /// The same of one that waited, whose folder is there.
    staged: Option<Staged>,
    standby: Option<Standby>,
}

/// What is lacking.
pub(super) enum Short {
    /// The machine, or the disk that all have, has none.
    OfAll(Box<dyn Error + Send + Sync>),
    /// Its own folder is not as it should be.
    Own(Box<dyn Error + Send + Sync>),
}

impl Short {
    fn of(error: impl Error + Send + Sync + 'static) -> Short {
        let mut cause: Option<&(dyn Error + 'static)> = Some(&error);
        while let Some(error) = cause {
            let source = error.downcast_ref::<io::Error>();
            if source.is_some_and(|it| is_exhausted(it) || is_of_disk(it)) {
                break;
            }
            cause = error.source();
        }
        match cause.is_some() {
            true => Short::OfAll(error.into()),
            false => Short::Own(error.into()),
        }
    }
}

/// Whether it is the disk that refuses, and not what is in a folder.
fn is_of_disk(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let of_disk = [Errno::NOSPC, Errno::DQUOT, Errno::ROFS, Errno::IO];
    let errno = error.raw_os_error();
    errno.is_some_and(|errno| of_disk.iter().any(|one| one.raw_os_error() == errno))
}

impl Ahead {
    /// Makes what can be made of it. What cannot is made, and told of, by who comes to need it.
    /// `coming` tells the id as soon as that is known, and ends where there will be none.
    pub(super) async fn make(
        inner: &Inner,
        spec: &Spec,
        dir: &InvDir,
        draft: Option<Draft>,
        mut coming: watch::Receiver<Option<InvocationId>>,
    ) -> Ahead {
        if draft.is_none() {
            let dir = dir.clone();
            // Only a panic, or the runtime's end.
            let _ = spawn_blocking(move || furnish(&dir)).await;
        }
        let id = coming.wait_for(Option::is_some).await;
        let Some(id) = id.ok().and_then(|id| *id) else {
            remove_behind(draft);
            return Ahead::default();
        };
        let spec = Spec {
            invocation: id.get(),
            ..spec.clone()
        };
        let (launcher, dir) = (Arc::clone(&inner.settings().launcher), dir.clone());
        // Off the runtime also because who begins a process waits until it runs its own program. In this
        // order a file waits for the disk while a process begins.
        let made = spawn_blocking(move || {
            let filled = draft.filter(|draft| matches!(draft.fill(&spec), Ok(true)));
            let standby = launcher.stand_by(dir.path()).ok().flatten();
            let drafted = filled.filter(|draft| draft.sync().is_ok());
            if drafted.is_none() {
                // Told of by who comes to need it.
                let _ = furnish(&dir);
            }
            Ahead {
                drafted: drafted.map(|draft| (id, draft)),
                staged: None,
                standby,
            }
        });
        made.await.unwrap_or_default()
    }

    /// Makes all that a start may lack the room or the processes for, of one that waits, before its turn is taken:
    /// its row cannot wait again. Blocks.
    ///
    /// # Errors
    /// What is lacking.
    pub(super) fn of_waiting(
        launcher: &dyn Launcher,
        spec: &Spec,
        dir: &InvDir,
    ) -> Result<Ahead, Short> {
        let runnable = launcher.runnable();
        runnable.map_err(|error| Short::OfAll(error.into()))?;
        furnish_all(dir).map_err(Short::of)?;
        let staged = spec.stage(dir).map_err(Short::of)?;
        let standby = launcher.stand_by(dir.path());
        Ok(Ahead {
            drafted: None,
            staged: Some(staged),
            standby: standby.map_err(|error| Short::OfAll(error.into()))?,
        })
    }

    /// Makes the specification what was asked for, durably. Gives the shim that stands by for it.
    ///
    /// # Errors
    /// Only a panic, or the runtime's end; within, what the disk says.
    pub(super) async fn settle(
        self,
        inner: &Inner,
        spec: &Spec,
        dir: &InvDir,
    ) -> Result<io::Result<Option<Standby>>, JoinError> {
        let (spec, dir, drafts) = (spec.clone(), dir.clone(), Arc::clone(&inner.drafts));
        let Ahead {
            drafted,
            staged,
            standby,
        } = self;
        let settled = spawn_blocking(move || {
            steroids_failpoint::check("start.settle")?;
            // It is another one's if another program has taken the id while the row was tried again.
            let own = drafted.filter(|(id, _)| id.get() == spec.invocation);
            let is_there = own.is_some_and(|(_, draft)| drafts.publish(draft, &dir))
                || staged.is_some_and(|staged| staged.publish().is_ok());
            store(&spec, &dir, is_there)?;
            steroids_failpoint::reach("start.spec-stored");
            waiting::forget(&dir);
            Ok(())
        });
        Ok(settled.await?.map(|()| standby))
    }

    /// Undoes it, of one that gets no row.
    pub(super) async fn discard(self, dir: &InvDir) {
        let Ahead {
            drafted, standby, ..
        } = self;
        drop(standby);
        remove_behind(drafted.map(|(_, draft)| draft));
        waiting::discard(dir).await;
    }
}

/// The file that a shim locks, in a folder for the owner alone. Blocks.
fn furnish(dir: &InvDir) -> io::Result<()> {
    lost::folder(dir).and_then(|()| lock::provide(&dir.lock()))
}

/// All of it, durably, unless it is there. Blocks.
fn store(spec: &Spec, dir: &InvDir, is_there: bool) -> io::Result<()> {
    if let Some(sockets) = spec.socket.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(sockets)?;
    }
    if is_there {
        return Ok(());
    }
    lost::folder(dir)?;
    // The folder's own name last: most file systems have written it with what is in it by then, and
    // need not be waited for again.
    spec.store(dir)
        .and_then(|()| durable::sync_folder_of(dir.path()))
        .map_err(io::Error::other)
}
