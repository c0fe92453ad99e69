//! `retry`: starts what has ended once more, as the next attempt of it.

use std::collections::BTreeSet;

use steroids_client::{Client, v1};
use uuid::Uuid;

use super::show;
use super::start::begin::Begin;
use super::start::{environment, terms};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::session::Session;
use crate::{complete, parse};

const EXAMPLES: &str = "\
Examples:
  steroidsctl retry 12
  steroidsctl retry 12 --follow
  steroidsctl retry 12 --wall 4h --model sonnet   with other terms
  steroidsctl retry 12 --anew                     not with the session it had
  steroidsctl list -q --outcome rate_limited | xargs -r steroidsctl retry

Asks for the same as then: task, provider, prompt, command, and what the start said of limits and \
the like; what it left open is as configured now, and the caller's environment is that of now. Options \
go before all that. It is the next attempt of the last one there is, and prints its id. Where that one \
did not succeed and has told its session, it goes on with it. What runs or waits is not tried again, \
nor what was cleaned up, nor what a later attempt has done. Of several that are attempts of the same one \
is started.";

/// More than there ever are of one.
const MOST_ATTEMPTS: usize = 128;

/// Which ones, and what of them otherwise.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The invocations
    #[arg(value_name = "ID", required = true, value_parser = parse::id, add = complete::invocations())]
    ids: Vec<i64>,
    /// Begin anew also where there is a session to go on with
    #[arg(long)]
    anew: bool,
    /// Another model
    #[arg(long, value_name = "MODEL", value_parser = parse::word)]
    model: Option<String>,
    /// Ask twice with the same id, and it starts once
    #[arg(long, value_name = "REQUEST", value_parser = parse::word)]
    request_id: Option<String>,
    #[command(flatten)]
    terms: terms::Args,
    /// Show what it does, and that of each next attempt, and end with it
    #[arg(long, short)]
    follow: bool,
    /// Leave control bytes in what --follow shows
    #[arg(long, requires = "follow")]
    raw: bool,
}

/// Starts them one after the other, and prints their ids; the exit code is that of the first that was refused.
pub(crate) async fn run(args: Args, session: &mut Session) -> Result<Exit, Failure> {
    let is_one = args.ids.len() == 1;
    for (flag, is_given) in [
        ("--follow", args.follow),
        ("--request-id", args.request_id.is_some()),
    ] {
        if is_given && !is_one {
            return Err(Failure::usage(format!("{flag} is for one invocation")));
        }
    }
    let (follows, raw) = (args.follow, args.raw);
    let is_repeatable = args.request_id.is_some();
    let mut ids = args.ids.clone();
    let mut seen = BTreeSet::new();
    ids.retain(|id| seen.insert(*id));
    let request = request(args, session.project()?)?;
    let mut interrupt = Interrupt::listen();
    let client = session.connect().await?;
    let (mut exit, mut done) = (Exit::Ok, BTreeSet::new());
    for id in ids {
        let mut asked = None;
        if !is_one {
            let last = tokio::select! {
                left = interrupt.pressed() => return Ok(left),
                last = last_of(&client, &request.project, id, &done) => last,
            };
            match last {
                Ok(last) => asked = last,
                Err(needless) => {
                    session.note(needless);
                    continue;
                }
            }
        }
        let request = v1::RetryRequest {
            id,
            request_id: match request.request_id.as_str() {
                "" => Uuid::new_v4().to_string(),
                given => given.to_owned(),
            },
            ..request.clone()
        };
        let begin = Begin {
            project: &request.project,
            request_id: &request.request_id,
            is_repeatable,
            find: format!("show {id}"),
            follows,
            raw,
        };
        match one(&request, begin, session, &client, &mut interrupt).await {
            Ok(done) if is_one || done == Exit::Stopped || done.signal().is_some() => {
                return Ok(done);
            }
            Ok(began) => {
                done.extend(asked);
                exit = exit.or(began);
            }
            Err(failure) if is_one || failure.is_unwritten() => return Err(failure),
            Err(failure) => {
                let said = failure.report(session.json, session.stderr_colour);
                exit = exit.or(said);
            }
        }
    }
    Ok(exit)
}

/// The last attempt of what is one of several; or why that is not to be tried again: lists of what failed have each
/// attempt of the same, and those of which a later one has succeeded. What cannot be asked is left to the request
/// itself.
async fn last_of(
    client: &Client,
    project: &str,
    id: i64,
    done: &BTreeSet<i64>,
) -> Result<Option<i64>, String> {
    let mut next = id;
    for _ in 0..MOST_ATTEMPTS {
        let Ok(it) = show::get(client, project, next).await else {
            return Ok(None);
        };
        if done.contains(&it.id) {
            return Err(format!(
                "invocation {id} is an attempt of what was tried again just now"
            ));
        }
        match it.retried_by {
            Some(later) if later > it.id => next = later,
            _ if it.id != id && it.outcome == "success" => {
                let by = it.id;
                return Err(format!(
                    "invocation {id} was tried again, and {by} succeeded"
                ));
            }
            _ => return Ok(Some(it.id)),
        }
    }
    Ok(None)
}

async fn one(
    request: &v1::RetryRequest,
    begin: Begin<'_>,
    session: &mut Session,
    client: &Client,
    interrupt: &mut Interrupt,
) -> Result<Exit, Failure> {
    let sending = async {
        let before = show::get(client, &request.project, request.id).await?;
        environment::sent(client, &before.provider).await
    };
    let caller_env = tokio::select! {
        left = interrupt.pressed() => return Ok(left),
        env = sending => env?,
    };
    let request = v1::RetryRequest {
        caller_env,
        ..request.clone()
    };
    let ask = async || client.retry(request.clone()).await;
    begin.run(session, client, interrupt, ask, |_| None).await
}

fn request(args: Args, project: String) -> Result<v1::RetryRequest, Failure> {
    let terms = args.terms.read()?;
    Ok(v1::RetryRequest {
        project,
        anew: args.anew,
        request_id: args.request_id.unwrap_or_default(),
        env: terms.env,
        model: args.model.unwrap_or_default(),
        limits: terms.limits,
        retry: terms.retry,
        budget: terms.budget,
        no_queue: terms.no_queue,
        memory_max_bytes: terms.resources.memory_max,
        cpu_quota_percent: terms.resources.cpu_quota,
        tasks_max: terms.resources.tasks_max,
        ..v1::RetryRequest::default()
    })
}
