//! `start`: starts an invocation and, if asked to, follows it to its end.
//!
//! The request id is made here, so that asking again after a broken connection starts nothing
//! twice: the daemon commits it with the row.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use steroids_client::{Client, Refusal, json, v1};
use tonic::Status;
use uuid::Uuid;

use super::attempts;
use crate::clean::clean_line;
use crate::complete;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::follow::{Plan, Scope};
use crate::interrupt::Interrupt;
use crate::session::{Session, is_unregistered, quoted};
use crate::spinner::Spinner;
use crate::{format, parse, resources as bounds};

mod environment;
mod prompt;
mod resources;
mod resume;

/// How long a start is asked for again after the connection broke: a restart of the daemon, with
/// its look at what runs, takes less.
const RETRY_FOR: Duration = Duration::from_secs(30);
const RETRY_EVERY: Duration = Duration::from_millis(300);

const NOT_SENT: &str = "the daemon did not say which variables the provider gets: those that its `env` names were not sent along";

const EXAMPLES: &str = "\
Examples:
  steroidsctl start --task T1 --prompt 'fix the failing test' --follow
  steroidsctl start --task T1 --role reviewer --provider codex --prompt-file review.md
  git diff | steroidsctl start --task T1 --model sonnet -
  steroidsctl start --task T1 --silence 30m --wall 4h --prompt 'port the parser'
  steroidsctl start --task T1 --resume SESSION --prompt 'now the tests'
  steroidsctl start --task T1 --resume last --prompt 'and the changelog'
  steroidsctl start --task T1 -- make test
  steroidsctl start --task T1 --memory-max 4GiB --cpu-quota 200% --tasks-max 500 -- make test
  id=$(steroidsctl start --task T1 --prompt-file todo.md)
  steroidsctl start --task T1 --after $id --role reviewer --prompt-file review.md
  steroidsctl start --task T2 --priority 5 --retry overloaded,rate_limited --prompt-file todo.md

Prints the invocation's id. Where it has to wait (as many run as may, its provider is held, --after),
it starts by itself when its turn has come. Durations are 500ms, 2s, 15m, 2h; `none` switches a limit off. The
caller's PATH, HOME, locale, proxy settings and the providers' variables (ANTHROPIC_*, CLAUDE_*,
OPENAI_*, CODEX_*, GEMINI_*, GOOGLE_*, OPENCODE_*, and the keys of other model providers) go
along, and those of the provider's `env` in the configuration; anything else with --env.

With --json it prints the invocation; with --follow as well, the log's lines come after it.";

