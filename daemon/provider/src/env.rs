//! Which environment variables a provider gets, and which signal asks it to end.
//!
//! An allow-list: what every program needs, and what the provider's settings name. Some names
//! never pass, whoever sets them: they would let an agent speak for the service that runs it,
//! load code into it, or make a CLI believe that it runs inside itself.

use std::collections::BTreeMap;

use crate::args::Settings;
use crate::kind::Kind;

/// Passed to every provider.
const ALWAYS: &[&str] = &[
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "PATH",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TERM",
    "COLORTERM",
    "NO_COLOR",
    "TZ",
    "TMPDIR",
    "XDG_CONFIG_HOME",
    "XDG_CACHE_HOME",
    "XDG_DATA_HOME",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "NO_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
];

/// Never passed.
const WITHHELD: &[&str] = &[
    // Of the service manager: an agent could report for the daemon, or take its sockets.
    "NOTIFY_SOCKET",
    "WATCHDOG_*",
    "LISTEN_*",
    "INVOCATION_ID",
    "JOURNAL_STREAM",
    "CREDENTIALS_DIRECTORY",
    "DBUS_SESSION_BUS_ADDRESS",
    // Of the dynamic loader.
    "LD_*",
    // Ours; the shim sets its marker afterwards.
    "STEROIDS_*",
    // Left by a CLI in whose shell the caller sits: the new one would take itself for a child.
    "CLAUDECODE",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_SSE_PORT",
    "CLAUDE_CODE_SESSION_ID",
    "CODEX_SANDBOX",
    "CODEX_SANDBOX_*",
    "GEMINI_CLI",
    "OPENCODE",
    "OPENCODE_PID",
];

const CLAUDE: &[&str] = &[
    "ANTHROPIC_*",
    "CLAUDE_CODE_*",
    "CLAUDE_CONFIG_DIR",
    "API_TIMEOUT_MS",
    "BASH_DEFAULT_TIMEOUT_MS",
    "BASH_MAX_TIMEOUT_MS",
    "BASH_MAX_OUTPUT_LENGTH",
    "DISABLE_AUTOUPDATER",
    "DISABLE_ERROR_REPORTING",
    "DISABLE_TELEMETRY",
    "MAX_MCP_OUTPUT_TOKENS",
    "MAX_THINKING_TOKENS",
    "MCP_TIMEOUT",
    "MCP_TOOL_TIMEOUT",
];
const CODEX: &[&str] = &["OPENAI_*", "AZURE_OPENAI_*", "CODEX_*"];
const GEMINI: &[&str] = &["GEMINI_*", "GOOGLE_*"];

// It speaks to any of them; whoever keeps keys by `opencode auth login` needs none here.
const OPENCODE: &[&str] = &[
    "OPENCODE_*",
    "ANTHROPIC_API_KEY",
    "OPENAI_API_KEY",
    "GEMINI_API_KEY",
    "GOOGLE_GENERATIVE_AI_API_KEY",
    "OPENROUTER_API_KEY",
    "MISTRAL_API_KEY",
    "DEEPSEEK_API_KEY",
    "GROQ_API_KEY",
    "XAI_API_KEY",
];

const SIGINT: i32 = 2;
const SIGTERM: i32 = 15;

/// The names a provider's settings begin with.
pub(crate) fn builtin(kind: Kind) -> &'static [&'static str] {
    match kind {
        Kind::Claude => CLAUDE,
        Kind::Codex => CODEX,
        Kind::Gemini => GEMINI,
        Kind::Opencode => OPENCODE,
        Kind::Jsonl | Kind::Command => &[],
    }
}

