//! Starts a command as an invocation, prints what it does while it does it, and tells how it ended.
//!
//! ```sh
//! cargo run -p steroids-client --example run_and_follow -- /home/me/app T1 make test
//! ```

use std::error::Error;
use std::io::Write;
use std::path::Path;

use steroids_client::v1::follow_request::Selector;
use steroids_client::{Item, connect, paths, v1};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut words = std::env::args().skip(1);
    let (Some(project), Some(task_id)) = (words.next(), words.next()) else {
        return Err("usage: run_and_follow PROJECT TASK COMMAND [ARGUMENT…]".into());
    };

    // Where steroidsctl would look: flags, environment, configuration, defaults.
    let socket = paths::resolve(None, None)?.socket;
    let client = connect(&socket).await?;

    // Makes the folder a project and registers it, or does nothing where it is one.
    let register = v1::RegisterRequest {
        path: project.clone(),
        init: true,
    };
    client.register(register).await?;

    let start = v1::StartRequest {
        project: project.clone(),
        task_id,
        provider: "command".to_owned(),
        argv: words.collect(),
        // Send one of your own to be able to ask again: the same id never starts twice.
        request_id: String::new(),
        ..Default::default()
    };
    let started = client.start(start).await?.invocation;
    let id = started.ok_or("the daemon names no invocation")?.id;

    // Every line from the first one on, then live, across restarts of the daemon.
    let mut follow = client.follow(v1::FollowRequest {
        selector: Some(Selector::Invocation(v1::InvocationSelector {
            project: project.clone(),
            id,
        })),
        follow: true,
        ..Default::default()
    });
    let mut out = std::io::stdout();
    while let Some(item) = follow.next().await? {
        match item {
            Item::Events(events) => {
                for event in events {
                    // `event.cursor` is what another process would go on from.
                    writeln!(out, "{}", String::from_utf8_lossy(&event.line))?;
                }
            }
            Item::Live => {}
            other => writeln!(std::io::stderr(), "({other:?})")?,
        }
    }

    let get = v1::GetRequest {
        project,
        id,
        ..Default::default()
    };
    let ended = client.get(get).await?.invocation.unwrap_or_default();
    let log = Path::new(&ended.log_path);
    writeln!(out, "{}, its log is {}", ended.outcome, log.display())?;
    Ok(())
}
