//! `show`: everything about an invocation, or about several.

mod terms;

use steroids_client::{Client, json, v1};

use crate::clean::{clean, clean_line};
use crate::complete;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;
use crate::terminal::Style;
use crate::{format, parse, resources, waits};

/// Lines of the prompt that are shown; --json has all of it.
const PROMPT_LINES: usize = 8;
/// Lines of the answer that are shown: of a command, it is all that it printed.
const ANSWER_LINES: usize = 100;
/// Lines of evidence that are shown; an event is one.
const EVIDENCE_LINES: usize = 16;
/// Width of the keys.
const KEY: usize = 10;

const EXAMPLES: &str = "\
Examples:
  steroidsctl show 12
  steroidsctl show 12 13
  steroidsctl show 12 --json | jq -r .response
  steroidsctl list -q --task T1 | xargs steroidsctl show --json

Of several each is shown, and what cannot be is told of; the exit code is that of the first of those.";

/// Which ones.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The invocations
    #[arg(value_name = "ID", required = true, value_parser = parse::id, add = complete::invocations())]
    ids: Vec<i64>,
}

/// Shows them, in their order.
pub(crate) async fn run(args: &Args, session: &mut Session) -> Result<Exit, Failure> {
    let (client, project) = session.connect_to_project().await?;
    let (mut exit, mut is_first) = (Exit::Ok, true);
    for &id in &args.ids {
        let invocation = match ask(&client, &project, id, true).await {
            Ok(invocation) => invocation,
            // Of one that is away nothing more would be heard.
            Err(failure) if args.ids.len() == 1 || failure.exit() == Exit::Unreachable => {
                return Err(failure);
            }
            Err(failure) => {
                session.out.flush()?;
                let said = failure.report(session.json, session.stderr_colour);
                exit = exit.or(said);
                continue;
            }
        };
        if session.json {
            session.out.json(&json::Invocation::from(&invocation))?;
            continue;
        }
        if !std::mem::take(&mut is_first) {
            session.out.line("")?;
        }
        let text = block(&invocation, session.out.colour, format::now_ms());
        session.out.bytes(text.as_bytes())?;
    }
    Ok(exit)
}

/// One invocation with its prompt and answer.
pub(crate) async fn get(
    client: &Client,
    project: &str,
    id: i64,
) -> Result<v1::Invocation, Failure> {
    ask(client, project, id, false).await
}

/// The same, and with how it was started if that is wanted.
async fn ask(
    client: &Client,
    project: &str,
    id: i64,
    terms: bool,
) -> Result<v1::Invocation, Failure> {
    let request = v1::GetRequest {
        project: project.to_owned(),
        id,
        terms,
    };
    client.get(request).await?.invocation.ok_or_else(|| {
        Failure::new(
            Exit::NotFound,
            "not_found",
            format!("there is no invocation {id}"),
        )
        .with_hint("see which there are with: steroidsctl list")
    })
}

/// The exit code an invocation's row stands for; "try again" while it goes on.
pub(crate) async fn standing(client: &Client, project: &str, id: i64) -> Result<Exit, Failure> {
    Ok(exit(&get(client, project, id).await?))
}

/// The same of a row that is known.
pub(crate) fn exit(invocation: &v1::Invocation) -> Exit {
    if format::is_open(invocation) {
        return Exit::TryAgain;
    }
    match format::standing(invocation) {
        "completed" => Exit::Ok,
        "timeout" => Exit::TimedOut,
        outcome => Exit::of_outcome(outcome),
    }
}

fn ids(ids: &[i64]) -> String {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    ids.join(", ")
}

