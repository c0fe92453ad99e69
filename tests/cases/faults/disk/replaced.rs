//! What an agent may do to its own log while it is followed. Nobody is shown anything but the log,
//! nothing foreign is read or written, nobody waits for ever, and the log comes back.

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use nix::sys::stat::Mode;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use steroids_proto::v1;
use steroids_tests::faults::held;
use steroids_tests::{Ctl, Daemon, Home, Puppet, Rpc, assert_undisturbed, eventually, log, rpc};
use tonic::Code;

/// What nobody may ever be shown.
const GARBAGE: &str = "GARBAGE";

/// An agent that prints, and somebody who follows it.
struct Scene {
    ctl: Ctl,
    rpc: Rpc,
    agent: Puppet,
    started: v1::Invocation,
    follower: steroids_tests::Followed,
    seen: Vec<v1::Event>,
    printed: u64,
}

impl Scene {
    async fn new(daemon: &Daemon) -> Scene {
        let ctl = daemon.project("app").await;
        let rpc = daemon.rpc().await;
        let agent = Puppet::new(daemon.home(), "agent");
        let started = rpc.start_fake(&ctl.project(), "T1", &agent.args()).await;
        let selector = rpc::invocation(&ctl.project(), started.id);
        let follower = rpc.follow(selector, "", true).await;
        let mut scene = Scene {
            ctl,
            rpc,
            agent,
            started,
            follower,
            seen: Vec::new(),
            printed: 0,
        };
        scene.print().await;
        scene
    }

    fn log(&self) -> PathBuf {
        self.ctl.log_path(self.started.id)
    }

    /// The agent prints some lines, and the follower gets the last of them.
    async fn print(&mut self) {
        let (from, to) = (self.printed + 1, self.printed + 20);
        self.printed = to;
        self.agent.counts(from..=to, 60, Duration::ZERO);
        self.seen
            .extend(self.follower.until(&format!("n {to:06}")).await);
    }

    /// The log is a file of ours again.
    async fn is_back(&self) {
        let path = self.log();
        eventually("the log to be back", async || {
            let found = fs::symlink_metadata(&path).ok()?;
            let plain = found.is_file()
                && found.nlink() == 1
                && found.uid() == rustix::process::geteuid().as_raw();
            let text = plain.then(|| fs::read_to_string(&path).ok())??;
            let line = format!("n {:06}", self.printed);
            (text.contains(&line) && !text.contains(GARBAGE)).then_some(())
        })
        .await;
    }

