//! `reproject`: the logs of ended invocations made anew from their transcripts.

use serde_json::{Value, json as object};
use steroids_client::{Client, Refusal, json, v1};
use tonic::Status;

use crate::clean::clean_line;
use crate::complete;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::parse;
use crate::session::Session;
use crate::spinner::Spinner;
use crate::terminal::Style;

const EXAMPLES: &str = "\
Examples:
  steroidsctl reproject 12               reads anew what 12 printed
  steroidsctl reproject 12 --dry-run     says it, and changes nothing
  steroidsctl reproject --all            every ended invocation of the project
  steroidsctl reproject --all --task T1
  steroidsctl reproject --all --restore  also logs that were deleted

A log is written anew only where it differs, and its row follows: outcome, error, answer, tokens. \
What is certain stays: exit code, times, who ended it. Who follows the log gets a `gap`, then all \
of it. Ctrl-C leaves each log whole: the old one or the new one.";

/// So many at a time come from the daemon.
const PAGE: i32 = 1000;

/// Reasons for which one among all is passed over; no fault.
const SKIPPED: [(&str, &str); 4] = [
    ("SPOOL_GONE", "transcript gone"),
    ("LOG_DELETED", "log deleted"),
    ("NOT_MANAGED", "another tool's"),
    ("STILL_RUNNING", "running"),
];

/// Which logs.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, group = clap::ArgGroup::new("which").required(true))]
pub(crate) struct Args {
    /// The invocation
    #[arg(value_parser = parse::id, add = complete::ended_invocations(), group = "which")]
    id: Option<i64>,
    /// Every ended invocation of the project
    #[arg(long, group = "which")]
    all: bool,
    /// With --all: of this task
    #[arg(long, short, value_name = "TASK", value_parser = parse::word, add = complete::tasks(), requires = "all")]
    task: Option<String>,
    /// Change nothing, say what would change
    #[arg(long)]
    dry_run: bool,
    /// With --all: make logs that were deleted, too
    #[arg(long, requires = "all")]
    restore: bool,
}

/// Makes them anew, and says what changed.
pub(crate) async fn run(args: &Args, session: &mut Session) -> Result<Exit, Failure> {
    let (client, project) = session.connect_to_project().await?;
    let Some(id) = args.id else {
        return all(args, session, &client, project).await;
    };
    let request = v1::ReprojectRequest {
        project,
        id,
        dry_run: args.dry_run,
        // Who names it wants it.
        restore: true,
    };
    let work = client.reproject(request);
    let done = Spinner::new().during("reading the transcript", work).await;
    let done = done.map_err(|status| Failure::from(status).unsure())?;
    if session.json {
        session.out.json(&shape(id, &done, args.dry_run))?;
    } else {
        print(session, id, &done, args.dry_run)?;
    }
    Ok(Exit::Ok)
}

/// What became of all.
#[derive(Default)]
struct Sum {
    shapes: Vec<Value>,
    changed: usize,
    unchanged: usize,
    /// As many as there are of [`SKIPPED`].
    skipped: [usize; SKIPPED.len()],
    failed: usize,
}

async fn all(
    args: &Args,
    session: &mut Session,
    client: &Client,
    project: String,
) -> Result<Exit, Failure> {
    let ids = ended(client, &project, args.task.clone().unwrap_or_default()).await?;
    let mut sum = Sum::default();
    for id in ids {
        let request = v1::ReprojectRequest {
            project: project.clone(),
            id,
            dry_run: args.dry_run,
            restore: args.restore,
        };
        let what = format!("reading the transcript of {id}");
        match Spinner::new()
            .during(&what, client.reproject(request))
            .await
        {
            Ok(done) => sum.done(session, id, &done, args.dry_run)?,
            Err(status) => sum.refused(session, id, status)?,
        }
        session.out.flush()?;
    }
    let exit = match sum.failed {
        0 => Exit::Ok,
        _ => Exit::Refused,
    };
    if session.json {
        session.out.json(&json::Named {
            name: "invocations",
            items: sum.shapes,
        })?;
    } else {
        session.out.line(sum.line(args.dry_run))?;
    }
    Ok(exit)
}

/// The ended ones, newest first: what they came to is what people look at.
async fn ended(client: &Client, project: &str, task: String) -> Result<Vec<i64>, Failure> {
    let states = [v1::State::Completed, v1::State::Failed, v1::State::Timeout];
    let mut request = v1::ListRequest {
        project: project.to_owned(),
        task_id: task,
        states: states.map(i32::from).into(),
        page_size: PAGE,
        ..Default::default()
    };
    let mut ids = Vec::new();
    loop {
        let page = client.list(request.clone()).await?;
        ids.extend(page.invocations.iter().map(|it| it.id));
        if page.next_page_token.is_empty() {
            return Ok(ids);
        }
        request.page_token = page.next_page_token;
    }
}

impl Sum {
    fn done(
        &mut self,
        session: &mut Session,
        id: i64,
        done: &v1::ReprojectResponse,
        is_dry: bool,
    ) -> Result<(), Failure> {
        if session.json {
            self.shapes.push(shape(id, done, is_dry));
        }
        if done.result == "unchanged" {
            self.unchanged += 1;
            return Ok(());
        }
        self.changed += 1;
        match session.json {
            true => Ok(()),
            false => print(session, id, done, is_dry),
        }
    }

