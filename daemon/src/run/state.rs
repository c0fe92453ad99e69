//! Keeps the state folder this daemon's: whoever deletes the folder, or the lock in it, lets another daemon in, which
//! would serve the same projects. The lock is taken anew, and the list of projects written anew, at the occasions of
//! [`place`](super::place). A daemon that finds another one in its place ends: what runs lives on in its shims.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use tracing::{info, warn};

use super::place::{self, Occasions};
use crate::projects::Projects;
use crate::service::Service;
use crate::service::listen::{self, ListenError};
use crate::service::lock::{DaemonLock, LockError};

/// What is said of a folder that is not to be had.
const LOST: &str = "the state folder is gone, or the lock in it, and cannot be made anew yet";

/// The state folder of this daemon, as long as its lock is held. Clones are the same one.
#[derive(Debug, Clone)]
pub(super) struct StateFolder {
    path: PathBuf,
    lock: Arc<Mutex<DaemonLock>>,
}

impl StateFolder {
    /// Where the lock of a state folder is.
    pub(super) fn lock_of(path: &Path) -> PathBuf {
        path.join("steroidsd.lock")
    }

    pub(super) fn new(path: &Path, lock: DaemonLock) -> StateFolder {
        StateFolder {
            path: path.to_owned(),
            lock: Arc::new(Mutex::new(lock)),
        }
    }

    /// Keeps it, until another daemon has it.
    pub(super) async fn keep(
        &self,
        occasions: Occasions,
        projects: &Projects,
        service: &Service,
    ) -> LockError {
        let name = StateFolder::lock_of(&self.path);
        let look = || async {
            let found = self.look(projects).await;
            let why = found.as_ref().err();
            service.tell_unkept(why.map(|why| format!("{LOST}: {why:#}")));
            match found.map_err(anyhow::Error::downcast::<ListenError>) {
                Err(Ok(ListenError::Lock(lock))) if lock.is_held() => ControlFlow::Break(lock),
                Err(Ok(other)) => ControlFlow::Continue(Err(other.into())),
                Err(Err(other)) => ControlFlow::Continue(Err(other)),
                Ok(is_anew) => ControlFlow::Continue(Ok(is_anew)),
            }
        };
        place::keep_name(&name, occasions, LOST, look).await
    }

    /// Makes anew what is gone of it, and tells whether the lock was.
    pub(super) async fn look(&self, projects: &Projects) -> anyhow::Result<bool> {
        let this = self.clone();
        let taking = tokio::task::spawn_blocking(move || this.take_again());
        let is_anew = taking.await.context("a look at the lock panicked")??;
        if is_anew {
            warn!(
                state_dir = %self.path.display(),
                "the state folder was gone, or the lock in it, and is made anew"
            );
        }
        if projects.keep_list().await? {
            info!("the list of projects was gone, and is written anew");
        }
        Ok(is_anew)
    }

    /// Blocks.
    fn take_again(&self) -> Result<bool, ListenError> {
        let mut lock = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        if !lock.is_lost() {
            return Ok(false);
        }
        listen::own_folder(&self.path)?;
        lock.renew()?;
        Ok(true)
    }
}
