//! Invocations that were started and ended, what they used, and why providers were held: counted by
//! words of which there are few, whatever models somebody asks for.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::domain::{Invocation, Phase, UsageTotals};

/// Pairs of a provider and a model told apart: few are used by one daemon, and whoever asks for
/// another model each time must not fill a monitoring system.
const MODELS: usize = 64;

/// Providers told apart. They are configured ones, but for rows of projects that were used with
/// another configuration.
const PROVIDERS: usize = 64;

/// For what is beyond.
const OTHER: &str = "other";

/// A model's name is cut here.
const NAME: usize = 128;

/// Counts invocations.
#[derive(Debug, Default)]
pub struct Invocations {
    // Held for an addition or a copy.
    counts: Mutex<Counts>,
}

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Counts {
    /// By provider.
    pub started: BTreeMap<String, u64>,
    /// How they ended.
    pub ended: BTreeMap<Ended, u64>,
    /// Next attempts that were made, by provider.
    pub retried: BTreeMap<String, u64>,
    /// Taken over from a daemon before.
    pub adopted: u64,
    /// What those used that ended, by provider and model.
    pub used: BTreeMap<(String, String), Used>,
    /// Holds that were set or made longer.
    pub holds: BTreeMap<HoldSet, u64>,
}

/// A way in which a provider's invocations end.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ended {
    /// Its configured name.
    pub provider: String,
    /// In one word.
    pub outcome: &'static str,
}

/// A reason for which a provider is held.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HoldSet {
    /// Its configured name.
    pub provider: String,
    /// One word, or two.
    pub reason: &'static str,
}

/// What was used.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Used {
    /// Without cache reads and writes.
    pub input_tokens: u64,
    /// With reasoning.
    pub output_tokens: u64,
    /// Read from the provider's cache.
    pub cached_input_tokens: u64,
    /// Written to it.
    pub cache_creation_tokens: u64,
    /// In US dollars, as the provider stated it.
    pub cost_usd: f64,
    /// In US dollars, by configured prices.
    pub estimated_usd: f64,
}

impl Invocations {
    /// One was started.
    pub fn started(&self, provider: &str) {
        let mut counts = self.lock();
        one_more(&mut counts.started, provider);
    }

    /// One has ended, and its row is final.
    pub fn ended(&self, row: &Invocation) {
        let Phase::Ended { status, outcome } = row.phase else {
            return;
        };
        let outcome = outcome.map_or(status.as_str(), |outcome| outcome.as_str());
        let mut counts = self.lock();
        let ended = &mut counts.ended;
        let is_known = ended.keys().any(|it| it.provider == row.provider);
        let known = ended.keys().map(|it| &it.provider);
        let known = known.collect::<std::collections::BTreeSet<_>>().len();
        let provider = if is_known || known < PROVIDERS {
            row.provider.clone()
        } else {
            OTHER.to_owned()
        };
        *ended.entry(Ended { provider, outcome }).or_default() += 1;
        if let Some(usage) = row.usage {
            used_of(&mut counts.used, &row.provider, row.counted_model()).add(&usage);
        }
    }

    /// Another attempt was made of one that failed.
    pub fn retried(&self, provider: &str) {
        one_more(&mut self.lock().retried, provider);
    }

    /// One was taken over.
    pub fn adopted(&self) {
        self.lock().adopted += 1;
    }

    /// A provider is held from now on, or for longer.
    pub fn held(&self, provider: &str, reason: &'static str) {
        let provider = provider.to_owned();
        // Only configured ones are held.
        let set = HoldSet { provider, reason };
        *self.lock().holds.entry(set).or_default() += 1;
    }

    /// What was counted so far.
    pub fn counted(&self) -> Counts {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // A count is valid whatever panicked beside it.
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn one_more(counts: &mut BTreeMap<String, u64>, provider: &str) {
    let is_told_apart = counts.contains_key(provider) || counts.len() < PROVIDERS;
    let name = if is_told_apart { provider } else { OTHER };
    *counts.entry(name.to_owned()).or_default() += 1;
}

fn used_of<'a>(
    used: &'a mut BTreeMap<(String, String), Used>,
    provider: &str,
    model: &str,
) -> &'a mut Used {
    let model = &model[..model.floor_char_boundary(NAME)];
    let key = (provider.to_owned(), model.to_owned());
    let key = if used.contains_key(&key) || used.len() < MODELS {
        key
    } else {
        (OTHER.to_owned(), OTHER.to_owned())
    };
    used.entry(key).or_default()
}

