//! Tokens and money. Messages tell what they cost as they begin, once per message id though the
//! event comes once per block; a result tells the total so far, subagents included, and replaces
//! the sum of what came before it.

use std::collections::VecDeque;

use crate::activity::Usage;
use crate::json::Object;

/// Message ids that are remembered. The blocks of one message come together, but for those of
/// other subagents at work.
const REMEMBERED: usize = 64;

/// Counts.
#[derive(Debug, Default)]
pub(super) struct Tokens {
    seen: VecDeque<String>,
    since_total: Option<Usage>,
    total: Option<Usage>,
    results: Usage,
}

impl Tokens {
    /// Takes a message; its usage, unless it was counted before.
    pub(super) fn message(&mut self, message: &Object<'_>) -> Option<Usage> {
        let id = message.str("id")?;
        let usage = usage_of(&message.object("usage")?)?;
        let id = &id[..id.floor_char_boundary(256)];
        if self.seen.iter().any(|seen| seen == id) {
            return None;
        }
        if self.seen.len() == REMEMBERED {
            self.seen.pop_front();
        }
        self.seen.push_back(id.to_owned());
        self.since_total = Some(match self.since_total {
            Some(sum) => sum.plus(usage),
            None => usage,
        });
        Some(usage)
    }

    /// Takes a result; the total so far.
    pub(super) fn result(&mut self, result: &Object<'_>) -> Option<Usage> {
        let own = result.object("usage").and_then(|it| usage_of(&it));
        if let Some(usage) = own {
            self.results = self.results.plus(usage);
        }
        let by_model = result
            .object("modelUsage")
            .and_then(|models| sum_of_models(&models));
        let cost = result.usd("total_cost_usd");
        // Where it tells no tokens, what the messages have told is all there is.
        let told = by_model.or(own.map(|_| self.results));
        let mut total = match (told, cost) {
            (Some(total), _) => total,
            (None, Some(_)) => self.at_end().unwrap_or_default(),
            (None, None) => return None,
        };
        total.total_cost_usd = cost;
        total.uncosted = crate::activity::Tokens::default();
        total.total = true;
        self.total = Some(total);
        self.since_total = None;
        self.total
    }

    /// What is known at the end: the total, with what was counted after it.
    pub(super) fn at_end(&self) -> Option<Usage> {
        match (self.total, self.since_total) {
            (Some(total), Some(since)) => Some(Usage {
                total: false,
                ..total.plus(since)
            }),
            (total, since) => total.or(since),
        }
    }
}

/// What a message or a result has used.
const COUNTS: &[&str] = &[
    "input_tokens",
    "output_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
];

/// Whether a result has counts that nobody knows.
pub(super) fn are_foreign(result: &Object<'_>) -> bool {
    let usage = result.object("usage");
    usage.is_some_and(|usage| usage.is_foreign(COUNTS))
}

/// `None` if there is none of the counts: what was renamed is not nothing.
fn usage_of(usage: &Object<'_>) -> Option<Usage> {
    usage.has_any(COUNTS).then(|| Usage {
        input_tokens: usage.tokens("input_tokens").unwrap_or(0),
        output_tokens: usage.tokens("output_tokens").unwrap_or(0),
        cached_input_tokens: usage.tokens("cache_read_input_tokens"),
        cache_creation_tokens: usage.tokens("cache_creation_input_tokens"),
        ..Usage::default()
    })
}

/// The same of a model.
const OF_MODEL: &[&str] = &[
    "inputTokens",
    "outputTokens",
    "cacheReadInputTokens",
    "cacheCreationInputTokens",
];