    /// One that was not made anew; an error where no further one would be.
    fn refused(&mut self, session: &mut Session, id: i64, status: Status) -> Result<(), Failure> {
        if Refusal::is_broken(&status) {
            return Err(status.into());
        }
        let reason = Refusal::of(&status).reason.unwrap_or_default();
        let skipped = SKIPPED.iter().position(|(known, _)| *known == reason);
        let failure = Failure::from(status);
        if session.json {
            self.shapes.push(object!({
                "id": id,
                "result": if skipped.is_some() { "skipped" } else { "failed" },
                "reason": reason,
                "message": failure.message(),
            }));
        }
        match skipped {
            Some(at) => self.skipped[at] += 1,
            None => {
                self.failed += 1;
                session.note(format_args!("{id}: {}", failure.message()));
            }
        }
        Ok(())
    }

    fn line(&self, is_dry: bool) -> String {
        let changed = if is_dry { "would change" } else { "changed" };
        let mut line = format!("{} {changed}, {} unchanged", self.changed, self.unchanged);
        for ((_, why), count) in SKIPPED.iter().zip(self.skipped) {
            if count > 0 {
                line.push_str(&format!(", {count} skipped ({why})"));
            }
        }
        if self.failed > 0 {
            line.push_str(&format!(", {} failed", self.failed));
        }
        line
    }
}

fn shape(id: i64, done: &v1::ReprojectResponse, is_dry: bool) -> Value {
    let types = done.types.iter();
    let types =
        types.map(|it| object!({"type": it.r#type, "before": it.before, "after": it.after}));
    let row = done.row.iter();
    let row = row.map(|it| object!({"field": it.field, "before": it.before, "after": it.after}));
    object!({
        "id": id,
        "result": done.result,
        "lines": {"before": done.lines_before, "after": done.lines_after},
        "types": types.collect::<Vec<_>>(),
        "unknown": {"before": done.unknown_before, "after": done.unknown_after},
        "row": row.collect::<Vec<_>>(),
        "dryRun": is_dry,
    })
}

fn print(
    session: &mut Session,
    id: i64,
    done: &v1::ReprojectResponse,
    is_dry: bool,
) -> Result<(), Failure> {
    let colour = session.out.colour;
    let id = Style::Bold.paint(colour, id);
    session
        .out
        .line(format_args!("{id}  {}", headline(done, is_dry)))?;
    for (key, value) in details(done) {
        let key = Style::Dim.paint(colour, format!("{key:<13}"));
        session
            .out
            .line(format_args!("    {key}  {}", clean_line(&value)))?;
    }
    Ok(())
}

fn headline(done: &v1::ReprojectResponse, is_dry: bool) -> String {
    let lines = if done.lines_before == done.lines_after {
        format!("{} lines", done.lines_after)
    } else {
        format!("{} -> {} lines", done.lines_before, done.lines_after)
    };
    let what = match (done.result.as_str(), is_dry) {
        ("unchanged", _) => return format!("unchanged, {lines}"),
        ("rebuilt", false) => "log written anew",
        ("rebuilt", true) => "log would be written anew",
        ("restored", false) => "log is back",
        ("restored", true) => "log would be back",
        ("row", false) => "log unchanged, row judged anew",
        ("row", true) => "log unchanged, row would be judged anew",
        (other, _) => other,
    };
    format!("{what}, {lines}")
}

/// What changed, line by line.
fn details(done: &v1::ReprojectResponse) -> Vec<(String, String)> {
    let mut details = Vec::new();
    // That a whole log is new needs no count of each type.
    if done.result != "restored" && !done.types.is_empty() {
        let types = done.types.iter();
        let types = types.map(|it| format!("{} {} -> {}", it.r#type, it.before, it.after));
        details.push(("types".to_owned(), types.collect::<Vec<_>>().join(", ")));
    }
    if done.unknown_after > 0 {
        let still = format!("{} that no parser knows", done.unknown_after);
        details.push(("unknown".to_owned(), still));
    }
    for change in &done.row {
        let shown = |value: &str| match value {
            "" => "(none)".to_owned(),
            value => value.to_owned(),
        };
        let value = format!("{} -> {}", shown(&change.before), shown(&change.after));
        details.push((change.field.replace('_', " "), value));
    }
    details
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(result: &str, before: i64, after: i64) -> v1::ReprojectResponse {
        v1::ReprojectResponse {
            result: result.to_owned(),
            lines_before: before,
            lines_after: after,
            ..Default::default()
        }
    }

    #[test]
    fn a_dry_run_says_would() {
        assert_eq!(
            headline(&done("rebuilt", 12, 10), true),
            "log would be written anew, 12 -> 10 lines"
        );
        assert_eq!(
            headline(&done("unchanged", 3, 3), true),
            "unchanged, 3 lines"
        );
    }

    #[test]
    fn what_changed_is_told_by_type_and_column() {
        let done = v1::ReprojectResponse {
            types: vec![v1::TypeCount {
                r#type: "unknown".to_owned(),
                before: 4,
                after: 1,
            }],
            unknown_before: 4,
            unknown_after: 1,
            row: vec![v1::RowChange {
                field: "session_id".to_owned(),
                before: String::new(),
                after: "s1".to_owned(),
            }],
            ..done("rebuilt", 9, 6)
        };
        let told = details(&done);
        let told: Vec<_> = told.iter().map(|(key, value)| (&**key, &**value)).collect();
        assert_eq!(
            told,
            [
                ("types", "unknown 4 -> 1"),
                ("unknown", "1 that no parser knows"),
                ("session id", "(none) -> s1"),
            ]
        );
    }

    #[test]
    fn the_sum_names_only_what_there_is() {
        let mut sum = Sum {
            changed: 3,
            unchanged: 25,
            ..Sum::default()
        };
        assert_eq!(sum.line(false), "3 changed, 25 unchanged");
        sum.skipped[0] = 2;
        sum.failed = 1;
        assert_eq!(
            sum.line(true),
            "3 would change, 25 unchanged, 2 skipped (transcript gone), 1 failed"
        );
    }
}
