//! `send`: a message to a running agent.

use std::io::Read;

use steroids_client::v1;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::parse;
use crate::session::Session;

/// The contract's bound on a message to the daemon, less the envelope.
const LONGEST: u64 = 3 * 1024 * 1024;

const EXAMPLES: &str = "\
Examples:
  steroidsctl send 12 'also update the changelog'
  git diff | steroidsctl send 12 -

Works with agents that were started with --interactive and take messages while they work.";

/// To whom, and what.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The invocation
    #[arg(value_parser = parse::id)]
    id: i64,
    /// The message; `-` reads standard input
    #[arg(allow_hyphen_values = true)]
    text: String,
}

/// Sends it.
pub(crate) async fn run(args: &Args, session: &mut Session) -> Result<Exit, Failure> {
    let text = if args.text == "-" {
        stdin()?
    } else {
        args.text.clone()
    };
    let (client, project) = session.connect_to_project().await?;
    let request = v1::SendInputRequest {
        project,
        id: args.id,
        text,
    };
    client.send_input(request).await?;
    if session.json {
        session
            .out
            .json(&serde_json::json!({ "id": args.id, "sent": true }))?;
    } else {
        session
            .out
            .line(format_args!("sent to invocation {}", args.id))?;
    }
    Ok(Exit::Ok)
}

fn stdin() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin()
        .lock()
        .take(LONGEST)
        .read_to_string(&mut text)
        .map_err(|error| Failure::usage(format!("cannot read standard input: {error}")))?;
    Ok(text)
}
