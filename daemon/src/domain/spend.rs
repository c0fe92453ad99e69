//! What invocations used, summed: which are asked for, by what they are put together, and the sums.

use super::{Invocation, InvocationId, Phase, UsageTotals};

/// By what invocations are put together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SpendKey {
    /// Each for itself.
    Invocation,
    /// Those of one task.
    Task,
    /// Those of one project.
    Project,
    /// Those of one provider.
    Provider,
    /// Those that one model answered, or of which it was asked for where no other is known.
    Model,
    /// Those that ended on one day.
    Day,
    /// Those that work as the same.
    Role,
}

/// Which invocations are summed; empty means all. One counts for the moment at which it ended, and
/// while it runs for now.
#[derive(Debug, Clone, Default)]
pub struct SpendQuery {
    /// Ended at or after, in epoch milliseconds.
    pub since_ms: Option<i64>,
    /// Ended before, in epoch milliseconds.
    pub until_ms: Option<i64>,
    /// Of this task only.
    pub task: Option<String>,
    /// Of this provider only.
    pub provider: Option<String>,
    /// Of this model only, by its own name or that by which it was asked for; empty: those of which neither is known.
    pub model: Option<String>,
    /// By what they are put together; nothing: all in one.
    pub by: Vec<SpendKey>,
    /// Without those whose sum has in it what their session used before it was ours: what is their own
    /// nobody can say.
    pub own_only: bool,
}

/// What a group's invocations have in common; what they are not put together by is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpendGroup {
    /// Path of the project.
    pub project: Option<String>,
    /// The day, as days since 1970-01-01.
    pub day: Option<i64>,
    /// The task.
    pub task: Option<String>,
    /// The provider's configured name.
    pub provider: Option<String>,
    /// The model that answered, else the one asked for; may be empty.
    pub model: Option<String>,
    /// As whom.
    pub role: Option<String>,
    /// The invocation.
    pub invocation: Option<InvocationId>,
}

/// A sum.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Spent {
    /// How many invocations.
    pub invocations: u64,
    /// Those of them that run; they count with what they used so far.
    pub running: u64,
    /// Those of which nobody said what they used.
    pub without_usage: u64,
    /// Those that used something of which the price is not known.
    pub without_cost: u64,
    /// Those whose cost is an estimate.
    pub estimated: u64,
    /// Those whose sum has an earlier run of their session in it, which is not ours.
    pub cumulative: u64,
    /// Without cache reads and writes.
    pub input_tokens: u64,
    /// With reasoning.
    pub output_tokens: u64,
    /// Read from the provider's cache.
    pub cached_input_tokens: u64,
    /// Written to the provider's cache.
    pub cache_creation_tokens: u64,
    /// In US dollars, estimates included.
    pub cost_usd: f64,
    /// Of that, what is estimated.
    pub estimated_usd: f64,
}

/// Groups with their sums, and what did not fit among them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Spending {
    /// In no order.
    pub groups: Vec<(SpendGroup, Spent)>,
    /// Of further groups.
    pub rest: Spent,
    /// How many these were, or how many parts of them: a group may have come in several.
    pub rest_groups: u64,
}

impl SpendQuery {
    /// Whether it asks for an invocation that runs at this moment.
    pub fn takes_running(&self, it: &Invocation, now_ms: i64) -> bool {
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted == found)
        };
        it.phase == Phase::Running
            && self.since_ms.is_none_or(|since| since <= now_ms)
            && self.until_ms.is_none_or(|until| now_ms < until)
            && is(&self.task, &it.task)
            && is(&self.provider, &it.provider)
            && (is(&self.model, it.counted_model())
                || is(&self.model, &it.model) && !it.model.is_empty())
    }

    /// The group of an invocation that counts for a day.
    pub fn group(&self, project: &str, it: &Invocation, day: i64) -> SpendGroup {
        let mut group = SpendGroup::default();
        for key in &self.by {
            match key {
                SpendKey::Invocation => group.invocation = Some(it.id),
                SpendKey::Task => group.task = Some(it.task.clone()),
                SpendKey::Project => group.project = Some(project.to_owned()),
                SpendKey::Provider => group.provider = Some(it.provider.clone()),
                SpendKey::Model => group.model = Some(it.counted_model().to_owned()),
                SpendKey::Day => group.day = Some(day),
                SpendKey::Role => group.role = Some(it.role.clone()),
            }
        }
        group
    }
}

