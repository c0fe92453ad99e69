//! `list`: invocations, newest first.

mod table;

use clap::ValueEnum;
use serde::Serialize;
use steroids_client::{Client, json, v1};

use crate::clean::clean_line;
use crate::complete;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::format;
use crate::session::{Session, quoted};
use crate::{moment, parse};

pub(super) use self::table::style;

/// The daemon's own bound on a page.
const PAGE: u32 = 1000;

/// Of a history nobody asked for more. What has not ended is bounded by the daemon, and whoever asks for it
/// wants to know of all: what runs may be older than all that waits.
const LIMIT: u32 = 50;

const EXAMPLES: &str = "\
Examples:
  steroidsctl list
  steroidsctl list --running
  steroidsctl list --task T1 --status failed
  steroidsctl list --all --since 12h       the night's
  steroidsctl list --all --since 12h --unresolved
  steroidsctl list --outcome rate_limited,overloaded
  steroidsctl list --all --limit 5
  steroidsctl list --json | jq '.invocations[] | select(.attempt > 1).id'";

/// Which ones.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Of this task
    #[arg(long, short, value_name = "TASK", value_parser = parse::word, add = complete::tasks())]
    task: Option<String>,
    /// In this state; may be repeated
    #[arg(long, value_enum, value_name = "STATE")]
    status: Vec<Status>,
    /// Those that have not ended
    #[arg(long, conflicts_with_all = ["status", "outcome"])]
    running: bool,
    /// Those that ended like this, such as rate_limited; several with commas
    #[arg(long, value_name = "OUTCOME", value_delimiter = ',')]
    outcome: Vec<String>,
    /// Those that ended without success, and were not tried again since
    #[arg(long, conflicts_with = "running")]
    unresolved: bool,
    /// Those that ran or waited since: 12h, 7d, today, yesterday, 22:30, a date (2026-11-01), or one with a time
    #[arg(long, value_name = "WHEN", value_parser = moment::since)]
    since: Option<i64>,
    /// Those that started until: as --since, but a date with all of its day
    #[arg(long, value_name = "WHEN", value_parser = moment::until)]
    until: Option<i64>,
    /// Of this provider
    #[arg(long, value_parser = parse::word, add = complete::providers())]
    provider: Option<String>,
    /// At most so many [default: 50; of those that have not ended all]
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// In all registered projects
    #[arg(long)]
    all: bool,
    /// Only their ids, a line each; with --all the project behind each
    #[arg(long, short)]
    quiet: bool,
}

/// The states of an invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Status {
    Queued,
    Running,
    Completed,
    Failed,
    Timeout,
}

impl From<Status> for i32 {
    fn from(status: Status) -> i32 {
        match status {
            Status::Queued => v1::State::Queued,
            Status::Running => v1::State::Running,
            Status::Completed => v1::State::Completed,
            Status::Failed => v1::State::Failed,
            Status::Timeout => v1::State::Timeout,
        }
        .into()
    }
}

/// Lists them.
pub(crate) async fn run(args: &Args, session: &mut Session) -> Result<Exit, Failure> {
    let (client, project) = session.connect_to(args.all).await?;
    let Fetched {
        invocations,
        is_cut,
        unread,
        gone,
    } = asked(&client, args, project.clone()).await?;
    if let Some(task) = args.task.as_deref()
        && invocations.is_empty()
        && !args.all
    {
        expect_task(&client, project, task).await?;
    }
    if session.json {
        session.out.json(&Listed {
            invocations: invocations.iter().map(json::Invocation::from).collect(),
            more: is_cut,
            unread: &unread,
            gone: &gone,
        })?;
    } else if args.quiet {
        for it in &invocations {
            match args.all {
                true => session
                    .out
                    .line(format_args!("{} {}", it.id, clean_line(&it.project)))?,
                false => session.out.line(it.id)?,
            }
        }
    } else if invocations.is_empty() {
        session.note("no such invocations");
    } else {
        let look = table::Look {
            all: args.all,
            now: format::now_ms(),
            width: session.out.width(),
            colour: session.out.colour,
        };
        for line in table::lines(&invocations, look) {
            session.out.line(line)?;
        }
    }
    if !session.json {
        if is_cut {
            let most = invocations.len();
            session.note(format_args!("there are more than these {most}: --limit N"));
        }
        for project in &unread {
            match gone.contains(project) {
                true => session.note(said_of_gone(project)),
                false => session.note(format_args!(
                    "not listed, its database did not answer: {}",
                    clean_line(project)
                )),
            }
        }
    }
    Ok(Exit::Ok)
}

