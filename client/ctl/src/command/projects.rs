//! `projects`: the folders the daemon serves.

use steroids_client::{json, v1};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::format;
use crate::session::Session;
use crate::table::{Column, Table};
use crate::terminal::Style;

const EXAMPLES: &str = "\
Examples:
  steroidsctl projects
  steroidsctl projects --json | jq -r '.projects[].path'";

/// Nothing but the flags of every command.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {}

/// Lists them.
pub(crate) async fn run(_: &Args, session: &mut Session) -> Result<Exit, Failure> {
    let client = session.connect().await?;
    let projects = client.projects(v1::ListProjectsRequest {}).await?.projects;
    if session.json {
        let items = projects.iter().map(json::Project::from).collect();
        session.out.json(&json::Named {
            name: "projects",
            items,
        })?;
    } else if projects.is_empty() {
        session.note("no projects; make one with: steroidsctl init");
    } else {
        for line in table(&projects).lines(session.out.width(), session.out.colour) {
            session.out.line(line)?;
        }
    }
    Ok(Exit::Ok)
}

const COLUMNS: [Column; 5] = [
    Column::flexible("PROJECT"),
    Column::left("STATE"),
    Column::right("RUNNING"),
    Column::right("REGISTERED"),
    Column::flexible("REASON"),
];

fn table(projects: &[v1::Project]) -> Table<'static> {
    let now = format::now_ms();
    let mut table = Table::new(&COLUMNS);
    for project in projects {
        let style = match project.state.as_str() {
            "ready" => Style::Good,
            "read_only" | "needs_migration" => Style::Warn,
            _ => Style::Bad,
        };
        table.row(vec![
            (project.path.clone(), Style::Plain),
            (project.state.clone(), style),
            (project.running.to_string(), Style::Plain),
            (format::ago(project.registered_at_ms, now), Style::Dim),
            (project.reason.clone(), Style::Plain),
        ]);
    }
    table
}
