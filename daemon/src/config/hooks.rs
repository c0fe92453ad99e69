//! The tables `[[hooks]]`: who is told of what.

use std::path::Path;
use std::time::Duration;

use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue};
use toml::de::DeValue;

use super::error::ConfigError;
use super::section::{Section, number, path, text, texts, word, yes};
use super::{file, units};
use crate::domain::Outcome;
use crate::hooks::{Action, EVENTS, Endpoint, HookSettings, NOTIFIED, Patterns, Secret};

/// Each has a task, and makes an attempt of its own.
const MOST_HOOKS: usize = 32;
/// What a file with one line may weigh.
const SECRET_FILE_MAX: u64 = 4096;
/// An attempt holds up the events behind it, of this hook and project, but not for a day.
const TIMEOUT_MAX: Duration = Duration::from_secs(300);

/// Reads all of them.
pub(super) fn read(root: &Section<'_>) -> Vec<HookSettings> {
    let mut hooks: Vec<HookSettings> = Vec::new();
    for (at, section) in root.list("hooks") {
        let read = hook(&section, at).and_then(|hook| {
            if hooks.iter().any(|other| other.name == hook.name) {
                let reason = format!("there is another hook named `{}`", hook.name);
                return Err(section.refuse("name", at, reason));
            }
            if hooks.len() == MOST_HOOKS {
                let reason = format!("there may be at most {MOST_HOOKS} hooks");
                return Err(section.refuse("name", at, reason));
            }
            Ok(hook)
        });
        hooks.extend(section.keep(read));
    }
    hooks
}

fn hook(section: &Section<'_>, at: usize) -> Result<HookSettings, ConfigError> {
    // All are read before any is refused for the others.
    let name = section.get("name", name);
    let on = section.get("on", events);
    let outcome = section.get("outcome", outcomes);
    let patterns = |key| {
        let patterns = section.get(key, list).unwrap_or_default();
        Patterns::new(&patterns)
    };
    let (project, provider, task) = (patterns("project"), patterns("provider"), patterns("task"));
    let timeout = section.get("timeout", |value| {
        bounded(value, Duration::from_millis(100), TIMEOUT_MAX)
    });
    let retries = section.get("retries", number(0, 100));
    let retry_after = section.get("retry_after", |value| {
        bounded(value, Duration::from_millis(10), Duration::from_secs(3600))
    });
    let week = Duration::from_secs(7 * 24 * 3600);
    let max_age = section.get("max_age", |value| {
        bounded(value, Duration::from_secs(1), week)
    });
    let name = name.ok_or_else(|| {
        let reason = "not set; it names the hook in `steroidsctl hooks` and in the log";
        section.refuse("name", at, reason.to_owned())
    })?;
    let action = action(section, at)?;
    let (on, outcome) = wanted(section, at, &action, on, outcome)?;
    Ok(HookSettings {
        name,
        on,
        outcome,
        project,
        provider,
        task,
        action,
        timeout: timeout.unwrap_or(Duration::from_secs(10)),
        retries: retries.unwrap_or(8),
        retry_after: retry_after.unwrap_or(Duration::from_secs(1)),
        max_age: max_age.unwrap_or(Duration::from_secs(3600)),
    })
}

/// The events it is for, and with which outcome.
fn wanted(
    section: &Section<'_>,
    at: usize,
    action: &Action,
    on: Option<Vec<&'static str>>,
    outcome: Option<Vec<String>>,
) -> Result<(Vec<&'static str>, Patterns), ConfigError> {
    let is_notification = matches!(action, Action::Notify);
    let on = match on {
        Some(on) => on,
        None if is_notification => NOTIFIED.to_vec(),
        None => {
            let reason = format!(
                "not set; name the events it is for: any, or of {}",
                EVENTS.join(", ")
            );
            return Err(section.refuse("on", at, reason));
        }
    };
    let outcome = match outcome {
        Some(outcomes) => Patterns::new(&outcomes),
        // Success asks nothing of anybody.
        None if is_notification => Patterns::new(&["!success".to_owned()]),
        None => Patterns::default(),
    };
    if !outcome.is_empty() && section.has("outcome") && !on.contains(&"finished") {
        let reason = "only `finished` has an outcome, and `on` does not name it";
        return Err(section.refuse("outcome", at, reason.to_owned()));
    }
    Ok((on, outcome))
}

/// Exactly one of the three, with the keys that belong to it.
fn action(section: &Section<'_>, at: usize) -> Result<Action, ConfigError> {
    let notify = section.get("notify", yes).unwrap_or(false);
    let named: Vec<&str> = [
        ("command", section.has("command")),
        ("url", section.has("url")),
        ("notify", notify),
    ]
    .into_iter()
    .filter_map(|(key, is_set)| is_set.then_some(key))
    .collect();
    let [kind] = named[..] else {
        let reason = match named[..] {
            [] => "not set; a hook has one of command, url and notify = true".to_owned(),
            _ => format!("has {}; a hook does one thing", named.join(" and ")),
        };
        let key = named.last().copied().unwrap_or("command");
        return Err(section.refuse(key, at, reason));
    };
    for (key, of) in [
        ("env", "command"),
        ("secret", "url"),
        ("secret_file", "url"),
        ("headers", "url"),
    ] {
        if section.has(key) && kind != of {
            let reason = format!("belongs to a hook with {of}, and this one has {kind}");
            return Err(section.refuse(key, at, reason));
        }
    }
    match kind {
        "command" => Ok(Action::Command {
            argv: section.get("command", argv).unwrap_or_default(),
            env: section.get("env", file::names).unwrap_or_default(),
        }),
        "url" => endpoint(section, at).map(|endpoint| Action::Post(Box::new(endpoint))),
        _ => Ok(Action::Notify),
    }
}

