//! What a run used, what went wrong in it, and how it says that it ended.

use serde_json::value::RawValue;

use super::{Done, Jsonl};
use crate::activity::{Activity, Level, Stamp, Usage};
use crate::bounds::one_line;
use crate::evidence;
use crate::json;
use crate::judge::{self, Final, Problem};
use crate::mapping::{Field, Mapping, Rule};
use crate::outcome::Outcome;
use crate::parser::Sink;
use crate::reset::Clock;
use crate::text::{self, Answer};

impl Jsonl {
    pub(super) fn usage(
        &mut self,
        rule: &Rule,
        value: &RawValue,
        at: Stamp,
        out: &mut dyn Sink,
    ) -> Done {
        if !rule.is_usage() {
            return Done::Nothing;
        }
        let count = |field| json::tokens(&rule.find(field, value)?);
        let cost = || json::usd(&rule.find(Field::Cost, value)?);
        let (input, output) = (count(Field::InputTokens), count(Field::OutputTokens));
        let (cached, cost) = (count(Field::CachedTokens), cost());
        let written = count(Field::CacheWriteTokens);
        if [input, output, cached, written].iter().all(Option::is_none) && cost.is_none() {
            return Done::Nothing;
        }
        let with_cached = if rule.is_input_with_cached {
            cached
        } else {
            None
        };
        let usage = Usage {
            input_tokens: input.unwrap_or(0).saturating_sub(with_cached.unwrap_or(0)),
            output_tokens: output.unwrap_or(0),
            cached_input_tokens: cached,
            cache_creation_tokens: written,
            total_cost_usd: cost,
            total: rule.is_total,
            ..Usage::default()
        };
        self.usage = Some(match self.usage {
            Some(sum) if !usage.total => sum.plus(usage),
            _ => usage,
        });
        self.show(at, &Activity::Usage(usage), out);
        Done::Shown
    }

    /// Errors, the final answer and the final event.
    pub(super) fn ending(
        &mut self,
        mapping: &Mapping,
        rule: &Rule,
        value: &RawValue,
        at: Stamp,
        out: &mut dyn Sink,
    ) -> Done {
        let mut done = Done::Nothing;
        if let Some(answer) = self.text(rule, Field::Answer, value) {
            let mut bounded = Answer::default();
            bounded.push(&answer.text);
            self.final_answer = bounded.take();
            done = Done::Silent;
        }
        let mut error = self.problem(mapping, rule, value, Clock::at(at));
        if error.as_ref().is_some_and(|it| it.resets_at_ms.is_none()) {
            done = done.max(self.tell_unread(rule, value, at, out));
        }
        if rule.is_final {
            if error.is_none() && rule.is_error(value) {
                let said = self.final_answer.clone();
                let said = said.unwrap_or_else(|| "its final event is an error".to_owned());
                error = Some(Problem::new(Outcome::Failed, said));
            }
            self.show_error(at, out);
            self.last = match &error {
                Some(problem) => {
                    self.error.hold(at, text::whole(problem.error.clone()));
                    Final::Bad
                }
                None => Final::Good,
            };
            self.is_failing = false;
            self.is_unanswered = false;
            self.event = Some(evidence::kept(value));
            self.problem = error;
            return Done::Silent.max(done);
        }
        if let Some(problem) = error {
            self.show_error(at, out);
            let level = Level::Error;
            let msg = text::whole(problem.error.clone());
            self.show(at, &Activity::Notice { level, msg }, out);
            self.is_failing = true;
            self.event = Some(evidence::kept(value));
            self.problem = Some(problem);
            done = Done::Shown;
        }
        done
    }

    /// Says once that a limit's end is told in a form that nobody here reads: without it nothing is held until then.
    fn tell_unread(
        &mut self,
        rule: &Rule,
        value: &RawValue,
        at: Stamp,
        out: &mut dyn Sink,
    ) -> Done {
        let found = self.text(rule, Field::ResetsAt, value);
        let found = found.filter(|said| !matches!(said.text.trim(), "" | "null"));
        let Some(said) = found.filter(|_| !self.has_told_unread) else {
            return Done::Nothing;
        };
        self.has_told_unread = true;
        let (level, said) = (Level::Warn, one_line(&said.text));
        let msg = text::whole(format!("`resets_at` is no time that can be read: {said}"));
        self.show(at, &Activity::Notice { level, msg }, out);
        Done::Shown
    }

    /// What an event says went wrong; an empty text and a code of 0 say nothing.
    fn problem(
        &self,
        mapping: &Mapping,
        rule: &Rule,
        value: &RawValue,
        clock: Clock<'_>,
    ) -> Option<Problem> {
        let is_nothing = |text: &str| matches!(text.trim(), "" | "0" | "false");
        let found = |field| self.text(rule, field, value).map(|text| text.text);
        let said = found(Field::Error).filter(|said| !is_nothing(said));
        let code = found(Field::ErrorCode).filter(|code| !is_nothing(code));
        if said.is_none() && code.is_none() {
            return None;
        }
        let outcome = mapping
            .outcome(code.as_deref(), said.as_deref().unwrap_or_default())
            .or_else(|| judge::outcome_of_status(code.as_deref()?.parse().ok()?))
            .unwrap_or(Outcome::Failed);
        let status = code.as_deref().and_then(|code| code.parse().ok());
        let error = match (said, code) {
            (Some(said), Some(code)) => format!("{said} ({code})"),
            (said, code) => said.or(code)?.into_owned(),
        };
        let resets_at = rule.find(Field::ResetsAt, value);
        Some(Problem {
            http_status: status.and_then(evidence::http_status),
            resets_at_ms: resets_at.and_then(|it| clock.value(&it)),
            ..Problem::new(outcome, error)
        })
    }
}