/// What to start.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The task it works on; created if it does not exist
    #[arg(long, short, value_name = "TASK", value_parser = parse::word, add = complete::tasks())]
    task: String,
    /// Who it works as: coder, reviewer, orchestrator, or any word
    #[arg(long, value_parser = parse::word, default_value = "coder")]
    role: String,
    /// The provider: claude, codex, gemini, opencode, command, or one of the configuration [default: claude, or command after --]
    #[arg(long, value_parser = parse::word, add = complete::providers())]
    provider: Option<String>,
    /// The model [default: the provider's own]
    #[arg(long, value_parser = parse::word)]
    model: Option<String>,
    #[command(flatten)]
    prompt: prompt::Args,
    /// Ask twice with the same id, and it starts once
    #[arg(long, value_name = "ID", value_parser = parse::word)]
    request_id: Option<String>,
    /// Go on with an earlier session; `last` is that of the task's newest run by the same provider
    #[arg(long, value_name = "SESSION", value_parser = parse::word)]
    resume: Option<String>,
    /// Go on with the session of an invocation, by its provider
    #[arg(long, value_name = "ID", conflicts_with = "resume", value_parser = parse::id)]
    resume_of: Option<i64>,
    /// Where it works [default: the project]
    #[arg(long, value_name = "DIR")]
    cwd: Option<std::path::PathBuf>,
    /// Set a variable, or pass on one of yours by its name; may be repeated
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = parse::setting)]
    env: Vec<(String, String)>,
    /// End it after so long without output
    #[arg(long, value_name = "TIME", value_parser = parse::limit)]
    silence: Option<Duration>,
    /// End it after so long without output while a tool runs
    #[arg(long, value_name = "TIME", value_parser = parse::limit)]
    tool_silence: Option<Duration>,
    /// End it after so long in all
    #[arg(long, value_name = "TIME", value_parser = parse::limit)]
    wall: Option<Duration>,
    /// End it after so long without output after its final result
    #[arg(long, value_name = "TIME", value_parser = parse::limit)]
    post_result: Option<Duration>,
    /// Time between asking it to end and killing it
    #[arg(long, value_name = "TIME", value_parser = parse::limit)]
    grace: Option<Duration>,
    /// Of those that wait, start those of a higher number first
    #[arg(
        long,
        value_name = "N",
        default_value_t = 0,
        allow_negative_numbers = true
    )]
    priority: i32,
    /// Start it when these have succeeded; may be repeated
    #[arg(long, value_name = "ID", value_delimiter = ',', value_parser = parse::id, add = complete::invocations())]
    after: Vec<i64>,
    /// Try again after these outcomes, such as overloaded,rate_limited; `none`: never [default: as configured]
    #[arg(long, value_name = "OUTCOME", value_delimiter = ',')]
    retry: Vec<String>,
    /// Try again at most so often
    #[arg(long, value_name = "N", requires = "retry", default_value_t = 3, value_parser = clap::value_parser!(i32).range(0..))]
    retry_max: i32,
    /// Where it would have to wait, refuse it (exit code 75)
    #[arg(long)]
    no_queue: bool,
    /// Tell when it has used so many US dollars, and at four fifths of that; without `[prices]` for its
    /// model, claude says what it cost only at its end, codex and gemini never
    #[arg(long, value_name = "USD", value_parser = parse::dollars)]
    budget_usd: Option<f64>,
    /// Tell when it has used so many tokens of all kinds, and at four fifths of that
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    budget_tokens: Option<u64>,
    /// Stop it when its budget is reached [default: as configured]
    #[arg(long)]
    budget_stop: bool,
    #[command(flatten)]
    resources: resources::Args,
    /// Show what it does, and that of each next attempt, and end with it
    #[arg(long, short)]
    follow: bool,
    /// Leave control bytes in what --follow shows
    #[arg(long, requires = "follow")]
    raw: bool,
    /// Keep its input open for `steroidsctl send`, until nobody has sent anything for --post-result (30s) after a result
    #[arg(long)]
    interactive: bool,
    /// Leave alive what it leaves running
    #[arg(long)]
    leave_background: bool,
    /// Any command and its arguments, instead of an agent
    #[arg(last = true, value_name = "COMMAND")]
    argv: Vec<String>,
}

/// Starts, prints the id, follows.
pub(crate) async fn run(args: Args, session: &mut Session) -> Result<Exit, Failure> {
    let (follows, raw, resume_of) = (args.follow, args.raw, args.resume_of);
    let is_repeatable = args.request_id.is_some();
    let mut request = request(args, session.project()?)?;
    let mut interrupt = Interrupt::listen();
    let client = session.connect().await?;
    if let Some(id) = resume_of {
        tokio::select! {
            left = interrupt.pressed() => return Ok(left),
            found = resume::of(id, &client, &mut request) => found?,
        }
    }
    request.caller_env = tokio::select! {
        left = interrupt.pressed() => return Ok(left),
        wanted = environment::wanted(&client, &request.provider) => {
            if wanted.is_none() {
                session.note(NOT_SENT);
            }
            environment::of_caller(std::env::vars_os(), &wanted.unwrap_or_default())
        }
    };
    let asking = Spinner::new().during("starting", ask(session, &client, &request));
    let answer = tokio::select! {
        left = interrupt.pressed() => {
            left_early(session, &request);
            return Ok(left);
        }
        answer = asking => answer.map_err(|failure| unsure(failure, &request))?,
    };
    let invocation = answer.invocation.ok_or_else(|| {
        Failure::new(
            Exit::Refused,
            "internal",
            "the daemon answered without an invocation",
        )
    })?;
    if let Some(folder) = elsewhere(&request, &invocation) {
        session.note(format!(
            "it works in {folder}, the project's folder; with --cwd . it works here"
        ));
    }
    let told = tell(session, &invocation, answer.existing, follows);
    let untold = |failure| untold(failure, invocation.id, &request.request_id, is_repeatable);
    let told = told.map_err(untold);
    if !follows {
        told?;
        // Nothing runs: a script that went on with the id would wait for nobody.
        let failed = invocation.outcome == "never_started";
        return Ok(if failed {
            Exit::InvocationFailed
        } else {
            Exit::Ok
        });
    }
    let at = v1::InvocationSelector {
        project: request.project.clone(),
        id: invocation.id,
    };
    let plan = Plan {
        request: v1::FollowRequest {
            selector: Some(v1::follow_request::Selector::Invocation(at.clone())),
            after: String::new(),
            follow: true,
            skip_ended: false,
            limit_bytes: 0,
            pieces: false,
            tail: None,
        },
        scope: Scope::Invocation {
            id: invocation.id,
            open: format::is_open(&invocation),
        },
        raw,
    };
    match told {
        // Of how it ends that nobody reads on says nothing.
        Err(failure) if failure.is_reader_gone() => attempts::standing(&client, at).await,
        Err(failure) => Err(failure),
        Ok(()) => {
            let followed = attempts::follow(session, &client, at, plan, &mut interrupt).await;
            followed.map_err(untold)
        }
    }
}