fn block(it: &v1::Invocation, colour: bool, now: i64) -> String {
    let mut block = Block {
        text: String::new(),
        colour,
    };
    let standing = format::standing(it);
    let state_style = match standing {
        "success" | "completed" => Style::Good,
        "running" | "queued" => Style::Accent,
        _ => Style::Bad,
    };
    block.pair("invocation", &it.id.to_string(), Style::Bold);
    block.pair("task", &it.task_id, Style::Plain);
    block.pair("state", standing, state_style);
    block.pair("waits", &format::by_clock(&it.waiting), Style::Accent);
    block.pair("error", &it.error, Style::Bad);
    let is_to_be_tried = standing == "never_started" && it.managed && it.retried_by.is_none();
    let again = is_to_be_tried.then(|| format!("steroidsctl retry {}", it.id));
    block.maybe("again", again);
    block.pair("alarm", &format::by_clock(&it.alarm), Style::Warn);
    if let Some(live) = &it.live {
        block.maybe("waits for", waits::line(live, now));
        let end = waits::end(live, now).unwrap_or_default();
        block.pair("ended by", &end, Style::Warn);
    }
    let input = format!("takes messages: steroidsctl send {} TEXT", it.id);
    block.maybe("input", it.interactive.then_some(input));
    block.maybe("uses", it.live.as_ref().and_then(resources::now));
    block.maybe("used", resources::in_all(it));
    if let Some(bounds) = &it.resources {
        block.maybe("limited to", resources::bounds(bounds));
        block.pair("", &resources::unenforced(bounds), Style::Warn);
    }
    block.pair("unit", &it.unit, Style::Plain);
    block.pair("role", &it.role, Style::Plain);
    block.pair("provider", &it.provider, Style::Plain);
    block.pair("model", &model(it), Style::Plain);
    let queued = it.queued_at_ms.filter(|_| it.started_at_ms.is_none());
    block.maybe("asked for", queued.map(|at| moment(at, now)));
    let priority = Some(it.priority).filter(|priority| *priority != 0);
    block.maybe("priority", priority.map(|priority| priority.to_string()));
    block.pair("after", &ids(&it.after), Style::Plain);
    let attempt = Some(it.attempt).filter(|attempt| *attempt > 1);
    block.maybe("attempt", attempt.map(|attempt| attempt.to_string()));
    block.maybe("retry of", it.retry_of.map(|id| id.to_string()));
    block.maybe("retried by", it.retried_by.map(|id| id.to_string()));
    block.maybe("started", it.started_at_ms.map(|at| moment(at, now)));
    block.maybe("ended", it.completed_at_ms.map(|at| moment(at, now)));
    let running = it
        .started_at_ms
        .filter(|_| format::is_open(it))
        .map(|at| now - at);
    block.maybe("time", it.duration_ms.or(running).map(format::duration));
    block.maybe("exit code", exit_code(it));
    let resets = it.resets_at_ms.map(format::date);
    block.maybe("resets", resets);
    block.pair("cause", &cause(it), Style::Warn);
    block.maybe("tokens", it.usage.as_ref().map(tokens));
    block.maybe(
        "left over",
        it.leftovers.filter(|n| *n > 0).map(|n| match n {
            1 => "1 process killed".to_owned(),
            _ => format!("{n} processes killed"),
        }),
    );
    block.maybe("pid", it.pid.map(|pid| pid.to_string()));
    block.pair("session", &it.session_id, Style::Plain);
    if let Some(terms) = &it.terms {
        block.pair("command", &terms::command(terms), Style::Plain);
        block.pair("variables", &terms.env.join(", "), Style::Plain);
        block.pair("limits", &terms::limits(terms), Style::Plain);
        block.maybe("retries", terms::retry(terms));
        block.maybe("budget", terms::budget(terms));
    }
    block.pair("request", &it.request_id, Style::Dim);
    block.pair("uuid", &it.uuid, Style::Dim);
    block.pair("folder", &it.cwd, Style::Plain);
    block.pair("log", &it.log_path, Style::Plain);
    if !it.managed {
        block.pair(
            "note",
            "driven by another tool: shown and followed, never changed",
            Style::Dim,
        );
    }
    block.section("evidence", &evidence(it), EVIDENCE_LINES);
    block.section("prompt", &it.prompt, PROMPT_LINES);
    block.end_of("answer", &it.response, ANSWER_LINES, it.id);
    block.text
}

/// Keys and values under one another.
struct Block {
    text: String,
    colour: bool,
}

