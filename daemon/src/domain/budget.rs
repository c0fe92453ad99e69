//! How much may be used: by an invocation, for a task, on a day.

use std::fmt;

use super::Spent;

/// At most so much; `None` is no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Budget {
    /// In millionths of a US dollar.
    pub micro_usd: Option<u64>,
    /// Of all kinds, also those read from a cache.
    pub tokens: Option<u64>,
}

/// Whose budget it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BudgetScope {
    /// One invocation's.
    Invocation,
    /// All invocations' of a task, from its first on.
    Task,
    /// All invocations' of a day, in all projects.
    Day,
}

/// How far a budget is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BudgetLevel {
    /// Four fifths.
    Warned,
    /// All of it.
    Reached,
}

/// An amount of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Amount {
    /// Millionths of a US dollar.
    MicroUsd(u64),
    /// Tokens.
    Tokens(u64),
}

/// A bound, and how much of it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// The bound.
    pub most: Amount,
    /// Of the same kind.
    pub used: Amount,
}

impl Budget {
    /// Whether nothing is bounded.
    pub fn is_none(&self) -> bool {
        self.micro_usd.is_none() && self.tokens.is_none()
    }

    /// How its bounds stand.
    pub fn standings(&self, spent: &Spent) -> impl Iterator<Item = Standing> + use<> {
        let money = self.micro_usd.map(|most| Standing {
            most: Amount::MicroUsd(most),
            used: Amount::MicroUsd(micro_usd(spent.cost_usd)),
        });
        let tokens = self.tokens.map(|most| Standing {
            most: Amount::Tokens(most),
            used: Amount::Tokens(spent.all_tokens()),
        });
        money.into_iter().chain(tokens)
    }
}

/// Millionths of an amount of dollars.
pub fn micro_usd(usd: f64) -> u64 {
    // A float becomes the nearest number there is, also where it is none.
    (usd * 1e6).round() as u64
}

/// Millionths of a US dollar, in dollars.
pub fn usd(micro: u64) -> f64 {
    micro as f64 / 1e6
}

impl Standing {
    /// `None` while less than four fifths is used.
    pub fn level(&self) -> Option<BudgetLevel> {
        let (used, most) = (self.used.number(), self.most.number());
        match used {
            used if used >= most => Some(BudgetLevel::Reached),
            used if used >= most * 4 / 5 => Some(BudgetLevel::Warned),
            _ => None,
        }
    }

    /// In words for a person, with whose it is.
    pub fn said(&self, scope: BudgetScope, about: &str) -> String {
        let Standing { most, used } = self;
        let whose = match scope {
            BudgetScope::Invocation => format!("invocation {about}"),
            BudgetScope::Task => format!("task {about}"),
            BudgetScope::Day => about.to_owned(),
        };
        match self.level() {
            Some(BudgetLevel::Reached) => {
                format!("budget of {most} for {whose} reached: {used} used")
            }
            Some(BudgetLevel::Warned) | None => {
                let share = self.used.number() * 100 / self.most.number().max(1);
                format!("budget of {most} for {whose}: {used} used, {share} %")
            }
        }
    }
}

impl Amount {
    fn number(self) -> u128 {
        match self {
            Amount::MicroUsd(number) | Amount::Tokens(number) => number.into(),
        }
    }

    /// All of it, to tell two amounts apart that read the same.
    pub fn exact(self) -> String {
        format!("{} {}", self.number(), self.unit())
    }

    fn unit(self) -> &'static str {
        match self {
            Amount::MicroUsd(_) => "micro_usd",
            Amount::Tokens(_) => "tokens",
        }
    }

    /// How the settings that bound it end.
    pub fn key(self) -> &'static str {
        match self {
            Amount::MicroUsd(_) => "usd",
            Amount::Tokens(_) => "tokens",
        }
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Amount::MicroUsd(micro) if micro % 10_000 == 0 || *micro >= 1_000_000 => {
                write!(f, "${:.2}", *micro as f64 / 1e6)
            }
            Amount::MicroUsd(micro) => write!(f, "${:.4}", *micro as f64 / 1e6),
            Amount::Tokens(tokens) => write!(f, "{tokens} tokens"),
        }
    }
}

impl BudgetScope {
    /// In one word.
    pub fn as_str(self) -> &'static str {
        match self {
            BudgetScope::Invocation => "invocation",
            BudgetScope::Task => "task",
            BudgetScope::Day => "day",
        }
    }
}

impl BudgetLevel {
    /// In one word.
    pub fn as_str(self) -> &'static str {
        match self {
            BudgetLevel::Warned => "warned",
            BudgetLevel::Reached => "reached",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spent(usd: f64, tokens: u64) -> Spent {
        Spent {
            cost_usd: usd,
            input_tokens: tokens,
            ..Spent::default()
        }
    }

    #[test]
    fn four_fifths_are_told_and_all_of_it() {
        let budget = Budget {
            micro_usd: Some(5_000_000),
            tokens: Some(1000),
        };
        let levels = |usd, tokens| -> Vec<_> {
            let standings = budget.standings(&spent(usd, tokens));
            standings.map(|standing| standing.level()).collect()
        };
        let (warned, reached) = (Some(BudgetLevel::Warned), Some(BudgetLevel::Reached));
        assert_eq!(levels(3.99, 799), [None, None]);
        assert_eq!(levels(4.0, 800), [warned, warned]);
        assert_eq!(levels(5.0, 999), [reached, warned]);
        assert_eq!(levels(f64::INFINITY, u64::MAX), [reached, reached]);
        assert!(Budget::default().standings(&spent(9.0, 9)).next().is_none());
    }

    #[test]
    fn it_is_said_whose_it_is_and_how_much() {
        let budget = Budget {
            micro_usd: Some(5_000_000),
            tokens: Some(1000),
        };
        let said = |usd, tokens, scope| -> Vec<_> {
            let standings = budget.standings(&spent(usd, tokens));
            standings
                .map(|standing| standing.said(scope, "T1"))
                .collect()
        };
        assert_eq!(
            said(4.1, 1200, BudgetScope::Task),
            [
                "budget of $5.00 for task T1: $4.10 used, 82 %",
                "budget of 1000 tokens for task T1 reached: 1200 tokens used"
            ]
        );
        assert_eq!(Amount::MicroUsd(500).to_string(), "$0.0005");
        let (one, other) = (Amount::MicroUsd(2_000_001), Amount::MicroUsd(2_000_002));
        assert_eq!(one.to_string(), other.to_string());
        assert_ne!(one.exact(), other.exact());
        assert_ne!(Amount::Tokens(7).exact(), Amount::MicroUsd(7).exact());
    }
}
