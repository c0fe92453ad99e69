//! Taking an invocation over: the lock first, then proof that nobody was here before. A shim that
//! comes late finds an exit record, or a state, and starts nothing.

use std::path::Path;
use std::sync::Arc;

use steroids_shim::exit::{Draft, ExitRecord};
use steroids_shim::lock::{self, Lock};
use steroids_shim::paths::InvDir;
use steroids_shim::spec::{PROTOCOL, Spec};
use steroids_shim::spool::Writer;
use steroids_shim::state::State;

use super::Failure;
use super::writer::Files;

/// An invocation that is this process's own.
#[derive(Debug)]
pub(crate) struct Owned {
    /// Its folder.
    pub(crate) dir: InvDir,
    /// Proof of life.
    pub(crate) lock: Lock,
    /// What is asked for.
    pub(crate) spec: Spec,
    /// Where its end is recorded.
    pub(crate) draft: Arc<Draft>,
    /// What the writing thread writes.
    pub(crate) files: Files,
}

/// Takes it over, or says why not; then nothing was changed that another shim could miss.
pub(crate) fn take_over(path: &Path) -> Result<Owned, Failure> {
    let dir = InvDir::at(path);
    steroids_failpoint::reach("shim.begun");
    let lock = lock::acquire(&dir.lock())?;
    if ExitRecord::load(&dir)?.is_some() {
        return Err(Failure::Said(format!(
            "{} is there: the invocation has ended",
            dir.exit().display()
        )));
    }
    if State::load(&dir)?.is_some() {
        return Err(Failure::Said(format!(
            "{} is there: another shim had started the invocation",
            dir.state().display()
        )));
    }
    let spec = Spec::load(&dir)?;
    if spec.proto > PROTOCOL {
        return Err(Failure::Said(format!(
            "{} is of shim protocol {}, known are those up to {PROTOCOL}",
            dir.spec().display(),
            spec.proto
        )));
    }
    if !is_name(&spec.uuid) {
        return Err(Failure::Said(format!("`{}` is no uuid", spec.uuid)));
    }
    let draft = Arc::new(Draft::reserve(&dir)?);
    let files = Files {
        dir: dir.clone(),
        spool: Writer::create(&dir.spool())?,
        draft: Arc::clone(&draft),
    };
    steroids_failpoint::reach("shim.locked");
    Ok(Owned {
        dir,
        lock,
        spec,
        draft,
        files,
    })
}

/// It becomes a variable's value and part of a folder's name.
fn is_name(uuid: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    !uuid.is_empty() && uuid.bytes().all(allowed)
}
