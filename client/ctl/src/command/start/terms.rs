//! What a start and another attempt may say alike: for how long, how often, with how much.

use std::collections::HashMap;
use std::time::Duration;

use steroids_client::v1;

use super::resources;
use crate::failure::Failure;
use crate::parse;

/// The terms of a run; as configured, or as they were, where nothing is said.
#[derive(Debug, clap::Args)]
#[group(id = "terms")]
pub(in crate::command) struct Args {
    /// Set a variable, or pass on one of yours by its name; may be repeated
    #[arg(long, value_name = "NAME[=VALUE]", value_parser = parse::setting)]
    env: Vec<(String, String)>,
    /// End it after so long without output
    #[arg(long, value_name = "TIME", value_parser = parse::limit)]
    silence: Option<Duration>,
    /// End it after so long without output while a tool runs
    #[arg(long, value_name = "TIME", value_parser = parse::limit)]
    tool_silence: Option<Duration>,
    /// End it after so long in all
    #[arg(long, value_name = "TIME", value_parser = parse::limit)]
    wall: Option<Duration>,
    /// End it after so long without output after its final result
    #[arg(long, value_name = "TIME", value_parser = parse::limit)]
    post_result: Option<Duration>,
    /// Time between asking it to end and killing it
    #[arg(long, value_name = "TIME", value_parser = parse::limit)]
    grace: Option<Duration>,
    /// Try again after these outcomes, such as overloaded,rate_limited; `none`: never [default: as configured]
    #[arg(long, value_name = "OUTCOME", value_delimiter = ',')]
    retry: Vec<String>,
    /// Try again at most so often
    #[arg(long, value_name = "N", requires = "retry", default_value_t = 3, value_parser = clap::value_parser!(i32).range(0..))]
    retry_max: i32,
    /// Where it would have to wait, refuse it (exit code 75)
    #[arg(long)]
    no_queue: bool,
    /// Tell when it has used so many US dollars, and at four fifths of that; without `[prices]` for its
    /// model, claude says what it cost only at its end, codex and gemini never
    #[arg(long, value_name = "USD", value_parser = parse::dollars)]
    budget_usd: Option<f64>,
    /// Tell when it has used so many tokens of all kinds, and at four fifths of that
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    budget_tokens: Option<u64>,
    /// Stop it when its budget, or that of its task or day, is reached [default: as configured]
    #[arg(long)]
    budget_stop: bool,
    #[command(flatten)]
    resources: resources::Args,
}

/// As they go over the wire.
pub(in crate::command) struct Terms {
    pub(in crate::command) env: HashMap<String, String>,
    pub(in crate::command) limits: Option<v1::Limits>,
    pub(in crate::command) retry: Option<v1::RetryPolicy>,
    pub(in crate::command) no_queue: bool,
    pub(in crate::command) budget: Option<v1::Budget>,
    pub(in crate::command) resources: resources::Args,
}

impl Args {
    /// Puts them into their wire form.
    pub(in crate::command) fn read(self) -> Result<Terms, Failure> {
        let limit = |limit: Option<Duration>| limit.and_then(|limit| limit.try_into().ok());
        let limits = v1::Limits {
            silence: limit(self.silence),
            tool_silence: limit(self.tool_silence),
            wall: limit(self.wall),
            post_result: limit(self.post_result),
            grace: limit(self.grace),
        };
        let budget = v1::Budget {
            usd: self.budget_usd,
            tokens: self.budget_tokens,
            stop: self.budget_stop.then_some(true),
        };
        Ok(Terms {
            env: self.env.into_iter().collect(),
            limits: (limits != v1::Limits::default()).then_some(limits),
            retry: retry(self.retry, self.retry_max)?,
            no_queue: self.no_queue,
            budget: (budget != v1::Budget::default()).then_some(budget),
            resources: self.resources,
        })
    }
}

/// What was said about trying again, if anything was.
fn retry(on: Vec<String>, max: i32) -> Result<Option<v1::RetryPolicy>, Failure> {
    if on.is_empty() {
        return Ok(None);
    }
    let is_never = on.iter().any(|word| word == "none");
    if is_never && on.len() > 1 {
        return Err(Failure::usage("--retry none stands alone"));
    }
    let on = if is_never { Vec::new() } else { on };
    let max = Some(max);
    Ok(Some(v1::RetryPolicy { on, max }))
}
