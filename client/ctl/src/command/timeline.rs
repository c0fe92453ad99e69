//! `timeline`: a task's story over all its invocations, sampled by the daemon.

use steroids_client::v1;

use super::list;
use crate::complete;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::parse;
use crate::render::{Prefix, Renderer};
use crate::session::Session;

const EXAMPLES: &str = "\
Examples:
  steroidsctl timeline --task T1
  steroidsctl timeline --task T1 --sample 1      every line
  steroidsctl timeline --task T1 --json | jq -r '.timeline[].type'

Shows where each invocation began and ended, every tool call, and of all lines every tenth.";

const BEGIN: &[u8] = b"{\"timeline\":[";

/// Which task, and how closely.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The task
    #[arg(long, short, value_name = "TASK", value_parser = parse::word, add = complete::tasks())]
    task: String,
    /// Of all lines, show each of this number; tool calls are shown all
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(i32).range(1..))]
    sample: i32,
    /// Leave control bytes in
    #[arg(long)]
    raw: bool,
}

/// Prints the entries as they arrive: a long timeline is never held whole.
pub(crate) async fn run(args: &Args, session: &mut Session) -> Result<Exit, Failure> {
    let (client, project) = session.connect_to_project().await?;
    let request = v1::TimelineRequest {
        project: project.clone(),
        task_id: args.task.clone(),
        sample: args.sample,
    };
    let mut chunks = client.timeline(request).await?;
    let mut renderer = Renderer::new(session.out.colour, args.raw, Prefix::Invocation);
    let mut count: u64 = 0;
    while let Some(chunk) = chunks.message().await? {
        for entry in &chunk.entries {
            if session.json {
                session.out.bytes(if count == 0 { BEGIN } else { b"," })?;
                session.out.encoded(entry)?;
            } else {
                session.out.bytes(renderer.entry(entry).as_bytes())?;
            }
            count += 1;
        }
    }
    if count == 0 {
        list::expect_task(&client, project, &args.task).await?;
    }
    if session.json {
        session.out.bytes(if count == 0 { BEGIN } else { b"" })?;
        session.out.bytes(b"]}\n")?;
    } else if count == 0 {
        session.note(format!("task {} has no invocations yet", args.task));
    }
    Ok(Exit::Ok)
}
