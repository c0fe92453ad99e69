//! Hints from pokes, from files, and from nowhere.

use std::fs;
use std::time::Duration;

use super::*;

/// Long enough that a test only ever waits so long when it fails.
const PATIENCE: Duration = Duration::from_secs(30);

fn hints() -> Hints {
    let (hints, watcher) = Hints::new();
    tokio::spawn(watcher.run());
    hints
}

/// Waits for a hint; false if none comes.
async fn came(hint: &mut Hint) -> bool {
    tokio::time::timeout(PATIENCE, hint.changed()).await.is_ok()
}

#[tokio::test]
async fn pokes_before_the_waiter_looks_are_one_hint() {
    let hints = hints();
    let path = Path::new("/x/1.log");
    let mut hint = hints.local(path);
    assert!(!hint.take());
    hints.poke(path);
    hints.poke(path);
    hints.poke(Path::new("/x/2.log"));
    hint.changed().await;
    assert!(!hint.take());
    hints.poke_all();
    assert!(hint.take() && !hint.take());
    assert!(!hint.is_watched());
}

#[tokio::test]
async fn every_waiter_of_a_path_is_hinted_and_nothing_is_left_of_it() {
    let hints = hints();
    let path = Path::new("/x/1.log");
    let (mut one, mut two) = (hints.local(path), hints.local(path));
    hints.poke(path);
    assert!(one.take() && two.take());
    drop(one);
    hints.poke(path);
    assert!(two.take());
    drop(two);
    let entries = hints.shared.entries();
    assert!(entries.all.is_empty() && entries.names.is_empty());
}

#[tokio::test]
async fn a_file_hints_when_it_is_made_written_replaced_and_removed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("1.log");
    let hints = hints();
    let mut hint = hints.file(&path);
    let mut folder = hints.folder(dir.path());
    assert!(hint.is_watched());
    let steps: [&dyn Fn(); 4] = [
        &|| fs::write(&path, "a").unwrap(),
        &|| fs::write(&path, "ab").unwrap(),
        &|| {
            fs::write(dir.path().join("new"), "b").unwrap();
            fs::rename(dir.path().join("new"), &path).unwrap();
        },
        &|| fs::remove_file(&path).unwrap(),
    ];
    for step in steps {
        step();
        assert!(came(&mut hint).await);
        assert!(came(&mut folder).await);
    }
}

#[tokio::test]
async fn a_name_hints_when_its_file_is_another_and_not_when_it_is_written() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("1.log");
    let hints = hints();
    let mut name = hints.name(&path);
    // Of both kinds in one folder each gets its own.
    let mut file = hints.file(&dir.path().join("2.log"));
    assert!(name.is_watched());
    let steps: [&dyn Fn(); 4] = [
        &|| fs::write(&path, "a").unwrap(),
        &|| {
            fs::write(dir.path().join("new"), "b").unwrap();
            fs::rename(dir.path().join("new"), &path).unwrap();
        },
        &|| fs::rename(&path, dir.path().join("old")).unwrap(),
        &|| fs::write(&path, "c").unwrap(),
    ];
    for step in steps {
        step();
        assert!(came(&mut name).await);
    }
    fs::write(&path, "cd").unwrap();
    hints.poke(&path);
    // What comes after it tells that it has been seen.
    fs::write(dir.path().join("2.log"), "a").unwrap();
    assert!(came(&mut file).await);
    assert!(!name.take());
    let mut other = hints.name(&path);
    other.doubt();
    assert!(name.take() && !other.take());
}

#[tokio::test]
async fn a_folder_that_is_moved_away_hints_to_all_below_it() {
    let dir = tempfile::tempdir().unwrap();
    let above = dir.path().join(".steroids");
    let folder = above.join("invocations");
    fs::create_dir_all(&folder).unwrap();
    let hints = hints();
    let _above = hints.folder(&above);
    let mut name = hints.name(&folder.join("1.log"));
    fs::rename(&folder, above.join("elsewhere")).unwrap();
    assert!(came(&mut name).await);
    fs::create_dir(&folder).unwrap();
    assert!(came(&mut name).await);
    name.rearm();
    fs::rename(&above, dir.path().join("away")).unwrap();
    assert!(came(&mut name).await);
}

