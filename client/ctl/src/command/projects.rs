//! `projects`: the folders the daemon serves; lists them, or has it forget one.

use std::path::{Component, Path, PathBuf};

use steroids_client::{json, v1};
use tonic::Status;

use crate::clean::clean_line;
use crate::complete;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::format;
use crate::project;
use crate::session::{self, Session};
use crate::spinner::Spinner;
use crate::table::{Column, Table};
use crate::terminal::Style;

const EXAMPLES: &str = "\
Examples:
  steroidsctl projects
  steroidsctl projects --json | jq -r '.projects[].path'
  steroidsctl projects forget ~/src/app";

const FORGET_EXAMPLES: &str = "\
Examples:
  steroidsctl projects forget ~/src/app
  steroidsctl projects forget ~/gone --discard-transcripts

Deletes nothing in the folder: the first command in it has it served again. Refused while \
something runs or waits in it. Of what ended while its folder was gone only the transcript tells; \
that is deleted only with --discard-transcripts, and without it nothing is done where there is one. \
What was used today stays counted.";

/// What to do about them.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// List them, as without any word
    List,
    /// Serve a project no longer; its files stay as they are
    Forget(ForgetArgs),
}

/// Which one.
#[derive(Debug, clap::Args)]
#[command(after_help = FORGET_EXAMPLES)]
struct ForgetArgs {
    /// Its folder, be it there or not
    #[arg(add = complete::registered())]
    path: PathBuf,
    /// Delete the transcripts of what ended in it and is in no log and no row
    #[arg(long)]
    discard_transcripts: bool,
}

/// Lists them, or forgets one.
pub(crate) async fn run(args: &Args, session: &mut Session) -> Result<Exit, Failure> {
    match &args.action {
        None | Some(Action::List) => list(session).await,
        Some(Action::Forget(args)) => forget(args, session).await,
    }
}

async fn list(session: &mut Session) -> Result<Exit, Failure> {
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

async fn forget(args: &ForgetArgs, session: &mut Session) -> Result<Exit, Failure> {
    let paths = meant(&args.path)?;
    let client = session.connect().await?;
    let mut refused: Option<Status> = None;
    for path in paths {
        let request = v1::ForgetRequest {
            path: path.clone(),
            discard_transcripts: args.discard_transcripts,
        };
        let work = client.forget(request);
        match Spinner::new().during("forgetting", work).await {
            Ok(done) => return report(&path, &done, session),
            Err(status) if session::is_unregistered(&status) => _ = refused.get_or_insert(status),
            Err(status) => return Err(Failure::from(status).unsure()),
        }
    }
    let unknown = || Status::not_found("no such project");
    Err(refused.unwrap_or_else(unknown).into())
}

/// The path as it is typed, and where its folder is: a folder above one that is gone may be another by
/// now, or a link.
fn meant(path: &Path) -> Result<Vec<String>, Failure> {
    let real = session::text(project::named(path)?)?;
    let typed = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let is_plain = typed.components().all(|part| part != Component::ParentDir);
    let typed: PathBuf = typed.components().collect();
    let mut meant = Vec::new();
    if is_plain {
        meant.push(session::text(typed)?);
    }
    if !meant.contains(&real) {
        meant.push(real);
    }
    Ok(meant)
}

fn report(path: &str, done: &v1::ForgetResponse, session: &mut Session) -> Result<Exit, Failure> {
    if session.json {
        session.out.json(&serde_json::json!({
            "path": path,
            "transcripts": done.transcripts,
            "bytes": done.bytes,
        }))?;
        return Ok(Exit::Ok);
    }
    let shown = clean_line(path);
    session
        .out
        .line(format_args!("{shown} is no longer served"))?;
    if done.transcripts > 0 {
        let noun = if done.transcripts == 1 {
            "transcript"
        } else {
            "transcripts"
        };
        let bytes = format::bytes(done.bytes);
        session
            .out
            .line(format_args!("deleted {} {noun}, {bytes}", done.transcripts))?;
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
