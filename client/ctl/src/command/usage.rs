//! `usage`: what was used, in tokens and money.

mod csv;
mod table;

use jiff::tz::TimeZone;
use steroids_client::json::usage::{KEYS, key};
use steroids_client::{json, v1};

use self::table::UNNAMED;
use super::list;
use crate::complete;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;
use crate::{moment, parse};

const EXAMPLES: &str = "\
Examples:
  steroidsctl usage
  steroidsctl usage --by task --since 7d
  steroidsctl usage --by day,model --since 2026-11-01 --all-projects
  steroidsctl usage --task T1 --by invocation
  steroidsctl usage --by day --csv > spend.csv
  steroidsctl usage --since today --json | jq .total.totalCostUsd

NEW INPUT is what did not come from a cache, CACHED what did; `show` and `stream` have both in \
one (`67.5k in`).";

/// Which invocations, and how they are put together.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// By what they are put together: invocation, task, project, provider, model, day, role; several
    /// with commas
    #[arg(long, value_name = "KEYS", value_delimiter = ',', value_parser = by, default_value = "provider,model")]
    by: Vec<v1::UsageKey>,
    /// Those that ended since: 12h, 7d, today, yesterday, 22:30, a date (2026-11-01), or one with a time
    #[arg(long, value_name = "WHEN", value_parser = moment::since)]
    since: Option<i64>,
    /// Those that ended until: as --since, but a date with all of its day
    #[arg(long, value_name = "WHEN", value_parser = moment::until)]
    until: Option<i64>,
    /// Of this task
    #[arg(long, short, value_name = "TASK", value_parser = parse::word, add = complete::tasks())]
    task: Option<String>,
    /// Of this provider
    #[arg(long, value_parser = parse::word, add = complete::providers())]
    provider: Option<String>,
    /// Of this model; `(default)`: of none that is known
    #[arg(long)]
    model: Option<String>,
    /// In all registered projects
    #[arg(long)]
    all_projects: bool,
    /// At most so many groups; what is beyond them is summed as one
    #[arg(long, short = 'n', value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(i32).range(1..=10_000))]
    limit: i32,
    /// Print comma-separated values
    #[arg(long, conflicts_with = "json")]
    csv: bool,
}

/// Prints the sums.
pub(crate) async fn run(args: &Args, session: &mut Session) -> Result<Exit, Failure> {
    let (client, project) = session.connect_to(args.all_projects).await?;
    let request = v1::UsageRequest {
        project: project.clone(),
        by: args.by.iter().map(|key| (*key).into()).collect(),
        since_ms: args.since,
        until_ms: args.until,
        task_id: args.task.clone().unwrap_or_default(),
        provider: args.provider.clone().unwrap_or_default(),
        model: args.model.clone().map(asked),
        zone: zone(),
        max_groups: args.limit,
    };
    let used = client.usage(request).await?;
    let is_nothing = used.total.is_none_or(|total| total.invocations == 0);
    // Of a task that there is not, a sum of nothing would say that it cost nothing.
    if let Some(task) = args.task.as_deref()
        && is_nothing
        && !args.all_projects
    {
        list::expect_task(&client, project, task).await?;
    }
    let by = keys(args);
    if session.json {
        session.out.json(&json::usage::Usages::new(&used, &by))?;
    } else if args.csv {
        session.out.bytes(csv::text(&used, &by).as_bytes())?;
    } else if is_nothing {
        session.note("no such invocations");
    } else {
        let width = session.out.width();
        for line in table::lines(&used, &by, width, session.out.colour) {
            session.out.line(line)?;
        }
    }
    if !session.json {
        for project in &used.unread {
            session.note(format_args!(
                "not counted, its database did not answer: {project}"
            ));
        }
    }
    Ok(Exit::Ok)
}

/// A model as the daemon knows it: that of which none is known is shown by a word.
fn asked(model: String) -> String {
    match model.as_str() {
        UNNAMED => String::new(),
        _ => model,
    }
}

/// Those asked for, once each; in all projects a task or an invocation is told with its project.
fn keys(args: &Args) -> Vec<v1::UsageKey> {
    let mut keys = Vec::new();
    let names = [v1::UsageKey::Task, v1::UsageKey::Invocation];
    if args.all_projects && args.by.iter().any(|key| names.contains(key)) {
        keys.push(v1::UsageKey::Project);
    }
    for key in &args.by {
        if !keys.contains(key) {
            keys.push(*key);
        }
    }
    keys
}

fn by(word: &str) -> Result<v1::UsageKey, String> {
    key(word).ok_or_else(|| {
        let words: Vec<_> = KEYS.iter().map(|(word, _)| *word).collect();
        format!("there are {}", words.join(", "))
    })
}

/// The name of the zone here, or the rule in TZ that it goes by; where it has neither, the daemon's own
/// is meant, on the same machine.
fn zone() -> String {
    if let Some(name) = TimeZone::system().iana_name() {
        return name.to_owned();
    }
    let rule = std::env::var("TZ").unwrap_or_default();
    match TimeZone::posix(&rule) {
        Ok(_) => rule,
        Err(_) => String::new(),
    }
}
