//! The table `[budget]`: how much may be used.

use toml::de::DeValue;

use super::prices::amount;
use super::section::{Section, choice};
use crate::domain::{Budget, micro_usd};
use crate::supervise::Budgets;

/// More than anybody means; it keeps sums far from overflow.
const MOST_USD: f64 = 1e9;
const MOST_TOKENS: u64 = 1_000_000_000_000_000;

pub(super) fn read(root: &Section<'_>) -> Budgets {
    let Some(section) = root.section("budget") else {
        return Budgets::default();
    };
    let budget = |usd: &str, tokens_key: &str| Budget {
        micro_usd: section.get(usd, dollars),
        tokens: section.get(tokens_key, tokens),
    };
    let words = [("refuse", false), ("stop", true)];
    Budgets {
        invocation: budget("invocation_usd", "invocation_tokens"),
        task: budget("task_usd", "task_tokens"),
        day: budget("day_usd", "day_tokens"),
        stops: section
            .get("on_reached", choice(&words))
            .unwrap_or_default(),
    }
}

fn dollars(value: &DeValue<'_>) -> Result<u64, String> {
    match micro_usd(amount(value, MOST_USD)?) {
        0 => Err("must be more than nothing; leave it out for no bound".to_owned()),
        micro => Ok(micro),
    }
}

fn tokens(value: &DeValue<'_>) -> Result<u64, String> {
    let wanted = || format!("must be a whole number of tokens from 1 to {MOST_TOKENS}");
    let integer = value.as_integer().ok_or_else(wanted)?;
    let tokens = u64::from_str_radix(integer.as_str(), integer.radix()).map_err(|_| wanted())?;
    (1..=MOST_TOKENS)
        .contains(&tokens)
        .then_some(tokens)
        .ok_or_else(wanted)
}