    /// A cursor of before is refused, or answered with a gap.
    async fn is_open_about(&self, cursor: &str) {
        let selector = rpc::invocation(&self.ctl.project(), self.started.id);
        let first = match self.rpc.try_follow(selector, cursor, true).await {
            Ok(mut followed) => followed.next().await,
            Err(status) => Err(status),
        };
        match first {
            Ok(Some(event)) => assert_eq!(event.r#type, "gap", "{event:?}"),
            Ok(None) => panic!("silence after {cursor}"),
            Err(status) => assert_eq!(status.code(), Code::OutOfRange),
        }
    }

    /// Ends it, and looks at all that was seen. Gives the number of gaps.
    async fn end(mut self) -> usize {
        self.agent.exits(7);
        let ended = self.rpc.ended(&self.ctl.project(), self.started.id).await;
        assert_eq!(ended.exit_code, Some(7));
        self.seen.extend(self.follower.rest().await.unwrap());
        assert_undisturbed(&self.ctl, &ended);
        let path = self.ctl.log_path(ended.id);
        log::assert_counts_to(&log::numbers(&log::lines(&path)), self.printed);
        let on_disk = fs::read(path).unwrap();
        let runs: Vec<&[v1::Event]> = self.seen.split(|event| event.r#type == "gap").collect();
        for run in &runs {
            // Each is the log from its start, as far as it went: no other byte, ever.
            assert!(on_disk.starts_with(&rpc::bytes(run)), "{run:#?}");
        }
        assert!(rpc::bytes(runs.last().unwrap()) == on_disk);
        runs.len() - 1
    }
}

/// Somebody else's file, and a look at whether it is as it was.
struct Foreign {
    path: PathBuf,
    before: (u64, i64, i64, u32),
}

impl Foreign {
    fn new(home: &Home) -> Foreign {
        let path = home.path("tmp/foreign");
        fs::write(
            &path,
            format!("{{\"ts\":1,\"type\":\"output\",\"msg\":\"{GARBAGE}\",\"raw\":1}}\n")
                .repeat(50),
        )
        .unwrap();
        if rustix::process::geteuid().is_root() {
            std::os::unix::fs::chown(&path, Some(65534), Some(65534)).unwrap();
        }
        let before = Foreign::look(&path);
        Foreign { path, before }
    }

    fn look(path: &Path) -> (u64, i64, i64, u32) {
        let found = fs::metadata(path).unwrap();
        (found.len(), found.mtime(), found.mtime_nsec(), found.mode())
    }

    fn assert_untouched(&self) {
        assert_eq!(Foreign::look(&self.path), self.before);
    }
}

/// The messages of all lifecycle events that tell of a log written anew.
async fn rebuilt(rpc: &Rpc, project: &str, count: usize) -> Vec<String> {
    let request = v1::WatchRequest {
        project: project.to_owned(),
        after: Some(0),
        pulse: None,
        since_ms: None,
    };
    let mut events = rpc.projects().watch(request).await.unwrap().into_inner();
    let mut told = Vec::new();
    steroids_tests::within("events of logs written anew", async {
        while told.len() < count {
            let answer = events.message().await.unwrap().unwrap();
            let events = answer.events.into_iter();
            let rebuilt = events.filter(|event| event.kind == "log_rebuilt");
            told.extend(rebuilt.map(|event| event.message));
        }
    })
    .await;
    told
}

#[tokio::test]
async fn a_log_that_is_deleted_cut_or_written_over_comes_back_and_nobody_sees_garbage() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let mut scene = Scene::new(&daemon).await;
    let path = scene.log();
    type Harm = fn(&Path);
    let harms: [(&str, Harm); 7] = [
        ("deleted", |path| fs::remove_file(path).unwrap()),
        // As `git clean -xdf` does.
        ("its folder deleted", |path| {
            fs::remove_dir_all(path.parent().unwrap()).unwrap()
        }),
        ("emptied", |path| cut(path, 0)),
        ("cut within a line", |path| {
            cut(path, fs::metadata(path).unwrap().len() / 2 + 3)
        }),
        ("written over", |path| {
            fs::write(path, GARBAGE.repeat(2_000)).unwrap()
        }),
        ("added to", |path| {
            let mut text = fs::read(path).unwrap();
            text.extend_from_slice(
                format!("{{\"ts\":1,\"type\":\"error\",\"error\":\"{GARBAGE}\",\"raw\":9}}\n")
                    .as_bytes(),
            );
            fs::write(path, text).unwrap();
        }),
        ("replaced", |path| {
            let other = path.with_extension("other");
            fs::write(&other, GARBAGE.repeat(50)).unwrap();
            fs::rename(other, path).unwrap();
        }),
    ];
    for (_, harm) in &harms {
        let cursor = scene.seen.last().unwrap().cursor.clone();
        harm(&path);
        scene.print().await;
        scene.is_back().await;
        scene.is_open_about(&cursor).await;
    }
    let told = rebuilt(&scene.rpc, &scene.ctl.project(), harms.len()).await;
    let gaps = scene.end().await;
    assert!(gaps >= 1, "a log that changed was told of");
    let harms = harms.map(|(what, _)| what).join(", ");
    let seen = format!("{harms}: {gaps} gaps, each run a part of the log; events: {told:?}");
    held(32, seen);
}

/// A line like ours, of a run that has ended.
#[tokio::test]
async fn an_end_that_an_agent_adds_to_its_own_log_ends_nobodys_stream() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let mut scene = Scene::new(&daemon).await;
    let forged = format!("{{\"ts\":1,\"type\":\"complete\",\"msg\":\"{GARBAGE}\",\"raw\":9}}\n");
    let mut log = fs::OpenOptions::new().append(true).open(scene.log());
    log.as_mut().unwrap().write_all(forged.as_bytes()).unwrap();
    let selector = rpc::invocation(&scene.ctl.project(), scene.started.id);
    let mut late = scene.rpc.follow(selector, "", true).await;
    let mut seen = late.until(&format!("n {:06}", scene.printed)).await;
    scene.print().await;
    seen.extend(late.until(&format!("n {:06}", scene.printed)).await);
    let shown = String::from_utf8(rpc::bytes(&seen)).unwrap();
    assert!(!shown.contains(GARBAGE), "{shown}");
    scene.is_back().await;
    let told = rebuilt(&scene.rpc, &scene.ctl.project(), 1).await;
    let gaps = scene.end().await;
    let seen = format!("an end of its own making shown to nobody, {gaps} gap; events: {told:?}");
    held(32, seen);
}