fn request(args: Args, project: String) -> Result<v1::StartRequest, Failure> {
    let provider = match args.provider {
        Some(provider) => provider,
        None if args.argv.is_empty() => String::new(),
        None => "command".to_owned(),
    };
    let prompt = args.prompt.read(!args.argv.is_empty())?;
    let cwd = match args.cwd {
        None => String::new(),
        Some(folder) => std::path::absolute(&folder)
            .ok()
            .and_then(|folder| folder.into_os_string().into_string().ok())
            .ok_or_else(|| Failure::usage("--cwd is no usable path"))?,
    };
    let limit = |limit: Option<Duration>| limit.and_then(|limit| limit.try_into().ok());
    let limits = v1::Limits {
        silence: limit(args.silence),
        tool_silence: limit(args.tool_silence),
        wall: limit(args.wall),
        post_result: limit(args.post_result),
        grace: limit(args.grace),
    };
    let budget = v1::Budget {
        usd: args.budget_usd,
        tokens: args.budget_tokens,
        stop: args.budget_stop.then_some(true),
    };
    Ok(v1::StartRequest {
        project,
        task_id: args.task,
        role: args.role,
        provider,
        model: args.model.unwrap_or_default(),
        prompt,
        cwd,
        env: args.env.into_iter().collect::<HashMap<_, _>>(),
        caller_env: HashMap::new(),
        resume: args.resume.unwrap_or_default(),
        request_id: args
            .request_id
            .unwrap_or_else(|| Uuid::new_v4().to_string()),
        limits: (limits != v1::Limits::default()).then_some(limits),
        argv: args.argv,
        interactive: args.interactive,
        leave_background: args.leave_background,
        priority: args.priority,
        after: args.after,
        retry: retry(args.retry, args.retry_max)?,
        no_queue: args.no_queue,
        budget: (budget != v1::Budget::default()).then_some(budget),
        memory_max_bytes: args.resources.memory_max,
        cpu_quota_percent: args.resources.cpu_quota,
        tasks_max: args.resources.tasks_max,
    })
}

/// It was started, also where its id or what it does cannot be written. Only who named the request is to
/// be told to try again: else the same command would start another one.
fn untold(failure: Failure, id: i64, request_id: &str, is_repeatable: bool) -> Failure {
    if !failure.is_unwritten() {
        return failure;
    }
    let message = format!("invocation {id} was started, and {}", failure.message());
    let exit = if is_repeatable {
        failure.exit()
    } else {
        Exit::Refused
    };
    Failure::new(exit, "io", message).with_hint(format!(
        "the same command with --request-id {} tells its id once more, and starts nothing",
        quoted(request_id)
    ))
}

