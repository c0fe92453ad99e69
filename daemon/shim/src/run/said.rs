//! What the log says of limits, in words.

use steroids_provider::waits::Wait;
use steroids_shim::exit::Reason;
use steroids_shim::spool::{Limited, NO_MORE_INPUT};

use super::limits::{Course, Due};

/// That a limit is near: what it waits for, and when it is ended.
pub(crate) fn near(due: &Due, course: &Course, wait: &Wait, now: u64) -> String {
    let mark = in_words(due.limit - due.fifth());
    if due.name == Some(Limited::Wall) {
        return format!("running for {mark}; ended at {}", in_words(due.limit));
    }
    let quiet = match course.has_worked() {
        false => format!("no output for {mark}"),
        true => format!(
            "no output for {}, and no sign of work for {mark}",
            about(now.saturating_sub(course.last_output))
        ),
    };
    let ended = match course.has_worked() {
        false => format!("ended at {}", in_words(due.limit)),
        true => format!("ended in {}", in_words(due.fifth())),
    };
    format!("{quiet}{}; {ended}", meanwhile(wait))
}

/// That it is ended.
pub(crate) fn over(due: &Due, course: &Course) -> String {
    let limit = in_words(due.limit);
    match due.reason {
        Reason::Wall => format!("running for {limit}; ending it"),
        Reason::Silence if course.has_worked() => {
            format!("no output and no sign of work for {limit}; ending it")
        }
        Reason::Silence => format!("no output for {limit}; ending it"),
        Reason::PostResult => match due.name {
            Some(Limited::Wall) => {
                format!("running for {limit}, and its result is there; ending it")
            }
            Some(_) => format!("no output for {limit}, and its result is there; ending it"),
            None => format!("still running {limit} after its result; ending it"),
        },
        Reason::Stop | Reason::Shutdown => "ending it".to_owned(),
    }
}

/// Who wanted this process to end, and with it the provider.
pub(crate) fn told_to_end(signal: &str, sender: u32) -> String {
    // One of another pid namespace has no number here.
    let name = std::fs::read_to_string(format!("/proc/{sender}/comm")).unwrap_or_default();
    let name = name.trim_end().replace(char::is_control, "?");
    match &*name {
        "systemd" => "told to end by the service manager: its unit or slice was stopped, the user's session ended, or the host is shutting down".to_owned(),
        "" => format!("its shim was told to end, by {signal}"),
        _ => format!("its shim was told to end, by {signal} from {name} (pid {sender})"),
    }
}

/// That nobody had more to say to an agent that could be told.
pub(crate) fn no_message(due: &Due) -> String {
    let limit = in_words(due.limit);
    if due.name == Some(Limited::Wall) {
        return format!("{NO_MORE_INPUT}, as it has run for {limit}; closing its input");
    }
    format!("{NO_MORE_INPUT} for {limit} after its result; closing its input")
}

/// That it is not ended, though it was said to be.
pub(crate) fn goes_on(course: &Course, work: &str, now: u64) -> String {
    let quiet = about(now.saturating_sub(course.last_output));
    format!("no output for {quiet}, but its processes {work}; it goes on")
}

fn meanwhile(wait: &Wait) -> String {
    match wait {
        Wait::Output => String::new(),
        Wait::Line => " behind the beginning of a line, maybe a question".to_owned(),
        Wait::Model => " while it waits for the model".to_owned(),
        Wait::Tool { name } if name.is_empty() => " while a tool runs".to_owned(),
        Wait::Tool { name } => format!(" while tool {name} runs"),
        Wait::Retry { .. } => " while it waits to try again".to_owned(),
        Wait::Background => " while what it left in the background runs".to_owned(),
        Wait::ResultSent => " after its result".to_owned(),
    }
}

/// A limit, in the unit it was given in.
pub(crate) fn in_words(ms: u64) -> String {
    match ms {
        ms if ms > 0 && ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
        ms if ms > 0 && ms % 60_000 == 0 => format!("{}m", ms / 60_000),
        ms if ms % 1000 == 0 => format!("{}s", ms / 1000),
        ms => format!("{ms}ms"),
    }
}

