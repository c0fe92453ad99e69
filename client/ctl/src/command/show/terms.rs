//! How an invocation was started, in a line each.

use std::time::Duration;

use steroids_client::v1;

use crate::format;
use crate::session::quoted;

/// Longer ones are whole in `--json`: a prompt may be among the arguments.
const LONGEST: usize = 400;

/// As a shell takes it.
pub(super) fn command(terms: &v1::Terms) -> String {
    let words: Vec<String> = terms.argv.iter().map(|word| quoted(word)).collect();
    let mut line = words.join(" ");
    if line.len() > LONGEST {
        line.truncate(line.floor_char_boundary(LONGEST));
        line.push_str(" … (--json has all of it)");
    }
    line
}

/// Those that there are.
pub(super) fn limits(terms: &v1::Terms) -> String {
    let limits = terms.limits.unwrap_or_default();
    let all = [
        ("silence", limits.silence),
        ("tool silence", limits.tool_silence),
        ("wall", limits.wall),
        ("after its result", limits.post_result),
        ("grace", limits.grace),
    ];
    let told = all.into_iter().filter_map(|(name, limit)| {
        let limit = Duration::try_from(limit?).ok()?;
        let ms = i64::try_from(limit.as_millis()).unwrap_or(i64::MAX);
        Some(format!("{name} {}", format::duration(ms)))
    });
    told.collect::<Vec<_>>().join(", ")
}

/// After which ends, and how often.
pub(super) fn retry(terms: &v1::Terms) -> Option<String> {
    let retry = terms.retry.as_ref()?;
    let times = match retry.max() {
        1 => "once".to_owned(),
        max => format!("{max} times"),
    };
    Some(format!("after {}, at most {times}", retry.on.join(", ")))
}

/// What it may use.
pub(super) fn budget(terms: &v1::Terms) -> Option<String> {
    let budget = terms.budget?;
    let usd = budget.usd.map(|usd| format!("${usd:.2}"));
    let tokens = budget.tokens.map(|tokens| format!("{tokens} tokens"));
    let all: Vec<_> = usd.into_iter().chain(tokens).collect();
    if all.is_empty() {
        let stops = budget.stop == Some(true);
        return stops.then(|| "it is stopped when that of its task or day is reached".to_owned());
    }
    let then = match budget.stop {
        Some(true) => "it is stopped then",
        _ => "it is told then",
    };
    Some(format!("{}; {then}", all.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_said_reads_as_it_was_typed() {
        let terms = v1::Terms {
            argv: ["/bin/sh", "-c", "echo it's"].map(str::to_owned).to_vec(),
            limits: Some(v1::Limits {
                wall: Duration::from_secs(5400).try_into().ok(),
                grace: Duration::from_secs(10).try_into().ok(),
                ..Default::default()
            }),
            retry: Some(v1::RetryPolicy {
                on: vec!["overloaded".to_owned(), "failed".to_owned()],
                max: Some(3),
            }),
            budget: Some(v1::Budget {
                usd: Some(2.5),
                tokens: None,
                stop: Some(true),
            }),
            ..Default::default()
        };
        assert_eq!(command(&terms), r"/bin/sh -c 'echo it'\''s'");
        assert_eq!(limits(&terms), "wall 1h 30m, grace 10.0 s");
        let again = retry(&terms).unwrap();
        assert_eq!(again, "after overloaded, failed, at most 3 times");
        assert_eq!(budget(&terms).unwrap(), "$2.50; it is stopped then");
        let bounds_nothing = v1::Terms {
            budget: Some(v1::Budget {
                stop: Some(true),
                ..Default::default()
            }),
            ..Default::default()
        };
        assert_eq!(
            budget(&bounds_nothing).unwrap(),
            "it is stopped when that of its task or day is reached"
        );
        let long = v1::Terms {
            argv: vec!["ä".repeat(LONGEST)],
            ..Default::default()
        };
        assert!(command(&long).ends_with("… (--json has all of it)"));
        assert_eq!(limits(&v1::Terms::default()), "");
    }
}