fn cut(path: &Path, len: u64) {
    fs::OpenOptions::new()
        .write(true)
        .open(path)
        .unwrap()
        .set_len(len)
        .unwrap();
}

#[tokio::test]
async fn what_an_agent_puts_in_its_logs_place_is_neither_read_nor_written() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let foreign = Foreign::new(&home);
    let mut scene = Scene::new(&daemon).await;
    let path = scene.log();
    let target = foreign.path.clone();
    for what in [
        "symlink",
        "hard link",
        "fifo",
        "socket",
        "folder",
        "folder symlink",
    ] {
        let folder = path.parent().unwrap();
        // Put there at one stroke: what is gone in between is seen as that.
        let put = |beside: &Path, there: &Path| {
            renameat_with(CWD, beside, CWD, there, RenameFlags::EXCHANGE).unwrap();
        };
        let beside = home.path("tmp/beside");
        match what {
            "folder symlink" => {
                let elsewhere = home.path("tmp/elsewhere");
                fs::create_dir(&elsewhere).unwrap();
                fs::hard_link(&target, elsewhere.join(path.file_name().unwrap())).unwrap();
                symlink(&elsewhere, &beside).unwrap();
                put(&beside, folder);
                // Nothing is made through it; it has to go for the log to come back.
                scene
                    .agent
                    .counts(scene.printed + 1..=scene.printed + 1, 60, Duration::ZERO);
                super::told(&daemon, &["left alone"]).await;
                assert_eq!(fs::read_dir(&elsewhere).unwrap().count(), 1);
                fs::remove_file(folder).unwrap();
                fs::remove_dir_all(&elsewhere).unwrap();
                scene.printed += 1;
            }
            _ => {
                match what {
                    "symlink" => symlink(&target, &beside).unwrap(),
                    "hard link" => fs::hard_link(&target, &beside).unwrap(),
                    "fifo" => nix::unistd::mkfifo(&beside, Mode::S_IRWXU).unwrap(),
                    "socket" => drop(std::os::unix::net::UnixListener::bind(&beside).unwrap()),
                    _ => fs::create_dir(&beside).unwrap(),
                }
                put(&beside, &path);
                fs::remove_file(&beside).unwrap();
            }
        }
        scene.print().await;
        scene.is_back().await;
        foreign.assert_untouched();
    }
    let told = rebuilt(&scene.rpc, &scene.ctl.project(), 6).await;
    for words in ["a symlink", "second name", "fifo", "stood a folder"] {
        assert!(
            told.iter().any(|told| told.contains(words)),
            "no `{words}` in {told:?}"
        );
    }
    scene.end().await;
    foreign.assert_untouched();
    super::well(&daemon).await;
    let seen =
        format!("six things in the log's place, the foreign file untouched; events: {told:?}");
    held(33, seen);
}

#[tokio::test]
async fn a_log_that_another_tool_finds_old_and_deletes_comes_back_while_it_runs() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let mut scene = Scene::new(&daemon).await;
    let ended = scene
        .rpc
        .start_fake(&scene.ctl.project(), "T2", &["exit", "0"])
        .await;
    scene.rpc.ended(&scene.ctl.project(), ended.id).await;
    // The older tool looks at the time of the last change alone: 7 days.
    let old = SystemTime::now() - Duration::from_secs(8 * 24 * 3600);
    for id in [scene.started.id, ended.id] {
        let path = scene.ctl.log_path(id);
        let file = fs::OpenOptions::new().append(true).open(&path).unwrap();
        file.set_times(fs::FileTimes::new().set_modified(old))
            .unwrap();
        assert!(
            fs::metadata(&path).unwrap().modified().unwrap()
                < SystemTime::now() - Duration::from_secs(7 * 24 * 3600)
        );
        fs::remove_file(&path).unwrap();
    }
    scene.print().await;
    scene.is_back().await;
    // Of what had ended a follower is told that there is no log.
    let selector = rpc::invocation(&scene.ctl.project(), ended.id);
    let events = scene
        .rpc
        .follow(selector, "", true)
        .await
        .rest()
        .await
        .unwrap();
    assert_eq!(log::types(&rpc::values(&events)), ["gap"]);
    let gaps = scene.end().await;
    let seen =
        format!("the running one's log was rebuilt ({gaps} gap), the ended one's is told as a gap");
    held(35, seen);
}
