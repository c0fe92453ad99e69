//! `tasks`: the project's tasks, with what runs for each.

use steroids_client::{json, v1};

use super::list;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::format;
use crate::session::Session;
use crate::table::{Column, Table};
use crate::terminal::Style;

/// The daemon's own bound on a page.
const PAGE: i32 = 1000;

const EXAMPLES: &str = "\
Examples:
  steroidsctl tasks
  steroidsctl tasks --running
  steroidsctl tasks --json | jq -r '.tasks[].id'";

/// Which ones.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// Those with a running invocation
    #[arg(long)]
    running: bool,
}

/// Lists them.
pub(crate) async fn run(args: &Args, session: &mut Session) -> Result<Exit, Failure> {
    let (client, project) = session.connect_to_project().await?;
    let mut request = v1::ListTasksRequest {
        project,
        page_size: PAGE,
        page_token: String::new(),
    };
    let mut tasks = Vec::new();
    loop {
        let page = client.tasks(request.clone()).await?;
        tasks.extend(
            page.tasks
                .into_iter()
                .filter(|task| !args.running || task.running > 0),
        );
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    if session.json {
        let items = tasks.iter().map(json::Task::from).collect();
        session.out.json(&json::Named {
            name: "tasks",
            items,
        })?;
    } else if tasks.is_empty() && args.running {
        session.note("no task has a running invocation");
    } else if tasks.is_empty() {
        session.note("no tasks; one is made by: steroidsctl start --task T1 --prompt 'what to do'");
    } else {
        for line in table(&tasks).lines(session.out.width(), session.out.colour) {
            session.out.line(line)?;
        }
    }
    Ok(Exit::Ok)
}

const COLUMNS: [Column; 7] = [
    Column::flexible("TASK"),
    Column::flexible("TITLE"),
    Column::left("STATUS"),
    Column::right("RUNNING"),
    Column::right("INVOCATIONS"),
    Column::left("LAST STATE"),
    Column::right("LAST STARTED"),
];

fn table(tasks: &[v1::Task]) -> Table<'static> {
    let now = format::now_ms();
    let mut table = Table::new(&COLUMNS);
    for task in tasks {
        let running = if task.running > 0 {
            Style::Accent
        } else {
            Style::Dim
        };
        let last = task.last_started_at_ms.map(|at| format::ago(at, now));
        table.row(vec![
            (task.id.clone(), Style::Bold),
            (task.title.clone(), Style::Plain),
            (task.status.clone(), Style::Plain),
            (task.running.to_string(), running),
            (task.invocations.to_string(), Style::Plain),
            last_state(task),
            (last.unwrap_or_default(), Style::Plain),
        ]);
    }
    table
}

/// How its newest invocation is, or ended.
fn last_state(task: &v1::Task) -> (String, Style) {
    let word = match (task.last_state(), task.last_outcome.as_str()) {
        (v1::State::Unspecified, _) => return (String::new(), Style::Plain),
        (_, "") => json::state(task.last_state),
        (_, outcome) => outcome,
    };
    (word.to_owned(), list::style(word))
}
