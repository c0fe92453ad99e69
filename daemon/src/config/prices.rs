//! The tables `[prices."PATTERN"]`: what models cost, for CLIs that do not say it themselves.

use toml::de::DeValue;

use super::error::ConfigError;
use super::section::Section;
use crate::domain::{Price, Prices};

/// Prices given in another unit than dollars for a million tokens are refused from here on.
const MOST: f64 = 100_000.0;

pub(super) fn read(root: &Section<'_>) -> Prices {
    let mut prices = Vec::new();
    for (pattern, at, section) in root.sections("prices") {
        if let Some(price) = section.keep(price(&section, at)) {
            prices.push((pattern, price));
        }
    }
    Prices::new(prices)
}

fn price(section: &Section<'_>, at: usize) -> Result<Price, ConfigError> {
    let needed = |key: &str, found: Option<f64>| {
        found.ok_or_else(|| section.refuse(key, at, "not set".to_owned()))
    };
    Ok(Price {
        input: needed("input", section.get("input", dollars))?,
        output: needed("output", section.get("output", dollars))?,
        cached_input: section.get("cached_input", dollars),
        cache_creation: section.get("cache_creation", dollars),
    })
}

fn dollars(value: &DeValue<'_>) -> Result<f64, String> {
    amount(value, MOST)
}

/// Reads an amount of money that is not negative.
pub(super) fn amount(value: &DeValue<'_>, most: f64) -> Result<f64, String> {
    let wanted = || format!("must be a number of US dollars from 0 to {most}");
    let text = match value {
        DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
        DeValue::Float(float) => float.as_str(),
        _ => return Err(wanted()),
    };
    let amount: f64 = text.parse().map_err(|_| wanted())?;
    (0.0..=most)
        .contains(&amount)
        .then_some(amount)
        .ok_or_else(wanted)
}
