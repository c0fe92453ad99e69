//! Following a task to its end: until nothing of it runs or waits.

use std::collections::BTreeMap;

use steroids_client::{Backoff, Client, v1};
use tokio::time::{sleep, timeout};
use tonic::Status;

use crate::command::wait::{ANSWERS_WITHIN, LOOK_AGAIN, LOOK_AT_FOREIGN, word_of};
use crate::command::{list, show};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::follow::{self, End, Plan};
use crate::interrupt::Interrupt;
use crate::session::Session;

/// Follows as planned, and ends as the newest invocation of the task has; "try again" where that goes on and is not
/// waited for.
pub(super) async fn follow(
    session: &mut Session,
    client: &Client,
    project: &str,
    task: &str,
    mut plan: Plan,
    interrupt: &mut Interrupt,
) -> Result<Exit, Failure> {
    let (is_live, raw) = (plan.request.follow, plan.raw);
    let (scope, request) = (plan.scope.clone(), plan.request.clone());
    let with = |after: String, is_live: bool| {
        let tail = request.tail.filter(|_| after.is_empty());
        Plan {
            request: v1::FollowRequest {
                after,
                tail,
                follow: is_live,
                ..request.clone()
            },
            scope: scope.clone(),
            raw,
            is_over: !is_live,
        }
    };
    loop {
        if is_live {
            let idle = idle(client, project, task);
            let followed = follow::run_until(session, client, plan, interrupt, idle).await;
            plan = match followed {
                // Of how it ends that nobody reads on says nothing.
                Err(failure) if failure.is_reader_gone() => break,
                followed => match followed? {
                    End::Left(exit) => return Ok(exit),
                    // What was written before nothing ran any more may be still to come.
                    End::Ended { cursor, .. } => with(cursor, false),
                },
            };
        }
        let cursor = match follow::run(session, client, plan, interrupt).await {
            Err(failure) if failure.is_reader_gone() => break,
            followed => match followed? {
                End::Left(exit) => return Ok(exit),
                End::Ended { cursor, .. } => cursor,
            },
        };
        let exit = newest(client, project, task).await?;
        match exit {
            // One was started meanwhile.
            Exit::TryAgain if is_live => plan = with(cursor, true),
            exit => return Ok(exit),
        }
    }
    newest(client, project, task).await
}

async fn newest(client: &Client, project: &str, task: &str) -> Result<Exit, Failure> {
    match list::newest_of(client, project.to_owned(), task).await? {
        Some(id) => show::standing(client, project, id).await,
        None => {
            let message = format!("task {task} has no invocations yet");
            Err(Failure::new(Exit::TryAgain, "no_invocations", message))
        }
    }
}

/// Until nothing of a task runs or waits. That the daemon is away the stream says.
async fn idle(client: &Client, project: &str, task: &str) {
    let mut backoff = Backoff::new();
    while idle_by(client, project, task, &mut backoff).await.is_err() {
        sleep(backoff.wait()).await;
    }
}

/// One connection's worth. The watch is opened before the rows are looked at: no end comes in between.
async fn idle_by(
    client: &Client,
    project: &str,
    task: &str,
    backoff: &mut Backoff,
) -> Result<(), Failure> {
    let request = v1::WatchRequest {
        project: project.to_owned(),
        ..Default::default()
    };
    let opened = timeout(ANSWERS_WITHIN, client.watch(request)).await;
    let silent = |_| Status::unavailable("the daemon does not answer");
    let mut events = opened.map_err(silent)??;
    loop {
        let found = list::open(client, project.to_owned(), Some(task)).await?;
        let open: BTreeMap<i64, i64> = found.invocations.iter().map(|it| (it.id, it.id)).collect();
        if open.is_empty() {
            return Ok(());
        }
        backoff.reset();
        let pause = match found.invocations.iter().all(|it| it.managed) {
            true => LOOK_AGAIN,
            false => LOOK_AT_FOREIGN,
        };
        if let Ok(told) = timeout(pause, word_of(&open, &mut events)).await {
            told?;
        }
    }
}
