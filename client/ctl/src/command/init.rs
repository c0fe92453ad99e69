//! `init`: makes a folder a project and has the daemon serve it.

use steroids_client::{json, v1};

use crate::clean::clean_line;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::session::Session;

const EXAMPLES: &str = "\
Examples:
  steroidsctl init
  steroidsctl init --project ~/src/app

Creates .steroids/ with its database, and registers the folder with the daemon. In a folder that \
is a project already it only registers it; files that are there are never touched.";

/// Nothing but the flags of every command.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {}

/// Registers the folder, creating what a project needs.
pub(crate) async fn run(_: &Args, session: &mut Session) -> Result<Exit, Failure> {
    let path = session.project_to_be()?;
    let client = session.connect().await?;
    let request = v1::RegisterRequest {
        path: path.clone(),
        init: true,
    };
    let answer = client.register(request).await;
    let answer = answer.map_err(|status| Failure::from(status).unsure())?;
    let project = answer.project.unwrap_or(v1::Project {
        path,
        ..Default::default()
    });
    if session.json {
        let mut shape = json::Project::from(&project);
        shape.created = Some(answer.created);
        session.out.json(&shape)?;
        return Ok(Exit::Ok);
    }
    let shown = clean_line(&project.path);
    if answer.created {
        session.out.line(format_args!("{shown} is a project now"))?;
        session.out.flush()?;
        session.note("next: steroidsctl start --task T1 --prompt 'what to do' --follow");
    } else {
        session
            .out
            .line(format_args!("{shown} is a project already"))?;
        session.out.flush()?;
    }
    if !project.reason.is_empty() {
        session.note(&project.reason);
    }
    Ok(Exit::Ok)
}
