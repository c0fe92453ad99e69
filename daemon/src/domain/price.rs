//! Prices of models, for CLIs that do not say what they cost. There are none but those that the
//! configuration gives: ours would be out of date before long.

use std::cmp::Reverse;

use steroids_provider::activity::Tokens;

use super::UsageTotals;
use super::spend::dollars;

/// US dollars for a million tokens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Price {
    /// Of input that is not cached.
    pub input: f64,
    /// Of output, reasoning included.
    pub output: f64,
    /// Of input read from the cache; as other input where it is not given.
    pub cached_input: Option<f64>,
    /// Of input written to the cache; as other input where it is not given.
    pub cache_creation: Option<f64>,
}

impl Price {
    /// What these tokens cost, in US dollars.
    pub fn of(&self, tokens: &Tokens) -> f64 {
        let cost = |tokens: u64, price: f64| tokens as f64 * price / 1e6;
        let Tokens {
            cached_input,
            cache_creation,
            ..
        } = *tokens;
        dollars(
            cost(tokens.input, self.input)
                + cost(tokens.output, self.output)
                + cost(cached_input, self.cached_input.unwrap_or(self.input))
                + cost(cache_creation, self.cache_creation.unwrap_or(self.input)),
        )
    }
}

/// Prices by patterns of models' names.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Prices(Vec<(String, Price)>);

impl Prices {
    /// Takes patterns, in which `*` stands for any text, with their prices.
    pub fn new(mut prices: Vec<(String, Price)>) -> Prices {
        // The most letters first, of two with as many the one with fewer stars.
        let rank = |pattern: &str| {
            let stars = pattern.bytes().filter(|byte| *byte == b'*').count();
            (Reverse(pattern.len() - stars), stars)
        };
        prices.sort_by(|(a, _), (b, _)| rank(a).cmp(&rank(b)).then(a.cmp(b)));
        Prices(prices)
    }

    /// The price of a model: of the pattern with the most letters that fits the whole name by which it
    /// was asked for, or by which its CLI named it.
    pub fn of(&self, asked: &str, named: Option<&str>) -> Option<Price> {
        let mut prices = self.0.iter();
        let found = prices.find(|(pattern, _)| {
            let mut names = [Some(asked), named].into_iter().flatten();
            names.any(|name| fits(pattern.as_bytes(), name.as_bytes()))
        });
        found.map(|(_, price)| *price)
    }

    /// Whether a pattern speaks of models in whose names this stands.
    pub fn speak_of(&self, part: &str) -> bool {
        self.0.iter().any(|(pattern, _)| pattern.contains(part))
    }

    /// What was used, with its cost as far as that is known: as the provider says, and what was used after that,
    /// or all where it says nothing, estimated.
    pub fn priced(&self, asked: &str, named: Option<&str>, usage: UsageTotals) -> UsageTotals {
        match self.of(asked, named).filter(|_| usage.needs_price()) {
            Some(price) => usage.estimated_at(&price),
            None => usage,
        }
    }
}

/// Whether a name is what the pattern says, from its first letter to its last.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut seen) = (0, 0);
    // Where the last star stands, and how far it reached.
    let mut star = None;
    while seen < name.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, seen));
                at += 1;
            }
            Some(byte) if *byte == name[seen] => {
                at += 1;
                seen += 1;
            }
            _ => match &mut star {
                Some((star, reached)) => {
                    *reached += 1;
                    (at, seen) = (*star + 1, *reached);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn price(input: f64) -> Price {
        Price {
            input,
            output: 10.0,
            cached_input: None,
            cache_creation: None,
        }
    }

    #[test]
    fn the_longest_pattern_that_fits_the_whole_name_wins() {
        let prices = Prices::new(vec![
            ("*".to_owned(), price(9.0)),
            ("gpt-5*".to_owned(), price(1.0)),
            ("gpt-5*-mini".to_owned(), price(2.0)),
            ("gpt-5".to_owned(), price(3.0)),
        ]);
        let input = |model: &str| prices.of(model, None).map(|price| price.input);
        assert_eq!(input("gpt-5.5"), Some(1.0));
        assert_eq!(input("gpt-5.5-mini"), Some(2.0));
        assert_eq!(input("gpt-5"), Some(3.0));
        assert_eq!(input("openai/gpt-5"), Some(9.0));
        assert_eq!(input(""), Some(9.0));
        assert_eq!(Prices::default().of("gpt-5", Some("gpt-5")), None);
    }

    #[test]
    fn a_model_goes_by_the_name_that_its_cli_gives_it_too() {
        let named = Some("claude-opus-4-5");
        let of = |prices: &[(&str, f64)], asked: &str| {
            let all = prices.iter();
            let all = all.map(|(pattern, input)| ((*pattern).to_owned(), price(*input)));
            Prices::new(all.collect())
                .of(asked, named)
                .map(|price| price.input)
        };
        let (any, opus, alias) = (("*", 1.0), ("claude-opus-*", 2.0), ("opus", 3.0));
        assert_eq!(of(&[any], ""), Some(1.0));
        assert_eq!(of(&[any, opus], ""), Some(2.0));
        assert_eq!(of(&[any, opus, alias], "opus"), Some(2.0));
        assert_eq!(of(&[any, alias], "opus"), Some(3.0));
        assert_eq!(of(&[alias], ""), None);
    }

    #[test]
    fn stars_stand_for_any_text_and_none() {
        for (pattern, name, is) in [
            ("a*b*c", "abc", true),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-b-c-d", false),
            ("*mini", "gpt-mini", true),
            ("*mini", "gpt-mini-2", false),
            ("**", "", true),
            ("", "", true),
            ("", "x", false),
        ] {
            assert_eq!(fits(pattern.as_bytes(), name.as_bytes()), is, "{pattern}");
        }
    }

    #[test]
    fn a_cost_that_the_provider_states_is_never_replaced() {
        let prices = Prices::new(vec![("*".to_owned(), price(2.0))]);
        let usage = UsageTotals {
            input_tokens: 1_000_000,
            output_tokens: 100_000,
            cached_input_tokens: Some(500_000),
            ..UsageTotals::default()
        };
        let priced = prices.priced("m", None, usage);
        // 2 for the input, 1 for the output, 1 for what was cached, at the price of other input.
        assert_eq!((priced.total_cost_usd, priced.estimated), (Some(4.0), true));
        let stated = UsageTotals {
            total_cost_usd: Some(0.5),
            ..usage
        };
        assert_eq!(prices.priced("m", None, stated), stated);
        // What was used after it was stated is put to it, once.
        let later = UsageTotals {
            uncosted: Tokens {
                input: 250_000,
                output: 10_000,
                ..Tokens::default()
            },
            ..stated
        };
        let priced = prices.priced("m", None, later);
        assert_eq!((priced.total_cost_usd, priced.estimated), (Some(1.1), true));
        assert_eq!(prices.priced("m", None, priced), priced);
        assert_eq!(Prices::default().priced("m", None, later), later);
    }
}
