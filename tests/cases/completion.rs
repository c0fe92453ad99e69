//! Tab, in a bash at a real terminal, with what is offered asked of a running daemon.

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use steroids_tests::{Ctl, Daemon, Home, Puppet, binaries, within};

/// A bash that a person sits at; `script` lends it the terminal.
struct Bash {
    keys: ChildStdin,
    screen: ChildStdout,
    shown: String,
    _process: Child,
}

impl Bash {
    /// One that knows our completions, with its prompt shown.
    async fn open(home: &Arc<Home>, folder: &Path) -> Bash {
        let built = binaries::steroidsctl();
        let mut command = Command::from(home.command(Path::new("script")));
        command.args([
            "--quiet",
            "--command",
            "bash --norc --noprofile -i",
            "/dev/null",
        ]);
        let mut path = built.parent().unwrap().as_os_str().to_owned();
        path.push(":/usr/bin:/bin");
        std::fs::write(home.path("inputrc"), "set enable-bracketed-paste off\n").unwrap();
        command
            .env("PATH", path)
            .env("INPUTRC", home.path("inputrc"))
            .env("TERM", "dumb")
            .env("PS1", "ready> ")
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true);
        let mut process = command.spawn().unwrap();
        let mut bash = Bash {
            keys: process.stdin.take().unwrap(),
            screen: process.stdout.take().unwrap(),
            shown: String::new(),
            _process: process,
        };
        bash.until("ready> ").await;
        bash.types("eval \"$(steroidsctl completions bash)\"; echo loa''ded\n")
            .await;
        bash.until("loaded\r\nready> ").await;
        bash
    }

    async fn types(&mut self, keys: &str) {
        let typed = self.keys.write_all(keys.as_bytes());
        within("a shell that reads", typed).await.unwrap();
    }

    /// Waits until this has appeared, since the last that was waited for.
    async fn until(&mut self, what: &str) {
        let mut piece = [0; 4096];
        loop {
            if let Some(at) = self.shown.find(what) {
                self.shown.drain(..at + what.len());
                return;
            }
            let read = within(what, self.screen.read(&mut piece)).await.unwrap();
            assert!(read > 0, "the shell has ended: {:?}", self.shown);
            self.shown
                .push_str(&String::from_utf8_lossy(&piece[..read]));
        }
    }
}

#[tokio::test]
async fn tab_completes_ids_and_names_of_a_running_daemon() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    ctl.start_fake("over", &["exit", "0"]).await;
    ctl.run(["stream", "1"]).await.ok();
    let mut agent = Puppet::new(&home, "agent");
    let id = ctl.start_fake("parser-fix", &agent.args()).await;
    agent.prints("hello");
    let mut bash = Bash::open(&home, ctl.folder()).await;

    // Of the two only one can be stopped.
    bash.types("steroidsctl stop \t").await;
    bash.until(&format!("steroidsctl stop {id} ")).await;
    bash.types("\u{15}steroidsctl list --task par\t").await;
    bash.until("steroidsctl list --task parser-fix ").await;
    bash.types("\u{15}steroidsctl timel\t").await;
    bash.until("steroidsctl timeline ").await;
    // Both, which differ in their first digit: a second Tab lists them, the newest first.
    bash.types("\u{15}steroidsctl show \t\t").await;
    bash.until("2  1").await;

    let words = offered(&ctl, &["--project", ""]).await;
    let project = ctl.project();
    assert!(words.contains(&project), "{words:?}");
    let words = offered(&ctl, &["projects", "forget", ""]).await;
    assert!(words == [&*project], "{words:?}");
    // Elsewhere, with the project named in the line.
    let away = Ctl::new(&home, &home.path("home"));
    let words = offered(&away, &["--project", &project, "show", ""]).await;
    assert!(
        words.starts_with(&["2".to_owned(), "1".to_owned()]),
        "{words:?}"
    );
    let words = offered(&away, &["show", ""]).await;
    assert!(!words.contains(&"1".to_owned()), "{words:?}");
}

#[tokio::test]
async fn tab_starts_no_daemon_and_says_nothing_where_there_is_none() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    ctl.start_fake("T1", &["exit", "0"]).await;
    daemon.term().await;
    // As systemd holds it: whoever connects starts a daemon.
    std::fs::create_dir_all(home.socket().parent().unwrap()).unwrap();
    let _ = std::fs::remove_file(home.socket());
    let listening = UnixListener::bind(home.socket()).unwrap();
    listening.set_nonblocking(true).unwrap();
    let words = offered(&ctl, &["show", ""]).await;
    assert!(!words.contains(&"1".to_owned()), "{words:?}");
    let nobody = listening.accept().unwrap_err();
    assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test]
async fn what_runs_is_offered_also_where_more_waits_than_is_asked_for() {
    let home = Home::with_config("[daemon]\nmax_running = 1\n");
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let (rpc, project) = (daemon.rpc().await, ctl.project());
    assert_eq!(ctl.start_fake("runs", &["stall"]).await, 1);
    let mut newest = 0;
    for n in 0..201 {
        let task = format!("waits-{n}");
        newest = rpc.start_fake(&project, &task, &["stall"]).await.id;
    }
    let words = offered(&ctl, &["stop", ""]).await;
    for id in [1, newest] {
        assert!(words.contains(&id.to_string()), "{id}: {words:?}");
    }
    ctl.run(["stop", "--all"]).await.exits(0);
}

/// What bash would be given for the last of these words.
async fn offered(ctl: &Ctl, words: &[&str]) -> Vec<String> {
    let asking = ctl
        .with_env("STEROIDSCTL_COMPLETE", "bash")
        .with_env("_CLAP_IFS", "\n")
        .with_env("_CLAP_COMPLETE_INDEX", &words.len().to_string());
    let call = ["--", "steroidsctl"].iter().chain(words);
    let output = asking.run(call).await;
    assert_eq!(output.stderr, "");
    output.ok().lines().map(str::to_owned).collect()
}