impl Block {
    fn pair(&mut self, key: &str, value: &str, style: Style) {
        if !value.is_empty() {
            let key = Style::Dim.paint(self.colour, format!("{key:<KEY$}"));
            let value = style.paint(self.colour, clean_line(value));
            self.text.push_str(&format!("{key}  {value}\n"));
        }
    }

    fn maybe(&mut self, key: &str, value: Option<String>) {
        self.pair(key, &value.unwrap_or_default(), Style::Plain);
    }

    /// A text of several lines, at most so many of them.
    fn section(&mut self, title: &str, text: &str, most: usize) {
        let text = clean(text.trim_end());
        if text.is_empty() {
            return;
        }
        self.title(title);
        for line in text.lines().take(most) {
            self.line(line);
        }
        let more = text.lines().count().saturating_sub(most);
        if more > 0 {
            self.line(&format!("… {more} more lines (--json has them all)"));
        }
    }

    /// The same of a text whose end says more than its beginning. The row itself may have no more than
    /// its end: it is the log that has it whole.
    fn end_of(&mut self, title: &str, text: &str, most: usize, id: i64) {
        let text = clean(text.trim_end());
        if text.is_empty() {
            return;
        }
        self.title(title);
        let before = text.lines().count().saturating_sub(most);
        if before > 0 {
            self.line(&format!(
                "… the last {most} lines (all of it: steroidsctl stream {id} --no-follow)"
            ));
        }
        for line in text.lines().skip(before) {
            self.line(line);
        }
    }

    fn title(&mut self, title: &str) {
        let title = Style::Bold.paint(self.colour, title);
        self.text.push_str(&format!("\n{title}\n"));
    }

    fn line(&mut self, line: &str) {
        self.text.push_str(format!("  {line}").trim_end());
        self.text.push('\n');
    }
}

/// In words, with what to do about it.
fn cause(it: &v1::Invocation) -> String {
    match &*it.cause {
        "unknown_session" => {
            "unknown_session: its CLI does not know the session; start without --resume".to_owned()
        }
        "unreachable" => {
            "unreachable: it had no connection to its provider; --retry overloaded tries again"
                .to_owned()
        }
        cause => cause.to_owned(),
    }
}

/// The one that answers, and by which other name it was asked for.
fn model(it: &v1::Invocation) -> String {
    let model = format::model(it);
    if it.model.is_empty() || it.model == model {
        return model.to_owned();
    }
    format!("{model} (asked for: {})", it.model)
}

/// What the outcome rests on, a line each.
fn evidence(it: &v1::Invocation) -> String {
    let Some(found) = &it.evidence else {
        return String::new();
    };
    let mut lines = Vec::new();
    let mut add = |key: &str, value: &str| {
        if !value.is_empty() {
            lines.push(format!("{key:<KEY$}  {}", clean_line(value)));
        }
    };
    add("ended by", &found.ended_by);
    add("signal", &found.signal);
    let code = exit_code(it).filter(|_| found.signal.is_empty());
    add("exit code", &code.unwrap_or_default());
    let status = it.http_status.map(|status| status.to_string());
    add("HTTP", &status.unwrap_or_default());
    for line in &found.stderr {
        add("stderr", line);
    }
    add("last event", &found.final_event);
    lines.join("\n")
}

/// -1 stands for none.
fn exit_code(it: &v1::Invocation) -> Option<String> {
    let code = it.exit_code.filter(|code| *code >= 0);
    code.map(|code| code.to_string())
}

fn moment(at: i64, now: i64) -> String {
    format!("{} ({})", format::date(at), format::ago(at, now))
}

fn tokens(usage: &v1::Usage) -> String {
    let mut text = format::tokens(usage);
    if usage.cached_input_tokens > 0 {
        let cached = format::count(usage.cached_input_tokens);
        text.push_str(&format!(" ({cached} of it cached)"));
    }
    if let Some(usd) = usage.total_cost_usd {
        let cost = format::cost_of(usd, usage.estimated);
        text.push_str(&format!(", {cost}"));
        if usage.estimated {
            text.push_str(" (estimated)");
        }
    } else {
        text.push_str(", of no known cost");
    }
    if usage.cumulative {
        text.push_str(", with an earlier run of its session");
    }
    text
}
