//! `hooks`: who is told of what, how that goes, and a test of it.

use steroids_client::{json, v1};

use crate::clean::clean_line;
use crate::complete;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::format;
use crate::session::Session;
use crate::spinner::Spinner;
use crate::table::{Column, Table};
use crate::terminal::Style;

const EXAMPLES: &str = "\
Examples:
  steroidsctl hooks
  steroidsctl hooks test alarm
  steroidsctl hooks --json | jq '.hooks[] | select(.state != \"ready\")'

Hooks are configured: [[hooks]] in config.toml.";

const TEST_EXAMPLES: &str = "\
Examples:
  steroidsctl hooks test alarm

Sends an event named `test`, once. Ends with 4 where it was not delivered. A hook that was switched off \
by its endpoint, or had given up, is ready again where it was.";

/// What to do with them; without a word, list them.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: Option<What>,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Deliver a test now, and say what came of it
    Test(TestArgs),
}

/// Which one.
#[derive(Debug, clap::Args)]
#[command(after_help = TEST_EXAMPLES)]
struct TestArgs {
    /// The hook's name
    #[arg(add = complete::hooks())]
    name: String,
}

/// Does it.
pub(crate) async fn run(args: &Args, session: &mut Session) -> Result<Exit, Failure> {
    match &args.what {
        Some(What::Test(args)) => test(&args.name, session).await,
        None => list(session).await,
    }
}

async fn test(name: &str, session: &mut Session) -> Result<Exit, Failure> {
    let client = session.connect().await?;
    let request = v1::TestHookRequest {
        name: name.to_owned(),
    };
    let work = client.test_hook(request);
    let tested = Spinner::new().during("delivering", work).await;
    let tested = tested.map_err(|status| Failure::from(status).unsure())?;
    if session.json {
        session.out.json(&json::HookTest {
            name,
            delivered: tested.delivered,
            message: &tested.message,
            duration_ms: tested.duration_ms,
        })?;
    } else {
        let word = if tested.delivered {
            "delivered"
        } else {
            "not delivered"
        };
        let took = format::duration(tested.duration_ms);
        let mut line = format!("{word} in {took}");
        if !tested.message.is_empty() {
            line.push_str(": ");
            line.push_str(&clean_line(&tested.message));
        }
        session.out.line(line)?;
    }
    Ok(if tested.delivered {
        Exit::Ok
    } else {
        Exit::Refused
    })
}

async fn list(session: &mut Session) -> Result<Exit, Failure> {
    let client = session.connect().await?;
    let hooks = client.hooks(v1::ListHooksRequest {}).await?.hooks;
    if session.json {
        let items = hooks.iter().map(json::Hook::from).collect();
        session.out.json(&json::Named {
            name: "hooks",
            items,
        })?;
    } else if hooks.is_empty() {
        session.note("no hooks; they are configured: [[hooks]] in config.toml");
    } else {
        for line in table(&hooks).lines(session.out.width(), session.out.colour) {
            session.out.line(line)?;
        }
    }
    Ok(Exit::Ok)
}

const COLUMNS: [Column; 7] = [
    Column::left("HOOK"),
    Column::left("STATE"),
    Column::flexible("ON"),
    Column::flexible("TO"),
    Column::right("DELIVERED"),
    Column::right("LAST"),
    Column::flexible("REASON"),
];

fn table(hooks: &[v1::Hook]) -> Table<'static> {
    let now = format::now_ms();
    let mut table = Table::new(&COLUMNS);
    for hook in hooks {
        let style = match hook.state.as_str() {
            "ready" => Style::Good,
            "failing" | "idle" => Style::Warn,
            _ => Style::Bad,
        };
        let last = hook
            .last_delivery_at_ms
            .map_or_else(|| "never".to_owned(), |at| format::ago(at, now));
        table.row(vec![
            (hook.name.clone(), Style::Plain),
            (hook.state.clone(), style),
            (hook.on.join(","), Style::Dim),
            (hook.target.clone(), Style::Plain),
            (hook.delivered.to_string(), Style::Plain),
            (last, Style::Dim),
            (reason(hook, now), Style::Plain),
        ]);
    }
    table
}

/// Why it is not ready, what it left out, and when it goes on.
fn reason(hook: &v1::Hook, now: i64) -> String {
    let mut said = Vec::new();
    if !hook.last_error.is_empty() {
        said.push(hook.last_error.clone());
    } else if !hook.note.is_empty() {
        said.push(hook.note.clone());
    }
    for (count, word) in [(hook.given_up, "given up"), (hook.skipped, "passed over")] {
        if count > 0 {
            said.push(format!("{count} {word}"));
        }
    }
    if let Some(next) = hook.next_attempt_at_ms {
        let wait = format::duration((next - now).max(0));
        said.push(format!("next attempt in {wait}"));
    }
    said.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_says_what_went_wrong_what_was_left_out_and_when_it_goes_on() {
        let hook = v1::Hook {
            last_error: "answered 500 Internal Server Error".to_owned(),
            given_up: 2,
            skipped: 7,
            next_attempt_at_ms: Some(61_000),
            ..v1::Hook::default()
        };
        assert_eq!(
            reason(&hook, 1_000),
            "answered 500 Internal Server Error; 2 given up; 7 passed over; next attempt in 1m 00s"
        );
        assert_eq!(reason(&v1::Hook::default(), 0), "");
    }
}
