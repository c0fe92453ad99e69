//! `start`: starts an invocation and, if asked to, follows it to its end.
//!
//! The request id is made here, so that asking again after a broken connection starts nothing
//! twice: the daemon commits it with the row.

use std::collections::HashMap;

use steroids_client::v1;
use uuid::Uuid;

use crate::clean::clean_line;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::interrupt::Interrupt;
use crate::session::{Session, quoted};
use crate::{complete, parse};

pub(super) mod begin;
pub(super) mod environment;
mod prompt;
mod resources;
mod resume;
pub(super) mod terms;

const EXAMPLES: &str = "\
Examples:
  steroidsctl start --task T1 --prompt 'fix the failing test' --follow
  steroidsctl start --task T1 --provider codex --prompt-file review.md
  git diff | steroidsctl start --task T1 --model sonnet -
  steroidsctl start --task T1 --silence 30m --wall 4h --prompt 'port the parser'
  steroidsctl start --task T1 --resume SESSION --prompt 'now the tests'
  steroidsctl start --task T1 --resume last --prompt 'and the changelog'
  steroidsctl start --task T1 -- make test
  steroidsctl start --task T1 --memory-max 4GiB --cpu-quota 200% -- make test
  id=$(steroidsctl start --task T1 --prompt-file todo.md)
  steroidsctl start --task T1 --role reviewer --after $id --prompt 'review it'
  steroidsctl start --task T2 --priority 5 --retry overloaded --prompt 'next'

Prints the invocation's id. Where it has to wait (as many run as may, its provider is held, --after), \
it starts by itself when its turn has come. Durations are 500ms, 2s, 15m, 2h; `none` switches a limit off. The \
caller's PATH, HOME, locale, proxy settings and the providers' variables (ANTHROPIC_*, CLAUDE_*, \
OPENAI_*, CODEX_*, GEMINI_*, GOOGLE_*, OPENCODE_*, and the keys of other model providers) go \
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
    #[command(flatten)]
    terms: terms::Args,
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
        env = environment::sent(&client, &request.provider) => env?,
    };
    let begin = begin::Begin {
        project: &request.project,
        request_id: &request.request_id,
        is_repeatable,
        find: format!("list --task {}", quoted(&request.task_id)),
        follows,
        raw,
    };
    let ask = async || client.start(request.clone()).await;
    let told = |it: &v1::Invocation| elsewhere(&request, it);
    begin.run(session, &client, &mut interrupt, ask, told).await
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
    let terms = args.terms.read()?;
    Ok(v1::StartRequest {
        project,
        task_id: args.task,
        role: args.role,
        provider,
        model: args.model.unwrap_or_default(),
        prompt,
        cwd,
        env: terms.env,
        caller_env: HashMap::new(),
        resume: args.resume.unwrap_or_default(),
        request_id: args
            .request_id
            .unwrap_or_else(|| Uuid::new_v4().to_string()),
        limits: terms.limits,
        argv: args.argv,
        interactive: args.interactive,
        leave_background: args.leave_background,
        priority: args.priority,
        after: args.after,
        retry: terms.retry,
        no_queue: terms.no_queue,
        budget: terms.budget,
        memory_max_bytes: terms.resources.memory_max,
        cpu_quota_percent: terms.resources.cpu_quota,
        tasks_max: terms.resources.tasks_max,
    })
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
