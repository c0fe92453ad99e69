//! One invocation from taking it over to its exit record.
//!
//! ```text
//! detach ──> take over ──> start the provider ──> keeper: Running ─> Stopping ─> Killing
//!               │                   │                        └────────┴──────────┴──> Draining ──> Ending
//!            refused          never started                                                 exit.json
//! ```
//!
//! This thread forks, reads, reaps and answers, and never waits for a file; `writer` writes the spool
//! and the exit record, and has `syncer` wait for the disk meanwhile. The kernel kills the provider when
//! the thread that forked it ends, so that thread is the main one.

mod answers;
mod around;
mod cgroup;
mod clock;
mod connections;
pub(crate) mod detach;
mod ending;
mod feed;
mod input;
mod keeper;
mod ladder;
mod life;
mod limits;
mod phase;
mod provider;
mod pulse;
mod queue;
mod said;
mod syncer;
mod takeover;
mod used;
mod writer;

use std::error::Error;
use std::io;
use std::path::Path;
use std::sync::Arc;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use steroids_shim::durable::{self, FileError};
use steroids_shim::exit::{Draft, End, ExitRecord};
use steroids_shim::lock::{Lock, LockError};
use steroids_shim::paths::InvDir;
use steroids_shim::spec::{PROTOCOL, Spec};
use steroids_shim::spool::SpoolError;
use steroids_shim::state::State;
use steroids_shim::tree::start_ticks;
use steroids_shim::unit;

use self::around::Around;
use self::cgroup::Group;
use self::clock::Moment;
use self::connections::Connections;
use self::detach::{Call, Report};
use self::keeper::Keeper;
use self::provider::Provider;
use self::queue::Queue;
use self::takeover::Owned;

/// Why an invocation was not taken over, or not brought to its record.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// In words.
    #[error("{0}")]
    Said(String),
    /// The system refused.
    #[error("cannot {action}")]
    System {
        /// What was tried.
        action: &'static str,
        /// What the kernel said.
        source: io::Error,
    },
    /// Somebody else has it.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// One of its files cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Its spool cannot be written.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

impl Failure {
    pub(crate) fn system(action: &'static str, source: io::Error) -> Failure {
        Failure::System { action, source }
    }

    /// One line, with the causes.
    pub(crate) fn in_full(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}

/// What stands ready before the provider is started.
struct Prepared {
    dir: InvDir,
    lock: Lock,
    spec: Spec,
    signals: SignalFd,
    connections: Connections,
    queue: Arc<Queue>,
    group: Option<Group>,
    state: State,
}

/// Runs the invocation of a folder, once it is called to. Returns when its end is on record.
pub(crate) fn run(dir: &Path, report: Report, call: Call) -> Result<(), Failure> {
    let begun = Around::look().and_then(|around| {
        call.wait()?;
        Ok((around, takeover::take_over(dir)?))
    });
    let (around, owned) = match begun {
        Ok(begun) => begun,
        Err(failure) => {
            report.refused(&failure);
            return Err(failure);
        }
    };
    let draft = Arc::clone(&owned.draft);
    let prepared = match prepare(owned, &around) {
        Ok(prepared) => prepared,
        Err(failure) => {
            let lacks_room = durable::lacks_room(&failure);
            let error = failure.in_full();
            return never_started(&draft, End::NeverStarted { error, lacks_room }, report);
        }
    };
    let cgroup = prepared.group.as_ref().and_then(Group::entrance);
    // Before the fork: the provider is never found to have run for less time than it did.
    let started = Moment::now();
    match provider::start(&prepared.spec, &around, cgroup) {
        Ok(provider) => keep(prepared, provider, started, report),
        Err(error) => {
            let outcome = never_started(&draft, End::never_started(error), report);
            if let Some(group) = &prepared.group {
                group.remove();
            }
            prepared.connections.close();
            outcome
        }
    }
}

fn prepare(owned: Owned, around: &Around) -> Result<Prepared, Failure> {
    let Owned {
        dir,
        lock,
        spec,
        draft: _,
        files,
    } = owned;
    let signals = signals().map_err(|source| Failure::system("receive signals", source))?;
    let connections = Connections::bind(&spec.socket).map_err(|source| {
        let path = spec.socket.display();
        Failure::Said(format!("cannot bind the control socket {path}: {source}"))
    })?;
    let queue = Queue::new().map_err(|source| Failure::system("make a queue", source))?;
    let queue = Arc::new(queue);
    writer::start(files, &queue)
        .map_err(|source| Failure::system("start the writing thread", source))?;
    let group = Group::make(&spec, &around.groups)?;
    let state = State {
        proto: PROTOCOL,
        shim_pid: around.pid,
        shim_start_ticks: around.start_ticks,
        agent_pid: None,
        agent_start_ticks: None,
        boot_id: around.boot_id.clone(),
        cgroup: group.as_ref().map(|group| group.path().to_owned()),
        unit: own_unit(&spec.uuid, around),
    };
    // Before the provider: whoever finds this must not start it a second time.
    state.store(&dir)?;
    steroids_failpoint::reach("shim.state-stored");
    Ok(Prepared {
        dir,
        lock,
        spec,
        signals,
        connections,
        queue,
        group,
        state,
    })
}

/// The unit this process is in, if it is the invocation's own.
fn own_unit(uuid: &str, around: &Around) -> Option<String> {
    let unit = unit::name(uuid);
    around.groups.of_unit(&unit).map(|_| unit)
}

/// From here on these are read, not delivered; the provider gets an empty mask again. USR1 and USR2 would end it,
/// and mean nothing.
fn signals() -> io::Result<SignalFd> {
    let mut set = SigSet::empty();
    for signal in [
        Signal::SIGCHLD,
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGHUP,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
    ] {
        set.add(signal);
    }
    set.thread_set_mask()?;
    let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
    Ok(SignalFd::with_flags(&set, flags)?)
}

fn keep(
    prepared: Prepared,
    provider: Provider,
    started: Moment,
    report: Report,
) -> Result<(), Failure> {
    steroids_failpoint::reach("shim.provider-started");
    let mut state = prepared.state.clone();
    state.agent_pid = Some(provider.pid);
    state.agent_start_ticks = start_ticks(provider.pid);
    prepared.queue.introduce(state);
    let dir = prepared.dir.clone();
    match Keeper::new(prepared, provider, started, report).run() {
        true => Ok(()),
        false => Err(Failure::Said(format!(
            "cannot record the end in {}",
            dir.path().display()
        ))),
    }
}

/// Puts on record that the provider never ran. That is an invocation in good hands, too.
fn never_started(draft: &Draft, end: End, report: Report) -> Result<(), Failure> {
    let record = ExitRecord {
        proto: PROTOCOL,
        end,
        ended_ms: Moment::now().wall_ms,
        spool_length: 0,
        rusage: None,
    };
    match draft.commit(&record) {
        Ok(()) => {
            report.taken();
            Ok(())
        }
        Err(error) => {
            let failure = Failure::from(error);
            report.refused(&failure);
            Err(failure)
        }
    }
}
