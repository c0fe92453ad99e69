//! What a hook is: on what, of whom, and what is then done. Checked when the configuration is read.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use hyper::Uri;
use hyper::header::{HeaderName, HeaderValue};

use super::pattern::Patterns;

/// The words of events that a hook can be on; `any` is all of them.
pub const EVENTS: [&str; 11] = [
    "queued", "started", "waiting", "stalled", "resumed", "held", "released", "retried", "budget",
    "finished", "adopted",
];

/// What a notification is for where nobody says: what a person may have to do something about.
pub const NOTIFIED: [&str; 5] = ["finished", "waiting", "stalled", "held", "budget"];

/// One hook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookSettings {
    /// Unique among the hooks.
    pub name: String,
    /// Words of [`EVENTS`].
    pub on: Vec<&'static str>,
    /// Of `finished`: with these outcomes only.
    pub outcome: Patterns,
    /// In these projects only, by path.
    pub project: Patterns,
    /// Of these providers only.
    pub provider: Patterns,
    /// Of these tasks only.
    pub task: Patterns,
    /// What is done.
    pub action: Action,
    /// For one attempt, from its beginning to its answer.
    pub timeout: Duration,
    /// Further attempts for one event.
    pub retries: u32,
    /// Before the first of them; the pauses then double.
    pub retry_after: Duration,
    /// An event older than this is passed over.
    pub max_age: Duration,
}

/// What a hook does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Runs a program with the event on its standard input.
    Command {
        /// The program and its arguments.
        argv: Vec<String>,
        /// Further variables of the daemon's that it gets: names, or beginnings followed by `*`.
        env: Vec<String>,
    },
    /// Posts the event.
    Post(Box<Endpoint>),
    /// Shows it on the desktop.
    Notify,
}

/// Where an event is posted to.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// `http` or `https`, with a host. Its path may be a secret.
    pub uri: Uri,
    /// Further headers, whose values are secrets.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// Deliveries are signed with it.
    pub secret: Option<Secret>,
}

/// Bytes that nobody is shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    /// As it stands in the configuration.
    pub text: String,
    /// What is signed with.
    pub key: Vec<u8>,
}

/// Variables, whose values nobody is shown.
#[derive(Clone, Default)]
pub struct Environment(pub BTreeMap<OsString, OsString>);

/// What the room needs to know.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The hooks, in the order of the file.
    pub hooks: Vec<HookSettings>,
    /// Holds the file with what was delivered.
    pub state_dir: PathBuf,
    /// The shim's program, which guards commands.
    pub guard: PathBuf,
    /// The daemon's own variables, of which a command gets some.
    pub environment: Environment,
    /// Folders in which programs are looked for.
    pub search_path: Vec<PathBuf>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Environment(..)")
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint").finish_non_exhaustive()
    }
}

impl Action {
    /// The word for it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Action::Command { .. } => "command",
            Action::Post(_) => "url",
            Action::Notify => "notify",
        }
    }

    /// Whom it goes to, without what may be a secret: of a command its program, of a URL its host.
    pub(super) fn target(&self) -> String {
        match self {
            Action::Command { argv, .. } => argv.first().cloned().unwrap_or_default(),
            Action::Post(endpoint) => {
                let uri = &endpoint.uri;
                let authority = uri.authority().map_or("", |authority| authority.as_str());
                let rest = if uri.path() == "/" { "/" } else { "/…" };
                format!("{}://{authority}{rest}", uri.scheme_str().unwrap_or("http"))
            }
            Action::Notify => "notify-send".to_owned(),
        }
    }

    /// The daemon's own variables that a command gets by the hook's word: what it prints of them is
    /// not shown either.
    pub(super) fn passed(
        &self,
        environment: &BTreeMap<OsString, OsString>,
    ) -> Vec<(String, String)> {
        let Action::Command { env, .. } = self else {
            return Vec::new();
        };
        if env.is_empty() {
            return Vec::new();
        }
        let patterns = Patterns::new(env);
        let text = |(name, value): (&OsString, &OsString)| {
            Some((name.to_str()?.to_owned(), value.to_str()?.to_owned()))
        };
        let all = environment.iter().filter_map(text);
        all.filter(|(name, _)| patterns.pass(name)).collect()
    }

    /// What must not be shown anywhere, each under a name to show in its place.
    pub(super) fn secrets(&self) -> Vec<(String, String)> {
        let named = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let endpoint = match self {
            Action::Post(endpoint) => endpoint,
            Action::Command { .. } | Action::Notify => return Vec::new(),
        };
        let mut secrets = Vec::new();
        if let Some(secret) = &endpoint.secret {
            secrets.push(named("HOOK_SECRET", &secret.text));
        }
        if let Some(path) = endpoint.uri.path_and_query()
            && path.as_str() != "/"
        {
            secrets.push(named("HOOK_URL", path.as_str()));
            // Servers quote the path without its query, or a part of it.
            let parts = path.as_str().split(['/', '?', '&', '=']);
            let parts = parts.filter(|part| part.len() >= 8);
            secrets.extend(parts.map(|part| named("HOOK_URL", part)));
        }
        let values = endpoint.headers.iter();
        let values = values.filter_map(|(_, value)| value.to_str().ok());
        secrets.extend(values.map(|value| named("HOOK_HEADER", value)));
        secrets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_secret_as_a_whole_and_in_its_parts() {
        let uri = "https://hooks.example/api/112233445/Zk8sEcReTtOk?wait=true";
        let endpoint = Endpoint {
            uri: uri.parse().unwrap(),
            secret: None,
            headers: Vec::new(),
        };
        let secrets = Action::Post(Box::new(endpoint)).secrets();
        let texts: Vec<_> = secrets.iter().map(|(_, text)| text.as_str()).collect();
        let whole = "/api/112233445/Zk8sEcReTtOk?wait=true";
        assert_eq!(texts, [whole, "112233445", "Zk8sEcReTtOk"]);
    }

    #[test]
    fn what_a_command_gets_by_its_hooks_word_is_secret() {
        let action = Action::Command {
            argv: vec!["mail".to_owned()],
            env: vec!["CHAT_*".to_owned()],
        };
        let pair = |name: &str| (OsString::from(name), OsString::from("a value of its own"));
        let environment = ["CHAT_PW", "PATH"].map(pair).into_iter().collect();
        let passed = action.passed(&environment);
        assert_eq!(
            passed,
            [("CHAT_PW".to_owned(), "a value of its own".to_owned())]
        );
    }
}