/// What to do about a project that is not there, of which only what runs or waits is known.
pub(super) fn said_of_gone(project: &str) -> String {
    let named = quoted(project);
    format!(
        "{}: it is gone, and what has ended there is not listed. Put it back; or, where it is gone for good: \
         steroidsctl --project {named} stop --all, then: steroidsctl projects forget {named}",
        clean_line(project)
    )
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Listed<'a> {
    invocations: Vec<json::Invocation<'a>>,
    /// There are more, of which none was asked for.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    more: bool,
    /// Projects that could not be asked.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    unread: &'a [String],
    /// Those of which that are gone.
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    gone: &'a [String],
}

/// What was listed.
pub(super) struct Fetched {
    /// Newest first.
    pub(super) invocations: Vec<v1::Invocation>,
    is_cut: bool,
    /// Projects that could not be asked for one of the pages.
    pub(super) unread: Vec<String>,
    /// Those of which that are gone.
    pub(super) gone: Vec<String>,
}

/// All that run or wait; of one task, or of all; in all projects where none is given.
pub(super) async fn open(
    client: &Client,
    project: String,
    task: Option<&str>,
) -> Result<Fetched, Failure> {
    let request = v1::ListRequest {
        project,
        task_id: task.unwrap_or_default().to_owned(),
        states: vec![v1::State::Running.into(), v1::State::Queued.into()],
        ..Default::default()
    };
    fetch(client, request, usize::MAX).await
}

/// Fails where there is no such task: most likely it was mistyped. Who follows one is told so.
pub(super) async fn expect_task(
    client: &Client,
    project: String,
    task: &str,
) -> Result<(), Failure> {
    let of_task = v1::TaskSelector {
        project,
        task_id: task.to_owned(),
    };
    let request = v1::FollowRequest {
        selector: Some(v1::follow_request::Selector::Task(of_task)),
        tail: Some(0),
        ..Default::default()
    };
    client.follow_once(request).await?;
    Ok(())
}

/// The newest of a task, if there is any; fails where there is no such task.
pub(super) async fn newest_of(
    client: &Client,
    project: String,
    task: &str,
) -> Result<Option<i64>, Failure> {
    let request = v1::ListRequest {
        project: project.clone(),
        task_id: task.to_owned(),
        ..Default::default()
    };
    let newest = fetch(client, request, 1).await?.invocations.pop();
    if newest.is_none() {
        expect_task(client, project, task).await?;
    }
    Ok(newest.map(|it| it.id))
}

async fn asked(client: &Client, args: &Args, project: String) -> Result<Fetched, Failure> {
    let statuses = match args.running {
        true => &[Status::Running, Status::Queued][..],
        false => &args.status,
    };
    let is_open = |it: &Status| matches!(it, Status::Running | Status::Queued);
    let limit = match args.limit {
        Some(limit) => limit as usize,
        None if !statuses.is_empty() && statuses.iter().all(is_open) => usize::MAX,
        None => LIMIT as usize,
    };
    let request = v1::ListRequest {
        project,
        task_id: args.task.clone().unwrap_or_default(),
        states: statuses.iter().map(|status| (*status).into()).collect(),
        outcomes: args.outcome.clone(),
        unresolved: args.unresolved,
        provider: args.provider.clone().unwrap_or_default(),
        since_ms: args.since,
        until_ms: args.until,
        ..Default::default()
    };
    fetch(client, request, limit).await
}

/// Page after page, until there are enough or no more.
async fn fetch(
    client: &Client,
    mut request: v1::ListRequest,
    limit: usize,
) -> Result<Fetched, Failure> {
    let mut fetched = Fetched {
        invocations: Vec::new(),
        is_cut: false,
        unread: Vec::new(),
        gone: Vec::new(),
    };
    loop {
        let wanted = (limit - fetched.invocations.len()).min(PAGE as usize);
        request.page_size = i32::try_from(wanted).unwrap_or(i32::MAX);
        let page = client.list(request.clone()).await?;
        fetched.invocations.extend(page.invocations);
        for (new, known) in [
            (page.unread, &mut fetched.unread),
            (page.gone, &mut fetched.gone),
        ] {
            for project in new {
                if !known.contains(&project) {
                    known.push(project);
                }
            }
        }
        let has_more = !page.next_page_token.is_empty();
        if fetched.invocations.len() >= limit || !has_more {
            fetched.is_cut = has_more || fetched.invocations.len() > limit;
            fetched.invocations.truncate(limit);
            return Ok(fetched);
        }
        request.page_token = page.next_page_token;
    }
}
