//! Builds the rooms bottom up, listens, and ends in order: no new connections, streams are told to
//! end so that browsers come back, requests under way are finished, and then it leaves. Each step
//! has a deadline.

use std::io::{self, IsTerminal as _};
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

use crate::access::{Access, TokenLock};
use crate::config::{Auth, Config};
use crate::daemon::Daemon;
use crate::front::Front;
use crate::guard::Settings;
use crate::listen::{Listener, allow_descriptors};
use crate::metrics::Metrics;
use crate::stream::Streams;
use crate::{Rooms, api, page, stream};

/// For requests under way and the last words of streams.
const DRAIN: Duration = Duration::from_secs(5);

/// What the kernel keeps for a client that does not read, in bytes: about what is read at a time. Left to
/// itself it takes some megabytes for each. Clients are on this machine, so no more is ever on its way.
const UNREAD: u32 = 256 * 1024;

/// Connections that wait to be accepted, as the standard library has it where there may be many.
const BACKLOG: u32 = 1024;

/// A file that another gateway is still writing is no older.
const DRAFT: Duration = Duration::from_secs(60);

/// Runs until SIGTERM or SIGINT, or until its terminal hangs up. SIGHUP changes nothing otherwise, nor do SIGUSR1
/// and SIGUSR2, which some tools send to have a log opened anew.
///
/// # Errors
/// What keeps it from starting: a taken port, an unsafe token file.
pub async fn until_signal(config: Config) -> anyhow::Result<()> {
    let mut term = signal(SignalKind::terminate())?;
    let mut int = signal(SignalKind::interrupt())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut usr1 = signal(SignalKind::user_defined1())?;
    let mut usr2 = signal(SignalKind::user_defined2())?;
    let had_terminal = std::io::stdin().is_terminal();
    let stop = CancellationToken::new();
    let running = until(config, stop.clone());
    tokio::pin!(running);
    loop {
        tokio::select! {
            ended = &mut running => return ended,
            _ = term.recv() => break,
            _ = int.recv() => break,
            Some(()) = hangup.recv() => {}
            Some(()) = usr1.recv() => {
                info!("SIGUSR1 means nothing to it");
                continue;
            }
            Some(()) = usr2.recv() => {
                info!("SIGUSR2 means nothing to it");
                continue;
            }
        }
        if had_terminal && !std::io::stdin().is_terminal() {
            warn!("its terminal has gone");
            break;
        }
        info!("told to read its configuration anew, which takes a restart of the gateway");
    }
    info!("stopping");
    stop.cancel();
    running.await
}

/// The exit code for an error of [`until_signal`]: 4 refused; 1 for a full disk, with which it may start
/// later without anybody's doing.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    let is_full = |io: &io::Error| {
        matches!(
            io.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    };
    let mut causes = error
        .chain()
        .filter_map(|it| it.downcast_ref::<io::Error>());
    if causes.any(is_full) { 1 } else { 4 }
}

/// Runs until told to stop.
///
/// # Errors
/// As [`until_signal`].
pub async fn until(config: Config, stop: CancellationToken) -> anyhow::Result<()> {
    let folder = config.state_dir.join("gateway");
    let (access, lock) = open_access(&folder, config.auth).await?;
    let socket = bind(config.listen).await?;
    let address = socket.local_addr()?;
    allow_descriptors(config.max_connections());
    let metrics = Metrics::new();
    let tasks = TaskTracker::new();
    let front = Front {
        settings: Arc::new(Settings::new(
            address,
            &config.allowed_hosts,
            config.auth,
            config.control,
        )),
        access: access.clone(),
        metrics: metrics.clone(),
        router: router(&config, access, &metrics, &tasks, stop.clone()),
    };
    let listener = Listener {
        socket,
        most: config.max_connections(),
        tasks: tasks.clone(),
        stop: stop.clone(),
        metrics,
    };
    let announced = announce(&folder, config.auth, address);
    say_hello(&config, address);
    listener
        .run(move |request| front.clone().answer(request))
        .await;
    // Nobody comes in any more: the next gateway may.
    drop((announced, lock));
    tasks.close();
    if tokio::time::timeout(DRAIN, tasks.wait()).await.is_err() {
        warn!(connections = tasks.len(), "connections are cut");
    }
    Ok(())
}

async fn open_access(folder: &Path, auth: Auth) -> anyhow::Result<(Access, Option<TokenLock>)> {
    let folder = folder.to_owned();
    let opening = tokio::task::spawn_blocking(move || match auth {
        Auth::Token => Access::open(&folder).map(|(access, lock)| (access, Some(lock))),
        Auth::None => Access::without_token(&folder).map(|access| (access, None)),
    });
    Ok(opening.await??)
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    listen_at(address).with_context(|| {
        format!("cannot listen on {address}; end what listens there, or choose another with --listen 127.0.0.1:PORT")
    })
}

