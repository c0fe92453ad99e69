//! The state folder's disk is full as something is to be started: that is refused, whenever it shows, and what
//! never ran has used up no request.

use serde_json::Value;
use steroids_tests::faults::held;
use steroids_tests::{Ctl, Daemon, FailPoints, Home, SmallDisk};

const SMALL: &str = "[daemon]\nmin_free = \"\"";

const START: [&str; 8] = [
    "start",
    "--task",
    "T1",
    "--request-id",
    "rid1",
    "--follow",
    "--",
    "true",
];

/// The outcomes of all there are, newest first.
async fn outcomes(ctl: &Ctl) -> Vec<Value> {
    let listed = ctl.run(["--json", "list"]).await.json();
    let rows = listed["invocations"].as_array().unwrap();
    rows.iter().map(|row| row["outcome"].clone()).collect()
}

#[tokio::test]
async fn a_full_disk_of_the_state_folder_refuses_starts_and_nothing_is_left() {
    let home = Home::with_config(SMALL);
    let Some(disk) = SmallDisk::mount(&home, "state/steroids", "8m") else {
        return held(142, "not shown: needs root");
    };
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    disk.fill();
    for _ in 0..3 {
        let refused = ctl.run(START).await.exits(75);
        refused.says("No space left").says("free some space");
    }
    assert!(outcomes(&ctl).await.is_empty());
    disk.free();
    ctl.run(START).await.exits(0);
    assert_eq!(outcomes(&ctl).await, ["success"]);
    held(
        142,
        "state folder: starts end with 75 and have no row; then the same request starts",
    );
}

/// There was room when it was looked for.
#[tokio::test]
async fn what_a_disk_that_fills_up_keeps_from_running_is_started_by_the_same_request() {
    const NO_ROOM: i32 = 28;
    for point in ["start.settle", "state.store"] {
        let home = Home::new();
        let daemon = Daemon::start(&home).await;
        let ctl = daemon.project("app").await;
        let points = FailPoints::of(&home);
        points.set(&[&format!("{point} errno {NO_ROOM}")]);
        for _ in 0..2 {
            let refused = ctl.run(START).await.exits(75);
            refused.says("No space left").says("free some space");
        }
        let never = "never_started";
        assert_eq!(outcomes(&ctl).await, [never, never], "{point}");
        points.clear();
        ctl.run(START).await.exits(0);
        // From then on it is that one's.
        ctl.run(START).await.exits(0).says("before");
        assert_eq!(outcomes(&ctl).await, ["success", never, never], "{point}");
    }
    held(
        142,
        "filled up as it began: 75, and the same request starts it once there is room",
    );
}

/// Who sends it again is told of the attempt that is made by itself, and has no second one.
#[tokio::test]
async fn what_is_tried_again_by_itself_keeps_its_request() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let points = FailPoints::of(&home);
    points.set(&["state.store errno 28"]);
    let retried = [&["start", "--retry", "never_started"], &START[1..]].concat();
    ctl.run(retried.clone()).await.exits(75);
    points.clear();
    let again: Vec<_> = retried.into_iter().filter(|it| *it != "--follow").collect();
    ctl.run(again).await.says("before");
    let listed = ctl.run(["--json", "list"]).await.json();
    let rows = listed["invocations"].as_array().unwrap();
    let attempts: Vec<_> = rows.iter().map(|row| &row["attempt"]).collect();
    assert_eq!(attempts, [2, 1], "{rows:#?}");
    held(
        142,
        "tried again by itself: the same request starts no other",
    );
}