#[tokio::test]
async fn a_folder_that_went_is_watched_again_once_it_is_back() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join("invocations");
    let path = folder.join("1.log");
    let hints = hints();
    let mut hint = hints.file(&path);
    assert!(!hint.is_watched(), "not there yet");
    fs::create_dir(&folder).unwrap();
    hint.rearm();
    assert!(hint.is_watched());

    fs::remove_dir(&folder).unwrap();
    assert!(came(&mut hint).await, "its end is a hint");
    assert!(!hint.is_watched());
    fs::create_dir(&folder).unwrap();
    hint.rearm();
    fs::write(&path, "a").unwrap();
    assert!(came(&mut hint).await);
}

#[tokio::test]
async fn a_deleted_folder_that_somebody_has_open_is_watched_again_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let folder = dir.path().join(".steroids");
    fs::create_dir(&folder).unwrap();
    let hints = hints();
    let mut hint = hints.folder(&folder);
    // Its end is told only once this is closed.
    let _open = fs::File::open(&folder).unwrap();
    fs::remove_dir(&folder).unwrap();
    fs::create_dir(&folder).unwrap();
    hint.verify();
    hint.take();
    fs::write(folder.join("steroids.db"), "a").unwrap();
    assert!(came(&mut hint).await);
    fs::remove_dir_all(&folder).unwrap();
    hint.verify();
    assert!(!hint.is_watched());
}

#[tokio::test]
async fn a_folder_that_is_moved_is_told_of_and_nothing_that_happens_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("app");
    let below = root.join(".steroids");
    fs::create_dir_all(&below).unwrap();
    let hints = hints();
    let mut itself = hints.itself(&root);
    let mut database = hints.folder(&below);
    fs::write(root.join("main.rs"), "a").unwrap();
    fs::write(below.join("steroids.db"), "a").unwrap();
    assert!(came(&mut database).await);
    assert!(!itself.take());
    database.take();
    fs::rename(&root, dir.path().join("away")).unwrap();
    assert!(came(&mut itself).await);
    assert!(came(&mut database).await && !database.is_watched());
}

#[tokio::test]
async fn once_events_are_read_no_more_nothing_counts_as_watched() {
    let dir = tempfile::tempdir().unwrap();
    let (hints, _watcher) = Hints::new();
    let mut hint = hints.file(&dir.path().join("1.log"));
    assert!(hint.is_watched());
    hints.shared.folders.give_up();
    hint.rearm();
    assert!(!hint.is_watched() && !hint.take());
}

#[tokio::test]
async fn a_watch_is_shared_by_a_folders_files_and_freed_with_the_last() {
    let dir = tempfile::tempdir().unwrap();
    let hints = hints();
    let one = hints.file(&dir.path().join("1.log"));
    let two = hints.file(&dir.path().join("2.log"));
    drop(one);
    assert!(two.is_watched());
    drop(two);
    let mut again = hints.file(&dir.path().join("3.log"));
    assert!(again.is_watched());
    fs::write(dir.path().join("3.log"), "a").unwrap();
    assert!(came(&mut again).await);
}

#[tokio::test]
async fn after_the_queue_overflowed_everybody_is_hinted() {
    let dir = tempfile::tempdir().unwrap();
    let (hints, watcher) = Hints::new();
    let mut late = hints.file(&dir.path().join("late"));
    let mut elsewhere = hints.local(Path::new("/elsewhere"));
    // Nobody reads the queue meanwhile; two files in turn, or equal events become one.
    let queue: usize = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events")
        .map_or(16_384, |text| text.trim().parse().unwrap());
    let [mut a, mut b] = ["a", "b"].map(|name| fs::File::create(dir.path().join(name)).unwrap());
    for _ in 0..=queue / 2 {
        std::io::Write::write_all(&mut a, b"x").unwrap();
        std::io::Write::write_all(&mut b, b"x").unwrap();
    }
    fs::write(dir.path().join("late"), "lost").unwrap();
    assert!(!late.take());
    tokio::spawn(watcher.run());
    assert!(came(&mut late).await);
    assert!(came(&mut elsewhere).await);
    // Where it was another folder may stand now, and nothing would tell.
    assert!(!late.is_watched());
    late.rearm();
    late.take();
    fs::write(dir.path().join("late"), "not lost").unwrap();
    assert!(came(&mut late).await);
}
