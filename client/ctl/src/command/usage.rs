//! `usage`: what was used, in tokens and money.

mod csv;
mod table;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{ToSpan, Zoned};
use steroids_client::json::usage::key;
use steroids_client::{json, v1};

use crate::complete;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;
use crate::{format, parse};

const EXAMPLES: &str = "\
Examples:
  steroidsctl usage
  steroidsctl usage --by task --since 7d
  steroidsctl usage --by day,model --since 2026-11-01 --until 2026-11-30 --all-projects
  steroidsctl usage --task T1 --by invocation
  steroidsctl usage --by day --csv > spend.csv
  steroidsctl usage --since today --json | jq .total.totalCostUsd";

/// Which invocations, and how they are put together.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// By what they are put together: invocation, task, project, provider, model, day, role; several
    /// with commas
    #[arg(long, value_name = "KEYS", value_delimiter = ',', value_parser = by, default_value = "provider,model")]
    by: Vec<v1::UsageKey>,
    /// Those that ended since: 12h, 7d, today, or a date (2026-11-01)
    #[arg(long, value_name = "WHEN", value_parser = since)]
    since: Option<i64>,
    /// Those that ended until: as --since, but a date with all of its day
    #[arg(long, value_name = "WHEN", value_parser = until)]
    until: Option<i64>,
    /// Of this task
    #[arg(long, short, value_name = "TASK", add = complete::tasks())]
    task: Option<String>,
    /// Of this provider
    #[arg(long, add = complete::providers())]
    provider: Option<String>,
    /// Of this model
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
        project,
        by: args.by.iter().map(|key| (*key).into()).collect(),
        since_ms: args.since,
        until_ms: args.until,
        task_id: args.task.clone().unwrap_or_default(),
        provider: args.provider.clone().unwrap_or_default(),
        model: args.model.clone(),
        zone: zone(),
        max_groups: args.limit,
    };
    let used = client.usage(request).await?;
    let by = keys(args);
    if session.json {
        session.out.json(&json::usage::Usages::new(&used, &by))?;
    } else if args.csv {
        session.out.bytes(csv::text(&used, &by).as_bytes())?;
    } else if used.total.is_none_or(|total| total.invocations == 0) {
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
        "there are invocation, task, project, provider, model, day and role".to_owned()
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

fn since(text: &str) -> Result<i64, String> {
    moment(text, 0)
}

/// A date counts with all of its day.
fn until(text: &str) -> Result<i64, String> {
    moment(text, 1)
}

/// `12h` before now, or the midnight at which a day begins here, so many days later.
fn moment(text: &str, days: i64) -> Result<i64, String> {
    let date = match text {
        "today" => Some(Zoned::now().date()),
        text => text.parse::<Date>().ok(),
    };
    let Some(date) = date else {
        let before = parse::back(text)?;
        let before = i64::try_from(before.as_millis()).unwrap_or(i64::MAX);
        return Ok(format::now_ms().saturating_sub(before));
    };
    let began = date.checked_add(days.days());
    let began = began.and_then(|date| date.to_zoned(TimeZone::system()));
    let began = began.map_err(|error| error.to_string())?;
    Ok(began.timestamp().as_millisecond())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_durations_back_or_days_here() {
        const DAY: i64 = 24 * 3600 * 1000;
        let (from, to) = (since("2026-11-01").unwrap(), until("2026-11-01").unwrap());
        assert!((DAY - 3 * 3600 * 1000..=DAY + 3 * 3600 * 1000).contains(&(to - from)));
        let earliest = format::now_ms() - 7 * DAY;
        let began = since("7d").unwrap();
        assert!((earliest..=format::now_ms() - 7 * DAY).contains(&began));
        assert!(since("today").unwrap() <= format::now_ms());
        for wrong in ["", "none", "yesterday", "2026-13-01", "7"] {
            assert!(
                since(wrong).unwrap_err().contains("a time is 12h"),
                "{wrong}"
            );
        }
        assert_eq!(
            since("400d").unwrap_err(),
            "longer than a year; name the date instead, such as 2026-11-01"
        );
    }
}
