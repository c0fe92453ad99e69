//! A project whose folders are swapped for symbolic links, and back, all the time.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use steroids_proto::v1;
use steroids_tests::faults::{held, share};
use steroids_tests::{Daemon, Home, eventually, patience, rpc};

#[tokio::test]
async fn swapping_the_steroids_folder_for_a_link_leads_to_no_file_outside() {
    let seen = swapped(".steroids", "").await;
    held(63, format!(".steroids: {seen}"));
}

#[tokio::test]
async fn swapping_the_folder_of_logs_for_a_link_leads_to_no_file_outside() {
    let seen = swapped(".steroids/invocations", "invocations").await;
    held(63, format!("invocations: {seen}"));
}

/// Starts invocations while `name` is a link to `inside` of another project half of the time.
async fn swapped(name: &str, inside: &str) -> String {
    let home = Home::with_config("[daemon]\nmax_running = 1000");
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    // What a link would lead to is just what is looked for: a project of the same user, closed.
    let bait = daemon.project("bait").await;
    rpc.start_fake(&bait.project(), "T1", &["exit", "0"]).await;
    rpc.ended(&bait.project(), 1).await;
    assert_eq!(daemon.term().await, 0);
    let bait = home.path("bait");
    fs::rename(home.path("home/bait"), &bait).unwrap();
    let before = content(&bait);
    assert!(before.len() > 4, "{before:?}");
    daemon.start_again().await;
    let rpc = daemon.rpc().await;
    ctl.run(["list"]).await.ok();

    let link = ctl.folder().join("link");
    symlink(bait.join(".steroids").join(inside), &link).unwrap();
    let swapping = Swapping::begin(ctl.folder().join(name), link);
    let count = share(30, 200);
    let (mut started, mut refused) = (Vec::new(), 0);
    let deadline = Instant::now() + patience() * 4;
    // Until one has gone well at least: were all refused, nothing would be tried.
    while started.is_empty() || started.len() + refused < count || swapping.swaps() < count {
        let swaps = swapping.swaps();
        let so_far = format!(
            "{} started, {refused} refused, {swaps} swaps",
            started.len()
        );
        assert!(Instant::now() < deadline, "{so_far}");
        // A task for each: none is started twice while its agent runs.
        let task = format!("T{}", started.len() + refused);
        let request = rpc::command(&ctl.project(), &task, rpc::argv(&["exit", "0"]));
        match rpc.start(request).await {
            Ok(invocation) => started.push(invocation.id),
            Err(_) => refused += 1,
        }
    }
    let swaps = swapping.end();
    assert_eq!(content(&bait), before, "something outside was touched");

    // All that was started has ended once there is quiet, and the project serves as before.
    for id in &started {
        rpc.ended(&ctl.project(), *id).await;
    }
    eventually("no row that runs", async || {
        let request = v1::ListRequest {
            project: ctl.project(),
            states: vec![v1::State::Running.into()],
            ..Default::default()
        };
        let listed = rpc.invocations().list(request).await.ok()?.into_inner();
        listed.invocations.is_empty().then_some(())
    })
    .await;
    let last = rpc.start_fake(&ctl.project(), "last", &["exit", "0"]).await;
    rpc.ended(&ctl.project(), last.id).await;
    assert_eq!(content(&bait), before, "something outside was touched");
    let started = started.len();
    format!(
        "{swaps} swaps, {started} started and ended, {refused} refused, nothing outside touched"
    )
}

/// Swaps two names again and again, and leaves them as they were.
struct Swapping {
    stop: Arc<AtomicBool>,
    swaps: Arc<AtomicUsize>,
    thread: std::thread::JoinHandle<()>,
}

impl Swapping {
    fn begin(one: PathBuf, other: PathBuf) -> Swapping {
        let stop = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&stop);
        let swaps = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&swaps);
        let thread = std::thread::spawn(move || {
            while !told.load(Ordering::Relaxed) || counted.load(Ordering::Relaxed) % 2 == 1 {
                renameat_with(CWD, &one, CWD, &other, RenameFlags::EXCHANGE).unwrap();
                counted.fetch_add(1, Ordering::Relaxed);
                // Long enough for some of what is done by name to fall between two swaps, and now and
                // then for all of it.
                let most = if rand::random_bool(0.1) {
                    400_000
                } else {
                    20_000
                };
                let pause = rand::random_range(0..most);
                std::thread::sleep(Duration::from_micros(pause));
            }
        });
        Swapping {
            stop,
            swaps,
            thread,
        }
    }

    /// How often they were swapped.
    fn swaps(&self) -> usize {
        self.swaps.load(Ordering::Relaxed)
    }

    fn end(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        self.swaps.load(Ordering::Relaxed)
    }
}

/// Every file and folder below, with what is in it.
fn content(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let is_folder = path.is_dir();
            let bytes = if is_folder {
                Vec::new()
            } else {
                fs::read(&path).unwrap()
            };
            if is_folder {
                folders.push(path.clone());
            }
            found.insert(path, bytes);
        }
    }
    found
}