/// A time that was measured, as exactly as anybody wants to know.
pub(crate) fn about(ms: u64) -> String {
    in_words(match ms {
        0..1000 => ms,
        1000..600_000 => ms / 1000 * 1000,
        _ => ms / 60_000 * 60_000,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60_000;

    fn silence(limit: u64) -> Due {
        Due {
            at: limit,
            from: 0,
            reason: Reason::Silence,
            limit,
            name: Some(Limited::Silence),
        }
    }

    fn tool(name: &str) -> Wait {
        Wait::Tool {
            name: name.to_owned(),
        }
    }

    #[test]
    fn a_warning_says_what_is_waited_for_and_when_it_ends() {
        let course = Course::begun(0);
        let said = |limit, wait: &Wait| near(&silence(limit), &course, wait, limit * 4 / 5);
        assert_eq!(
            said(15 * MINUTE, &Wait::Model),
            "no output for 12m while it waits for the model; ended at 15m"
        );
        assert_eq!(
            said(120 * MINUTE, &tool("Bash")),
            "no output for 96m while tool Bash runs; ended at 2h"
        );
        assert_eq!(
            said(500, &Wait::Output),
            "no output for 400ms; ended at 500ms"
        );
        let wall = Due {
            reason: Reason::Wall,
            name: Some(Limited::Wall),
            ..silence(120 * MINUTE)
        };
        assert_eq!(
            near(&wall, &course, &Wait::Model, 0),
            "running for 96m; ended at 2h"
        );
    }

    #[test]
    fn whichever_limit_ends_one_behind_its_result_is_said() {
        let course = Course::begun(0);
        let behind = |name| Due {
            reason: Reason::PostResult,
            name,
            ..silence(120 * MINUTE)
        };
        let wall = behind(Some(Limited::Wall));
        assert_eq!(
            over(&wall, &course),
            "running for 2h, and its result is there; ending it"
        );
        assert_eq!(
            no_message(&wall),
            "no further message, as it has run for 2h; closing its input"
        );
        assert_eq!(
            near(&wall, &course, &Wait::ResultSent, 0),
            "running for 96m; ended at 2h"
        );
        assert_eq!(
            over(&behind(Some(Limited::Silence)), &course),
            "no output for 2h, and its result is there; ending it"
        );
        assert_eq!(
            over(&behind(None), &course),
            "still running 2h after its result; ending it"
        );
        assert_eq!(
            no_message(&behind(None)),
            "no further message for 2h after its result; closing its input"
        );
    }

    #[test]
    fn of_one_that_has_worked_both_times_are_said() {
        let mut course = Course::begun(0);
        course.last_work = 15 * MINUTE;
        let due = Due {
            from: 15 * MINUTE,
            at: 30 * MINUTE,
            ..silence(15 * MINUTE)
        };
        assert_eq!(
            near(&due, &course, &Wait::Model, 27 * MINUTE + 20),
            "no output for 27m, and no sign of work for 12m while it waits for the model; ended in 3m"
        );
        assert_eq!(
            over(&due, &course),
            "no output and no sign of work for 15m; ending it"
        );
        assert_eq!(
            goes_on(&course, "used 42s of CPU time in 3m", 15 * MINUTE),
            "no output for 15m, but its processes used 42s of CPU time in 3m; it goes on"
        );
    }

    #[test]
    fn limits_are_said_in_the_unit_they_were_given_in_and_times_about() {
        let words = [7_200_000, 900_000, 90_000, 30_000, 1500].map(in_words);
        assert_eq!(words, ["2h", "15m", "90s", "30s", "1500ms"]);
        let words = [437, 1999, 183_123, 905_000].map(about);
        assert_eq!(words, ["437ms", "1s", "183s", "15m"]);
    }
}