fn listen_at(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    socket.set_reuseaddr(true)?;
    // Those accepted have it from this one.
    socket.set_send_buffer_size(UNREAD)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

fn router(
    config: &Config,
    access: Access,
    metrics: &Metrics,
    tasks: &TaskTracker,
    stop: CancellationToken,
) -> axum::Router {
    let socket = config.socket.clone();
    let daemon = match config.is_usual {
        true => Daemon::usual(socket),
        false => Daemon::new(socket),
    };
    let most = config.max_streams;
    let streams = Streams::new(daemon.clone(), metrics.clone(), most, tasks, stop);
    let rooms = Rooms {
        config: Arc::new(config.clone()),
        daemon,
        metrics: metrics.clone(),
        streams,
        access,
        stories: api::Stories::default(),
    };
    api::routes()
        .merge(stream::routes())
        .merge(page::routes())
        .with_state(rooms)
}

fn say_hello(config: &Config, address: SocketAddr) {
    let url = format!("http://{address}");
    info!(
        url,
        auth = config.auth.as_str(),
        control = config.control,
        "gateway listening"
    );
    if config.auth == Auth::None {
        warn!("no token is asked for: every program and user of this machine reads what agents do");
    }
}

/// On a full disk it serves all the same; who knows the address finds it.
fn announce(folder: &Path, auth: Auth, address: SocketAddr) -> Option<Announced> {
    let announced = Announced::write(folder, auth, address);
    let warned = |error: &io::Error| {
        warn!(
            folder = %folder.display(),
            %error,
            "where it listens cannot be written down: steroidsctl web does not find it; make room or put the folder right, and restart the gateway"
        );
    };
    announced.inspect_err(warned).ok()
}

/// Where we listen, in a file for `steroidsctl web`; removed when dropped, if it is still ours. One
/// without a token has a file of its own, as it may stand beside the one with the token.
struct Announced {
    path: PathBuf,
    text: String,
}

impl Announced {
    fn write(folder: &Path, auth: Auth, address: SocketAddr) -> io::Result<Announced> {
        let name = match auth {
            Auth::Token => "address",
            Auth::None => "address.open",
        };
        let announced = Announced {
            path: folder.join(name),
            text: format!("http://{address}\n"),
        };
        forget_drafts(folder);
        // Of its own: another gateway may be starting at this moment.
        let fresh = folder.join(format!(".address.{:016x}", rand::random::<u64>()));
        let written =
            create(&fresh, &announced.text).and_then(|()| std::fs::rename(&fresh, &announced.path));
        if written.is_err() {
            // It was renamed, or never was; either way there is nothing to keep.
            let _ = std::fs::remove_file(&fresh);
        }
        written.map(|()| announced)
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        let is_ours = std::fs::read_to_string(&self.path).is_ok_and(|text| text == self.text);
        if is_ours {
            // Left behind, it names a port where nobody answers, and that is said then.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Removes what gateways left behind that were killed as they wrote.
fn forget_drafts(folder: &Path) {
    // What cannot be seen or removed now is in nobody's way; the next one tries again.
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_draft = entry.file_name().as_bytes().starts_with(b".address.");
        let written = entry.metadata().and_then(|it| it.modified()).ok();
        let age = written.and_then(|at| at.elapsed().ok());
        if is_draft && age.is_some_and(|age| age > DRAFT) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

fn create(path: &Path, text: &str) -> io::Result<()> {
    let mut file = std::fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    io::Write::write_all(&mut file, text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateways_that_start_at_once_all_say_where_they_are_and_leave_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let announce = |port: u16| {
            let address = SocketAddr::from(([127, 0, 0, 1], port));
            for _ in 0..200 {
                let written = Announced::write(folder.path(), Auth::Token, address);
                std::mem::forget(written.unwrap());
            }
        };
        std::thread::scope(|scope| {
            (1..5).for_each(|port| drop(scope.spawn(move || announce(port))));
        });
        assert_eq!(names(folder.path()), ["address"]);
    }

    #[test]
    fn what_a_killed_gateway_was_writing_is_removed_once_nobody_can_be_at_it() {
        let folder = tempfile::tempdir().unwrap();
        let at = std::time::SystemTime::now() - DRAFT * 2;
        for (name, is_old) in [(".address.1", true), (".address.2", false), ("token", true)] {
            let file = std::fs::File::create(folder.path().join(name)).unwrap();
            if is_old {
                file.set_modified(at).unwrap();
            }
        }
        let address = SocketAddr::from(([127, 0, 0, 1], 1));
        drop(Announced::write(folder.path(), Auth::Token, address).unwrap());
        assert_eq!(names(folder.path()), [".address.2", "token"]);
    }

    fn names(folder: &Path) -> Vec<std::ffi::OsString> {
        let found = std::fs::read_dir(folder).unwrap();
        let mut names: Vec<_> = found.map(|it| it.unwrap().file_name()).collect();
        names.sort_unstable();
        names
    }
}
