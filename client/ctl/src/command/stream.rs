//! `stream`: what an invocation, a task or everything does, from a cursor on and as it happens.

mod task;

use steroids_client::v1::follow_request::Selector;
use steroids_client::{Client, v1};

use super::attempts;
use crate::clean::clean_line;
use crate::complete;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::follow::{self, End, Plan, Scope};
use crate::interrupt::Interrupt;
use crate::session::Session;
use crate::{format, parse};

const EXAMPLES: &str = "\
Examples:
  steroidsctl stream                    the newest that runs, else the newest
  steroidsctl stream 12                 all of it, then live, to its end
  steroidsctl stream 12 --no-follow     what there is now
  steroidsctl stream 12 --tail 20       its last 20 lines, then live
  steroidsctl stream 12 --exit-status   and end as the invocation did
  steroidsctl stream --task T1          all of a task, and those to come
  steroidsctl stream --task T1 --exit-status   to the end of the last
  steroidsctl stream --all              everything in every project
  steroidsctl stream --all --tail 0     what happens from now on, everywhere
  steroidsctl stream 12 --json | jq -r 'select(.type == \"tool\").cmd'

Ctrl-C only leaves: the agent goes on. A broken connection is opened again by itself; no line \
comes twice and none is left out. Tokens are shown at the end. With --json the log's own lines are \
printed byte for byte; with --task \"invocationId\" is put first into each, with --all \"project\" \
too.";

/// What to stream.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The invocation [default: the newest running, else the newest]
    #[arg(value_parser = parse::id, add = complete::invocations(), group = "what")]
    id: Option<i64>,
    /// All invocations of a task
    #[arg(long, short, value_name = "TASK", value_parser = parse::word, add = complete::tasks(), group = "what")]
    task: Option<String>,
    /// Everything in all projects
    #[arg(long, group = "what")]
    all: bool,
    /// Begin after this cursor, as an earlier stream named it
    #[arg(long, value_name = "CURSOR")]
    after: Option<String>,
    /// Begin with so many last lines; with --task and --all of each that runs (where nothing of the task does, of its newest)
    #[arg(long, short = 'n', value_name = "LINES", conflicts_with = "after")]
    tail: Option<u32>,
    /// Print what there is, and end
    #[arg(long)]
    no_follow: bool,
    /// End with the exit code of the invocation: 0, 1 failed, 124 timed out, 130 stopped; where it
    /// is tried again, go on with that. With --task once nothing of it runs or waits, with that of its newest
    #[arg(long, conflicts_with = "all")]
    exit_status: bool,
    /// Leave control bytes in
    #[arg(long)]
    raw: bool,
}

/// Streams until the end, or until Ctrl-C.
pub(crate) async fn run(args: &Args, session: &mut Session) -> Result<Exit, Failure> {
    let (client, project) = session.connect_to(args.all).await?;
    let mut interrupt = Interrupt::listen();
    let (selector, scope) = choose(args, session, &client, &project).await?;
    let at = match &selector {
        Selector::Invocation(at) => Some(at.clone()),
        _ => None,
    };
    let plan = Plan {
        request: v1::FollowRequest {
            selector: Some(selector),
            after: args.after.clone().unwrap_or_default(),
            follow: !args.no_follow,
            skip_ended: false,
            limit_bytes: 0,
            pieces: false,
            tail: args.tail,
        },
        scope,
        raw: args.raw,
        is_over: false,
    };
    if let Some(task) = args.task.as_deref().filter(|_| args.exit_status) {
        return task::follow(session, &client, &project, task, plan, &mut interrupt).await;
    }
    if let Some(at) = at.clone().filter(|_| args.exit_status && !args.no_follow) {
        return attempts::follow(session, &client, at, plan, &mut interrupt).await;
    }
    let ended = match follow::run(session, &client, plan, &mut interrupt).await {
        // Of how it ends that nobody reads on says nothing.
        Err(failure) if failure.is_reader_gone() && args.exit_status => End::Ended {
            ending: None,
            cursor: String::new(),
        },
        ended => ended?,
    };
    match ended {
        End::Left(exit) => Ok(exit),
        End::Ended { .. } if !args.exit_status => Ok(Exit::Ok),
        End::Ended {
            ending: Some(ending),
            ..
        } => Ok(ending.exit()),
        // The end was before the cursor, or the log is another tool's: the row tells.
        End::Ended { ending: None, .. } => match at {
            Some(at) => super::show::standing(&client, &at.project, at.id).await,
            None => Ok(Exit::TryAgain),
        },
    }
}

async fn choose(
    args: &Args,
    session: &Session,
    client: &Client,
    project: &str,
) -> Result<(Selector, Scope), Failure> {
    if args.all {
        return Ok((Selector::All(v1::AllSelector {}), Scope::All));
    }
    let project = project.to_owned();
    if let Some(task) = &args.task {
        let selector = v1::TaskSelector {
            project,
            task_id: task.clone(),
        };
        return Ok((Selector::Task(selector), Scope::Task(task.clone())));
    }
    let invocation = match args.id {
        Some(id) => super::show::get(client, &project, id).await?,
        None => newest(session, client, &project).await?,
    };
    let (id, open) = (invocation.id, format::is_open(&invocation));
    if !invocation.waiting.is_empty() {
        let why = clean_line(&format::by_clock(&invocation.waiting));
        session.note(format_args!("invocation {id} waits: {why}"));
    }
    Ok((
        Selector::Invocation(v1::InvocationSelector { project, id }),
        Scope::Invocation {
            id,
            open,
            managed: invocation.managed,
        },
    ))
}

/// The newest running invocation, else the newest; says which.
async fn newest(
    session: &Session,
    client: &Client,
    project: &str,
) -> Result<v1::Invocation, Failure> {
    // Behind what runs there mostly is something that waits, and was asked for later.
    let (running, queued) = (v1::State::Running.into(), v1::State::Queued.into());
    for states in [vec![running], vec![queued], Vec::new()] {
        let request = v1::ListRequest {
            project: project.to_owned(),
            states,
            page_size: 1,
            ..Default::default()
        };
        if let Some(found) = client.list(request).await?.invocations.into_iter().next() {
            session.note(format!(
                "invocation {} of task {} ({}, {})",
                found.id,
                found.task_id,
                found.provider,
                format::standing(&found)
            ));
            return Ok(found);
        }
    }
    Err(Failure::new(
        Exit::NotFound,
        "not_found",
        "there are no invocations in this project yet",
    )
    .with_hint("start one with: steroidsctl start --task T1 --prompt 'what to do'"))
}
