//! A start while somebody else is at work: the older tool's runner, or an agent of ours that no row
//! tells of.

use std::process::{Child, Command};

use steroids_tests::faults::held;
use steroids_tests::{Ctl, Daemon, Home, Puppet, old_database};

use super::foreign;

const START: [&str; 5] = ["start", "--task", "T1", "--", "true"];

/// Starts one that ends at once, and waits until it has.
async fn runs(daemon: &Daemon, ctl: &Ctl) {
    let call = ["--json", "start", "--task", "T1", "--", "true"];
    let started = ctl.run(call).await.json();
    let id = started["id"].as_i64().unwrap();
    daemon.rpc().await.ended(&ctl.project(), id).await;
}

/// A process that stands for a runner; ended when dropped.
struct Runner(Child);

impl Runner {
    fn new() -> Runner {
        Runner(Command::new("sleep").arg("300").spawn().unwrap())
    }

    fn pid(&self) -> u32 {
        self.0.id()
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        // It may have been ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn a_start_is_refused_while_the_older_tool_is_at_work_there() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let other = daemon.project("other").await;
    let global = old_database::global(&home);
    runs(&daemon, &ctl).await;

    let runner = Runner::new();
    let project = ctl.project();
    old_database::insert_runner(&global, "r-1", runner.pid(), Some(&project), "x", 30);
    let refused = ctl.run(START).await.exits(4);
    let (refused, named) = (refused.says("r-1"), format!("pid {}", runner.pid()));
    refused.says(&named);
    // Elsewhere it is not at work.
    runs(&daemon, &other).await;
    // By its task, where it does not say which project.
    global
        .execute(
            "UPDATE runners SET project_path = NULL, current_task_id = 'T1'",
            [],
        )
        .unwrap();
    ctl.run(START).await.exits(4).says("r-1");
    global
        .execute("UPDATE runners SET status = 'idle'", [])
        .unwrap();
    runs(&daemon, &ctl).await;
    global
        .execute("UPDATE runners SET status = 'running'", [])
        .unwrap();
    ctl.run(START).await.exits(4);
    drop(runner);
    runs(&daemon, &ctl).await;

    // A pid given again since, our own, and a file that is no database: nobody is at work.
    let late = Runner::new();
    old_database::insert_runner(&global, "r-2", late.pid(), Some(&project), "x", 86_400);
    let own = daemon.pid().cast_unsigned();
    old_database::insert_runner(&global, "r-3", own, Some(&project), "x", 0);
    runs(&daemon, &ctl).await;
    drop(global);
    std::fs::write(home.path("home/.steroids/steroids.db"), "no database").unwrap();
    runs(&daemon, &ctl).await;
    let seen = "refused with exit 4 by project and by task, naming runner and pid; not for an idle one, a \
     dead one, a pid given again, ours, or a file that is no database";
    held(161, seen);
}

#[tokio::test]
async fn a_task_whose_agent_lives_is_not_started_again_whatever_the_rows_say() {
    let home = Home::new();
    let mut daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let agent = Puppet::new(&home, "agent");
    let rpc = daemon.rpc().await;
    let started = rpc.start_fake(&ctl.project(), "T1", &agent.args()).await;
    let named = format!("invocation {} of task `T1` is still running", started.id);
    ctl.run(START).await.exits(4).says(&named);
    // Another task is another matter.
    ctl.run(["start", "--task", "T2", "--", "true"]).await.ok();

    // No row tells of it any more, and no job either: a daemon takes what has ended for over.
    assert_eq!(daemon.term().await, 0);
    let db = foreign(&ctl);
    let ended = "UPDATE steroidsd_invocations SET state = 'ended', outcome = 'failed'
                 WHERE invocation_id = ?1";
    assert_eq!(db.execute(ended, [started.id]).unwrap(), 1);
    assert!(old_database::sanitise(&db, started.id));
    drop(db);
    daemon.start_again().await;
    ctl.run(START).await.exits(4).says(&named);
    drop(agent);
    home.recorded(&started.uuid).await;
    runs(&daemon, &ctl).await;
    let seen = "refused with exit 4, naming the invocation: while it runs, and after both rows were set \
     to ended; started once the agent had gone";
    held(162, seen);
}
