//! `holds`: providers of which nothing is started for now, since a limit was reached or somebody wants
//! it so.

use std::time::Duration;

use steroids_client::{Client, json, v1};

use crate::clean::clean_line;
use crate::complete;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::format;
use crate::moment;
use crate::parse;
use crate::session::Session;

const EXAMPLES: &str = "\
Examples:
  steroidsctl holds
  steroidsctl holds lift claude
  steroidsctl holds set claude --for 1h
  steroidsctl holds set codex gemini --until 2026-12-24T18:00:00Z
  steroidsctl holds set --all --for 8h   all of them; what runs goes on

A provider whose limit is reached is held until the limit is over; what is to start waits for that, \
and starts by itself. A limit that lasts longer than what is set stands, and one that is not over when \
that is lifted with --all holds on; lifted by its name a provider is held by neither. No hold lasts \
longer than 8 days.";

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
        #[command(flatten)]
        which: Which,
    },
    /// Start nothing of a provider for a while
    Set {
        #[command(flatten)]
        which: Which,
        /// For so long
        #[arg(long = "for", value_name = "TIME", value_parser = parse::duration, required_unless_present = "until")]
        length: Option<Duration>,
        /// Until this time: 08:00, "2026-12-24 18:00", 2026-12-24T18:00:00Z
        #[arg(long, value_name = "TIME", conflicts_with = "length", value_parser = moment::coming)]
        until: Option<i64>,
    },
}

/// Whose holds.
#[derive(Debug, clap::Args)]
struct Which {
    /// The providers
    #[arg(value_name = "PROVIDER", required_unless_present = "all", add = complete::providers())]
    providers: Vec<String>,
    /// All of them; to lift, those that were held by hand
    #[arg(long, conflicts_with = "providers")]
    all: bool,
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
            which,
            length,
            until,
        }) => {
            let length = length.unwrap_or_default().as_millis();
            let length = i64::try_from(length).unwrap_or(i64::MAX);
            let until_ms = until.unwrap_or(format::now_ms().saturating_add(length));
            if until_ms <= format::now_ms() {
                return Err(Failure::usage("that time is past"));
            }
            let providers = match which.all {
                true => {
                    let status = client.status(v1::StatusRequest {}).await?;
                    let holds = status.holds.iter();
                    let is_longer = |hold: &v1::Hold| hold.until_ms >= until_ms;
                    let names = status.providers.into_iter().map(|it| it.name);
                    // One that lasts longer is not made shorter by the way.
                    names
                        .filter(|name| {
                            !holds
                                .clone()
                                .any(|it| it.provider == *name && is_longer(it))
                        })
                        .collect()
                }
                false => which.providers,
            };
            let mut failed: Option<Failure> = None;
            for provider in providers {
                let request = v1::SetHoldRequest { provider, until_ms };
                if let Err(error) = client.set_hold(request).await {
                    failed.get_or_insert(Failure::from(error).unsure());
                }
            }
            match (client.list_holds(v1::ListHoldsRequest {}).await, failed) {
                (Ok(answer), failed) => {
                    show(session, &answer.holds)?;
                    if let Some(failure) = failed {
                        return Err(failure);
                    }
                }
                (Err(_), Some(failure)) => return Err(failure),
                (Err(error), None) => return Err(error.into()),
            }
        }
        Some(Action::Lift { which }) => {
            let providers = match which.all {
                true => {
                    let answer = client.list_holds(v1::ListHoldsRequest {}).await?;
                    let by_hand = answer.holds.into_iter().filter(|it| it.reason == "by hand");
                    let by_hand: Vec<_> = by_hand.map(|it| it.provider).collect();
                    if by_hand.is_empty() && !session.json {
                        session.note("no provider is held by hand");
                    }
                    by_hand
                }
                false => which.providers,
            };
            let mut failed = None;
            for provider in providers {
                if let Err(failure) = lift(&client, provider, which.all, session).await {
                    failed.get_or_insert(failure);
                }
            }
            if let Some(failure) = failed {
                return Err(failure);
            }
        }
    }
    Ok(Exit::Ok)
}

async fn lift(
    client: &Client,
    provider: String,
    by_hand: bool,
    session: &mut Session,
) -> Result<(), Failure> {
    let request = v1::LiftHoldRequest {
        provider: provider.clone(),
        by_hand,
    };
    let lifted = client.lift_hold(request).await;
    let lifted = lifted.map_err(|status| Failure::from(status).unsure())?;
    let lifted = lifted.lifted;
    let standing = match by_hand {
        true => client.list_holds(v1::ListHoldsRequest {}).await?.holds,
        false => Vec::new(),
    };
    let stands = standing.iter().find(|hold| hold.provider == provider);
    if session.json {
        let answer = serde_json::json!({ "provider": provider, "lifted": lifted });
        session.out.json(&answer)?;
    } else if let Some(limit) = stands {
        session.note(line(limit));
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

/// `claude is held until 2026-11-26 15:00:00, for 2h 04m (rate_limited)`, by the clock here.
pub(crate) fn line(hold: &v1::Hold) -> String {
    clean_line(&format!(
        "{} is held until {}, for {} ({})",
        hold.provider,
        format::date(hold.until_ms),
        format::duration(hold.until_ms - format::now_ms()),
        hold.reason
    ))
}