impl Spent {
    /// One that runs, with what it used so far.
    pub fn running(usage: Option<&UsageTotals>) -> Spent {
        let mut spent = Spent {
            invocations: 1,
            running: 1,
            ..Spent::default()
        };
        let Some(usage) = usage else {
            spent.without_usage = 1;
            return spent;
        };
        spent.input_tokens = usage.input_tokens;
        spent.output_tokens = usage.output_tokens;
        spent.cached_input_tokens = usage.cached_input_tokens.unwrap_or(0);
        spent.cache_creation_tokens = usage.cache_creation_tokens.unwrap_or(0);
        spent.cost_usd = usage.total_cost_usd.unwrap_or(0.0);
        spent.without_cost = u64::from(usage.needs_price());
        if usage.estimated {
            spent.estimated = 1;
            spent.estimated_usd = spent.cost_usd;
        }
        spent
    }

    /// Puts another sum to it.
    pub fn add(&mut self, other: &Spent) {
        let put = |to: &mut u64, more: u64| *to = to.saturating_add(more);
        put(&mut self.invocations, other.invocations);
        put(&mut self.running, other.running);
        put(&mut self.without_usage, other.without_usage);
        put(&mut self.without_cost, other.without_cost);
        put(&mut self.estimated, other.estimated);
        put(&mut self.cumulative, other.cumulative);
        put(&mut self.input_tokens, other.input_tokens);
        put(&mut self.output_tokens, other.output_tokens);
        put(&mut self.cached_input_tokens, other.cached_input_tokens);
        put(&mut self.cache_creation_tokens, other.cache_creation_tokens);
        self.cost_usd = dollars(self.cost_usd + other.cost_usd);
        self.estimated_usd = dollars(self.estimated_usd + other.estimated_usd);
    }

    /// Of all kinds.
    pub fn all_tokens(&self) -> u64 {
        self.input_tokens
            .saturating_add(self.output_tokens)
            .saturating_add(self.cached_input_tokens)
            .saturating_add(self.cache_creation_tokens)
    }
}

/// To a billionth: 0.1 and 0.2 are 0.3.
pub fn dollars(usd: f64) -> f64 {
    (usd * 1e9).round() / 1e9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_runs_counts_with_what_it_used_so_far() {
        let usage = UsageTotals {
            input_tokens: 10,
            output_tokens: 2,
            cached_input_tokens: Some(5),
            ..UsageTotals::default()
        };
        let mut sum = Spent::running(Some(&usage));
        assert_eq!((sum.all_tokens(), sum.without_cost), (17, 1));
        let priced = UsageTotals {
            total_cost_usd: Some(0.1),
            estimated: true,
            ..usage
        };
        sum.add(&Spent::running(Some(&priced)));
        sum.add(&Spent::running(None));
        assert_eq!((sum.invocations, sum.running, sum.without_usage), (3, 3, 1));
        assert_eq!((sum.estimated, sum.without_cost), (1, 1));
        assert_eq!((sum.cost_usd, sum.estimated_usd), (0.1, 0.1));
    }

    #[test]
    fn money_is_summed_to_a_billionth() {
        let of = |usd| Spent {
            cost_usd: usd,
            ..Spent::default()
        };
        let mut sum = of(0.1);
        sum.add(&of(0.2));
        assert_eq!(sum.cost_usd, 0.3);
    }
}