/// The provider's environment, sorted by name: of the caller's what is allowed, and what the
/// request sets, which wins. Withheld names are in neither; who takes requests refuses them
/// first, by [`is_withheld`], so that nothing a person asked for is lost without a word.
pub fn environment(
    settings: &Settings,
    caller: &BTreeMap<String, String>,
    set: &BTreeMap<String, String>,
) -> Vec<(String, String)> {
    let mut environment: BTreeMap<&str, &str> = caller
        .iter()
        .filter(|(name, _)| passes(settings, name))
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    for (name, value) in set.iter().filter(|(name, _)| !is_withheld(name)) {
        environment.insert(name, value);
    }
    environment
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Whether a variable of the caller's environment reaches the provider.
pub fn passes(settings: &Settings, name: &str) -> bool {
    let allowed = ALWAYS.iter().copied();
    let configured = settings.env.iter().map(String::as_str);
    !is_withheld(name)
        && allowed
            .chain(configured)
            .any(|pattern| matches(pattern, name))
}

/// Whether a variable never reaches a provider, not even if a request sets it.
pub fn is_withheld(name: &str) -> bool {
    WITHHELD.iter().any(|pattern| matches(pattern, name))
}

pub(crate) fn matches(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == pattern,
    }
}

/// The signal by which a provider ends tidily: claude ends its tools and prints a result on
/// SIGINT; the others have nothing better than SIGTERM.
pub fn gentle_signal(kind: Kind) -> i32 {
    match kind {
        Kind::Claude => SIGINT,
        Kind::Codex | Kind::Gemini | Kind::Opencode | Kind::Jsonl | Kind::Command => SIGTERM,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(names: &[&str]) -> BTreeMap<String, String> {
        names
            .iter()
            .map(|&name| (name.to_owned(), "caller".to_owned()))
            .collect()
    }

    fn names(environment: &[(String, String)]) -> Vec<&str> {
        environment.iter().map(|(name, _)| name.as_str()).collect()
    }

    #[test]
    fn a_provider_gets_its_own_names_and_what_every_program_needs() {
        let caller = variables(&[
            "PATH",
            "LC_ALL",
            "ANTHROPIC_API_KEY",
            "OPENAI_API_KEY",
            "GEMINI_API_KEY",
            "SECRET",
            "SSH_AUTH_SOCK",
        ]);
        let none = BTreeMap::new();
        let of = |kind| environment(&Settings::builtin(kind), &caller, &none);
        assert_eq!(
            names(&of(Kind::Claude)),
            ["ANTHROPIC_API_KEY", "LC_ALL", "PATH"]
        );
        assert_eq!(
            names(&of(Kind::Codex)),
            ["LC_ALL", "OPENAI_API_KEY", "PATH"]
        );
        assert_eq!(
            names(&of(Kind::Gemini)),
            ["GEMINI_API_KEY", "LC_ALL", "PATH"]
        );
        assert_eq!(
            names(&of(Kind::Opencode)),
            [
                "ANTHROPIC_API_KEY",
                "GEMINI_API_KEY",
                "LC_ALL",
                "OPENAI_API_KEY",
                "PATH"
            ]
        );
        assert_eq!(names(&of(Kind::Command)), ["LC_ALL", "PATH"]);
    }

    #[test]
    fn what_the_request_sets_wins_and_needs_no_permission() {
        let caller = variables(&["PATH"]);
        let set = BTreeMap::from([
            ("PATH".to_owned(), "set".to_owned()),
            ("SECRET".to_owned(), "set".to_owned()),
        ]);
        let environment = environment(&Settings::builtin(Kind::Command), &caller, &set);
        assert_eq!(names(&environment), ["PATH", "SECRET"]);
        assert!(environment.iter().all(|(_, value)| value == "set"));
    }

    #[test]
    fn withheld_names_pass_for_nobody() {
        let withheld = [
            "NOTIFY_SOCKET",
            "LISTEN_FDS",
            "LD_PRELOAD",
            "STEROIDS_TOKEN",
            "CLAUDECODE",
            "CLAUDE_CODE_ENTRYPOINT",
        ];
        let all = Settings {
            env: vec!["*".to_owned()],
            ..Settings::builtin(Kind::Claude)
        };
        let environment = environment(&all, &variables(&withheld), &variables(&withheld));
        assert!(environment.is_empty(), "{environment:?}");
    }

    #[test]
    fn only_claude_has_a_tidier_signal_than_term() {
        let signals = Kind::ALL.map(gentle_signal);
        assert_eq!(signals[0], SIGINT);
        assert!(signals[1..].iter().all(|signal| *signal == SIGTERM));
    }
}
