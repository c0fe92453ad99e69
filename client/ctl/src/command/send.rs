//! `send`: a message to a running agent.

use std::io::Read;

use steroids_client::v1;
use uuid::Uuid;

use crate::complete;
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
  steroidsctl send 12 --end

Works with agents that were started with --interactive and take messages while they work. One that is \
sent nothing for 30s after a result (`--post-result` of its start) is done, and its input is closed.";

/// To whom, and what.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The invocation
    #[arg(value_parser = parse::id, add = complete::open_invocations())]
    id: i64,
    /// The message; `-` reads standard input
    #[arg(allow_hyphen_values = true, required_unless_present = "end")]
    text: Option<String>,
    /// Nothing more comes: close its input, so that it ends when it is done
    #[arg(long)]
    end: bool,
    /// Send twice with the same id, and it is delivered once
    #[arg(long, value_name = "ID", value_parser = parse::word)]
    message_id: Option<String>,
}

/// Sends it.
pub(crate) async fn run(args: &Args, session: &mut Session) -> Result<Exit, Failure> {
    let text = match args.text.as_deref() {
        Some("-") => stdin()?,
        text => text.unwrap_or_default().to_owned(),
    };
    let message_id = args.message_id.clone();
    let message_id = message_id.unwrap_or_else(|| Uuid::new_v4().to_string());
    let (client, project) = session.connect_to_project().await?;
    let request = v1::SendInputRequest {
        project,
        id: args.id,
        text,
        end: args.end,
        message_id: message_id.clone(),
    };
    let sent = client.send_input(request).await;
    sent.map_err(|status| unsure(status.into(), &message_id))?;
    if session.json {
        session
            .out
            .json(&serde_json::json!({ "id": args.id, "sent": true, "messageId": message_id }))?;
    } else {
        session
            .out
            .line(format_args!("sent to invocation {}", args.id))?;
    }
    Ok(Exit::Ok)
}

/// Where it is not known whether it was delivered, says how to send it again without doing it twice.
fn unsure(failure: Failure, message_id: &str) -> Failure {
    if !matches!(
        failure.exit(),
        Exit::Unreachable | Exit::TimedOut | Exit::TryAgain
    ) {
        return failure;
    }
    let hint = format!("with --message-id {message_id} the same command delivers it once at most");
    match failure.hint().map(str::to_owned) {
        Some(first) => failure.with_hint(format!("{first}\n{hint}")),
        None => failure.with_hint(hint),
    }
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
