//! `holds`: providers of which nothing is started for now, since a limit was reached or somebody wants
//! it so.

use std::time::Duration;

use jiff::Timestamp;
use steroids_client::{Client, json, v1};

use crate::clean::clean_line;
use crate::complete;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::format;
use crate::parse;
use crate::session::Session;

const EXAMPLES: &str = "\
Examples:
  steroidsctl holds
  steroidsctl holds lift claude
  steroidsctl holds set claude --for 1h
  steroidsctl holds set codex --until 2026-12-24T18:00:00Z

A provider whose limit is reached is held until the limit is over; what is to start waits for that,
and starts by itself. No hold lasts longer than 8 days.";

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
    /// End a hold before its time
    Lift {
        /// The provider
        #[arg(add = complete::providers())]
        provider: String,
    },
    /// Start nothing of a provider for a while
    Set {
        /// The provider
        #[arg(add = complete::providers())]
        provider: String,
        /// For so long
        #[arg(long = "for", value_name = "TIME", value_parser = parse::duration, required_unless_present = "until")]
        length: Option<Duration>,
        /// Until this time, such as 2026-12-24T18:00:00Z
        #[arg(long, value_name = "TIME", conflicts_with = "length")]
        until: Option<Timestamp>,
    },
}

/// Shows or changes them.
pub(crate) async fn run(args: Args, session: &mut Session) -> Result<Exit, Failure> {
    let client = session.connect().await?;
    match args.action {
        None | Some(Action::List) => {
            let answer = client.list_holds(v1::ListHoldsRequest {}).await?;
            show(session, &answer.holds)?;
            if answer.holds.is_empty() && !session.json {
                session.note("no provider is held");
            }
        }
        Some(Action::Set {
            provider,
            length,
            until,
        }) => {
            let until = until.map(Timestamp::as_millisecond);
            let length = length.unwrap_or_default().as_millis();
            let length = i64::try_from(length).unwrap_or(i64::MAX);
            let until_ms = until.unwrap_or(format::now_ms().saturating_add(length));
            if until_ms <= format::now_ms() {
                return Err(Failure::usage("that time is past"));
            }
            let request = v1::SetHoldRequest { provider, until_ms };
            let answer = client.set_hold(request).await?;
            show(session, &answer.holds)?;
        }
        Some(Action::Lift { provider }) => lift(&client, provider, session).await?,
    }
    Ok(Exit::Ok)
}

async fn lift(client: &Client, provider: String, session: &mut Session) -> Result<(), Failure> {
    let request = v1::LiftHoldRequest {
        provider: provider.clone(),
    };
    let lifted = client.lift_hold(request).await?.lifted;
    if session.json {
        session.out.json(&serde_json::json!({ "lifted": lifted }))?;
    } else if lifted {
        session.note(format!("{provider} is no longer held"));
    } else {
        session.note(format!("{provider} was not held"));
    }
    Ok(())
}

fn show(session: &mut Session, holds: &[v1::Hold]) -> Result<(), Failure> {
    if session.json {
        let items = holds.iter().map(json::Hold::from).collect();
        session.out.json(&json::Named {
            name: "holds",
            items,
        })?;
        return Ok(());
    }
    for hold in holds {
        session.out.line(line(hold))?;
    }
    Ok(())
}

/// `claude is held until 2026-11-26T14:00:00Z (rate_limited)`
pub(crate) fn line(hold: &v1::Hold) -> String {
    let until = Timestamp::from_millisecond(hold.until_ms);
    let until = until.map_or_else(|_| "?".to_owned(), |until| format!("{until:.0}"));
    clean_line(&format!(
        "{} is held until {until} ({})",
        hold.provider, hold.reason
    ))
}