fn sum_of_models(models: &Object<'_>) -> Option<Usage> {
    let mut sum: Option<Usage> = None;
    for (model, _) in models.iter() {
        if let Some(usage) = models.object(model)
            && usage.has_any(OF_MODEL)
        {
            let usage = Usage {
                input_tokens: usage.tokens("inputTokens").unwrap_or(0),
                output_tokens: usage.tokens("outputTokens").unwrap_or(0),
                cached_input_tokens: usage.tokens("cacheReadInputTokens"),
                cache_creation_tokens: usage.tokens("cacheCreationInputTokens"),
                ..Usage::default()
            };
            sum = Some(sum.map_or(usage, |sum| sum.plus(usage)));
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(json: &str) -> Object<'_> {
        Object::parse(serde_json::from_str(json).unwrap(), false).unwrap()
    }

    const MESSAGE: &str =
        r#"{"id":"m1","usage":{"input_tokens":10,"output_tokens":1,"cache_read_input_tokens":5}}"#;

    #[test]
    fn a_message_counts_once_and_a_total_replaces_the_sum() {
        let mut tokens = Tokens::default();
        assert!(tokens.message(&object(MESSAGE)).is_some());
        assert!(tokens.message(&object(MESSAGE)).is_none());
        assert_eq!(tokens.at_end().unwrap().input_tokens, 10);
        let result = r#"{"total_cost_usd":0.5,"usage":{"input_tokens":1},
            "modelUsage":{"a":{"inputTokens":20,"outputTokens":3},"b":{"inputTokens":"4","cacheReadInputTokens":2}}}"#;
        let total = tokens.result(&object(result)).unwrap();
        assert_eq!((total.input_tokens, total.output_tokens), (24, 3));
        assert_eq!(total.cached_input_tokens, Some(2));
        assert_eq!(total.total_cost_usd, Some(0.5));
        assert_eq!(tokens.at_end(), Some(total));
        tokens.message(&object(r#"{"id":"m2","usage":{"input_tokens":6}}"#));
        let end = tokens.at_end().unwrap();
        assert_eq!((end.input_tokens, end.total), (30, false));
        assert_eq!((end.total_cost_usd, end.uncosted.input), (Some(0.5), 6));
    }

    #[test]
    fn without_totals_per_model_the_results_are_summed() {
        let mut tokens = Tokens::default();
        tokens.result(&object(r#"{"usage":{"input_tokens":3},"modelUsage":{}}"#));
        let total = tokens
            .result(&object(r#"{"usage":{"input_tokens":4}}"#))
            .unwrap();
        assert_eq!(total.input_tokens, 7);
        assert!(Tokens::default().result(&object("{}")).is_none());
    }

    #[test]
    fn counts_that_were_renamed_are_not_nothing() {
        let renamed = r#"{"usage":{"inputTokens":9},"modelUsage":{"a":{"input_tokens":9}},"total_cost_usd":0.5}"#;
        let mut tokens = Tokens::default();
        tokens.message(&object(MESSAGE));
        let total = tokens.result(&object(renamed)).unwrap();
        assert_eq!((total.input_tokens, total.total_cost_usd), (10, Some(0.5)));
        assert_eq!((total.total, total.uncosted.all()), (true, 0));
        // Behind a result that told, one that does not adds to it what was used meanwhile.
        tokens.message(&object(r#"{"id":"m2","usage":{"input_tokens":6}}"#));
        let total = tokens.result(&object(renamed)).unwrap();
        assert_eq!(total.input_tokens, 16);
        assert!(are_foreign(&object(renamed)) && !are_foreign(&object(r#"{"usage":{}}"#)));
        let free = r#"{"usage":{"inputTokens":9}}"#;
        assert!(Tokens::default().result(&object(free)).is_none());
    }

    #[test]
    fn what_no_run_can_use_was_not_counted() {
        let absurd = r#"{"usage":{"input_tokens":18446744073709551615,"output_tokens":3},"total_cost_usd":1e303}"#;
        let total = Tokens::default().result(&object(absurd)).unwrap();
        assert_eq!((total.input_tokens, total.output_tokens), (0, 3));
        assert_eq!(total.total_cost_usd, None);
    }

    #[test]
    fn less_than_nothing_costs_nothing() {
        let mut tokens = Tokens::default();
        let refund = r#"{"usage":{"input_tokens":1},"total_cost_usd":-1}"#;
        let total = tokens.result(&object(refund)).unwrap();
        assert_eq!(total.total_cost_usd, Some(0.0));
    }
}