/// What was said about trying again, if anything was.
fn retry(on: Vec<String>, max: i32) -> Result<Option<v1::RetryPolicy>, Failure> {
    if on.is_empty() {
        return Ok(None);
    }
    let is_never = on.iter().any(|word| word == "none");
    if is_never && on.len() > 1 {
        return Err(Failure::usage("--retry none stands alone"));
    }
    let on = if is_never { Vec::new() } else { on };
    Ok(Some(v1::RetryPolicy { on, max }))
}

/// Asks until there is an answer: only a connection that broke is asked again, with the same id.
async fn ask(
    session: &Session,
    client: &Client,
    request: &v1::StartRequest,
) -> Result<v1::StartResponse, Failure> {
    let began = Instant::now();
    let mut is_registered = false;
    loop {
        match client.start(request.clone()).await {
            Err(status) if is_unregistered(&status) && !is_registered => {
                session.register(client, &request.project).await?;
                is_registered = true;
            }
            Err(status) if is_broken(&status) && began.elapsed() < RETRY_FOR => {
                tokio::time::sleep(RETRY_EVERY).await;
            }
            answer => return Ok(answer?),
        }
    }
}

/// True if the call may or may not have arrived. A daemon that let the deadline pass had its time.
fn is_broken(status: &Status) -> bool {
    Refusal::is_broken(status) && !Refusal::is_timeout(status)
}

/// Where it is not known whether it was started, says how to find out without paying twice.
fn unsure(failure: Failure, request: &v1::StartRequest) -> Failure {
    if !matches!(failure.exit(), Exit::Unreachable | Exit::TimedOut) {
        return failure;
    }
    let hint = format!(
        "whether it was started is not known; the same command with --request-id {} starts it once at most",
        quoted(&request.request_id)
    );
    match failure.hint().map(str::to_owned) {
        Some(first) => failure.with_hint(format!("{hint}\n{first}")),
        None => failure.with_hint(hint),
    }
}

fn left_early(session: &Session, request: &v1::StartRequest) {
    session.note(format!(
        "left before the daemon answered; see whether it was started with: {}",
        session.command(&format!("list --task {}", quoted(&request.task_id)))
    ));
}

/// The folder of a command that was given in another one below it, as relative paths mean something else there.
fn elsewhere(request: &v1::StartRequest, invocation: &v1::Invocation) -> Option<String> {
    if request.argv.is_empty() || !request.cwd.is_empty() {
        return None;
    }
    let here = std::env::current_dir().ok()?;
    let below = here.strip_prefix(&invocation.cwd).ok()?;
    (!below.as_os_str().is_empty()).then(|| clean_line(&invocation.cwd))
}

fn tell(
    session: &mut Session,
    invocation: &v1::Invocation,
    existing: bool,
    follows: bool,
) -> Result<(), Failure> {
    let id = invocation.id;
    if let Some(asked) = &invocation.resources
        && !asked.unenforced.is_empty()
    {
        session.note(bounds::unenforced(asked));
    }
    if session.json {
        let mut shape = json::Invocation::from(invocation);
        shape.existing = Some(existing);
        session.out.json(&shape)?;
        return Ok(session.out.flush()?);
    }
    if !follows {
        session.out.line(id)?;
        session.out.flush()?;
    }
    if existing {
        session.note(format!(
            "invocation {id} was started by this request id before"
        ));
    } else if invocation.state() == v1::State::Queued {
        let why = if invocation.waiting.is_empty() {
            "for its turn"
        } else {
            &invocation.waiting
        };
        let and = if follows {
            "; it starts by itself, also after Ctrl-C"
        } else {
            ""
        };
        session.note(format!("invocation {id} waits: {why}{and}"));
    } else if follows {
        session.note(format!(
            "invocation {id} started; Ctrl-C leaves, it goes on"
        ));
    } else if session.out.is_terminal {
        let command = session.command(&format!("stream {id}"));
        session.note(format!("started; watch it with: {command}"));
    }
    if !follows && !format::is_open(invocation) && !invocation.error.is_empty() {
        let standing = format::standing(invocation);
        session.note(format!("it has ended: {standing}: {}", invocation.error));
    }
    Ok(())
}