impl Used {
    fn add(&mut self, usage: &UsageTotals) {
        let add = |sum: &mut u64, more: u64| *sum = sum.saturating_add(more);
        add(&mut self.input_tokens, usage.input_tokens);
        add(&mut self.output_tokens, usage.output_tokens);
        add(
            &mut self.cached_input_tokens,
            usage.cached_input_tokens.unwrap_or(0),
        );
        add(
            &mut self.cache_creation_tokens,
            usage.cache_creation_tokens.unwrap_or(0),
        );
        let cost = usage.total_cost_usd.unwrap_or(0.0);
        if usage.estimated {
            self.estimated_usd += cost;
        } else {
            self.cost_usd += cost;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{InvocationId, Outcome};

    fn ended(provider: &str, model: &str, outcome: Outcome) -> Invocation {
        Invocation {
            id: InvocationId::new(1).unwrap(),
            task: "T".to_owned(),
            role: "coder".to_owned(),
            provider: provider.to_owned(),
            model: model.to_owned(),
            answering_model: None,
            phase: Phase::Ended {
                status: outcome.row_status(),
                outcome: Some(outcome),
            },
            error: None,
            started_ms: None,
            completed_ms: None,
            duration_ms: None,
            exit_code: None,
            session_id: None,
            usage: Some(UsageTotals {
                input_tokens: 10,
                output_tokens: 2,
                cached_input_tokens: Some(5),
                total_cost_usd: Some(0.5),
                ..UsageTotals::default()
            }),
            managed: None,
        }
    }

    #[test]
    fn ends_are_told_apart_by_provider_and_outcome_and_use_by_model() {
        let all = Invocations::default();
        all.ended(&ended("claude", "opus", Outcome::Success));
        all.ended(&ended("claude", "opus", Outcome::Success));
        all.ended(&ended("claude", "haiku", Outcome::RateLimited));
        let counts = all.counted();
        let of = |outcome| {
            let provider = "claude".to_owned();
            counts.ended[&Ended { provider, outcome }]
        };
        assert_eq!((of("success"), of("rate_limited")), (2, 1));
        let opus = counts.used[&("claude".to_owned(), "opus".to_owned())];
        assert_eq!((opus.input_tokens, opus.cached_input_tokens), (20, 10));
        assert!((opus.cost_usd - 1.0).abs() < 1e-9 && opus.estimated_usd < 1e-9);

        // Whatever was asked for, what is used is used of the one that answers.
        for asked in ["", "sonnet"] {
            all.ended(&Invocation {
                answering_model: Some("claude-sonnet-4-5".to_owned()),
                ..ended("claude", asked, Outcome::Success)
            });
        }
        let used = all.counted().used;
        let sonnet = used[&("claude".to_owned(), "claude-sonnet-4-5".to_owned())];
        assert_eq!((used.len(), sonnet.input_tokens), (3, 20));
    }

    #[test]
    fn whatever_models_are_asked_for_the_room_is_bounded_and_nothing_is_lost() {
        let all = Invocations::default();
        for number in 0..1000 {
            let model = format!("{}{number}", "ö".repeat(200));
            all.ended(&ended(&format!("p{number}"), &model, Outcome::Failed));
            all.started(&format!("p{number}"));
        }
        let counts = all.counted();
        assert_eq!(counts.used.len(), MODELS + 1);
        assert_eq!(counts.ended.len(), PROVIDERS + 1);
        assert_eq!(counts.started.len(), PROVIDERS + 1);
        assert_eq!(counts.started.values().sum::<u64>(), 1000);
        let tokens = counts.used.values().map(|used| used.input_tokens);
        assert_eq!(tokens.sum::<u64>(), 10_000);
        assert!(counts.used.keys().all(|(_, model)| model.len() <= NAME));
    }
}