fn endpoint(section: &Section<'_>, at: usize) -> Result<Endpoint, ConfigError> {
    let uri = section.get("url", url);
    let uri = uri.ok_or_else(|| section.refuse("url", at, "not set".to_owned()))?;
    if section.has("secret") && section.has("secret_file") {
        let reason = "there is a secret_file as well; set one of them";
        return Err(section.refuse("secret", at, reason.to_owned()));
    }
    let secret = match section.get("secret", |value| Secret::parse(&text(value)?)) {
        Some(secret) => Some(secret),
        None => section.get("secret_file", |value| secret_of(&path(value)?)),
    };
    Ok(Endpoint {
        uri,
        headers: section.get("headers", headers).unwrap_or_default(),
        secret,
    })
}

fn name(value: &DeValue<'_>) -> Result<String, String> {
    let name = word(value)?;
    if file::is_name(&name) {
        Ok(name)
    } else {
        Err("a hook's name has 1 to 64 of the characters a-z A-Z 0-9 . _ -".to_owned())
    }
}

fn events(value: &DeValue<'_>) -> Result<Vec<&'static str>, String> {
    let words = list(value)?;
    let mut events = Vec::new();
    for word in &words {
        if word == "any" {
            return Ok(EVENTS.to_vec());
        }
        let known = EVENTS.iter().find(|event| *event == word);
        let event = known.ok_or_else(|| {
            format!(
                "unknown event `{word}`; there are any, {}",
                EVENTS.join(", ")
            )
        })?;
        if !events.contains(event) {
            events.push(event);
        }
    }
    Ok(events)
}

fn outcomes(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let words = list(value)?;
    for word in &words {
        let bare = word.strip_prefix('!').unwrap_or(word);
        let known = Outcome::ALL.iter().any(|outcome| outcome.as_str() == bare);
        if !known && !bare.contains('*') {
            let known = Outcome::ALL.map(Outcome::as_str).join(", ");
            return Err(format!(
                "unknown outcome `{bare}`; there are {known}, each also with ! for all but it"
            ));
        }
    }
    Ok(words)
}

/// A list of words, of which there is at least one.
fn list(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let words = texts(value)?;
    if words.is_empty() || words.iter().any(String::is_empty) {
        return Err("must not be empty; leave it out, or name something".to_owned());
    }
    Ok(words)
}

fn argv(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let argv = texts(value)?;
    match argv.first().map(String::as_str) {
        None | Some("") => {
            Err("names no program; write it like [\"notify-me\", \"--quiet\"]".to_owned())
        }
        Some(program) if program.contains('/') && !program.starts_with('/') => Err(format!(
            "`{program}` is relative; write the whole path, from /, or a name on PATH"
        )),
        Some(_) => Ok(argv),
    }
}

/// Never quoted in a complaint: its path may be all that keeps others from posting there.
pub(super) fn url(value: &DeValue<'_>) -> Result<Uri, String> {
    let wanted = "must be the address of a server, like \"https://example.org/hook\"";
    let uri: Uri = word(value)?.parse().map_err(|_| wanted.to_owned())?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    let Some(authority) = uri.authority().filter(|_| is_http) else {
        return Err(wanted.to_owned());
    };
    if authority.as_str().contains('@') {
        return Err(
            "must not have a name and a password; put them in headers = { Authorization = \"Basic …\" }"
                .to_owned(),
        );
    }
    Ok(uri)
}

pub(super) fn headers(value: &DeValue<'_>) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    const OURS: [&str; 5] = [
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "content-type",
    ];
    let table = value
        .as_table()
        .ok_or("must be a table, like { Authorization = \"Bearer …\" }")?;
    let mut headers = Vec::new();
    for (name, value) in table {
        let word = name.get_ref();
        let header: HeaderName = word
            .parse()
            .map_err(|_| format!("`{word}` is no name of a header"))?;
        if OURS.contains(&header.as_str()) || header.as_str().starts_with("webhook-") {
            return Err(format!("`{word}` is set by steroidsd itself"));
        }
        let mut value = HeaderValue::from_str(&text(value.get_ref())?)
            .map_err(|_| format!("the value of `{word}` cannot stand in a header"))?;
        value.set_sensitive(true);
        headers.push((header, value));
    }
    Ok(headers)
}

/// The first line of a file.
fn secret_of(path: &Path) -> Result<Secret, String> {
    let refuse = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    let found = std::fs::metadata(path).map_err(refuse)?;
    if !found.is_file() || found.len() > SECRET_FILE_MAX {
        let path = path.display();
        return Err(format!(
            "{path} is no file with a secret: one line, at most 4 KiB"
        ));
    }
    let text = std::fs::read_to_string(path).map_err(refuse)?;
    let line = text.lines().next().unwrap_or_default().trim();
    Secret::parse(line).map_err(|reason| format!("the secret in {}: {reason}", path.display()))
}

pub(super) fn bounded(
    value: &DeValue<'_>,
    least: Duration,
    most: Duration,
) -> Result<Duration, String> {
    let duration = units::duration(&text(value)?)?;
    duration
        .filter(|duration| (least..=most).contains(duration))
        .ok_or_else(|| {
            let (least, most) = (
                humantime::format_duration(least),
                humantime::format_duration(most),
            );
            format!("must be from {least} to {most}")
        })
}

#[cfg(test)]
mod tests;
