//! What of the caller's environment goes along with a start: a service has neither the caller's
//! PATH nor the providers' settings. Only names an agent is known to need leave this process, and
//! those that the daemon's configuration names for the provider; it filters once more, by provider.

use std::collections::HashMap;
use std::ffi::OsString;

use steroids_client::{Client, v1};
use tonic::Status;

use super::begin;
use crate::failure::Failure;

/// Passed on by name. A trailing `*` stands for any ending.
const NAMES: &[&str] = &[
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "PATH",
    "LANG",
    "LANGUAGE",
    "LC_*",
    "TERM",
    "TZ",
    "TMPDIR",
    "XDG_CONFIG_HOME",
    "XDG_CACHE_HOME",
    "XDG_DATA_HOME",
    // Proxies and certificates, in both spellings that are in use.
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
    // Handed on by the daemon only where its configuration says so.
    "SSH_AUTH_SOCK",
    "ANTHROPIC_*",
    "CLAUDE_*",
    "OPENAI_*",
    "CODEX_*",
    "GEMINI_*",
    "GOOGLE_*",
    // opencode speaks to models of many.
    "OPENCODE_*",
    "OPENROUTER_API_KEY",
    "MISTRAL_API_KEY",
    "DEEPSEEK_API_KEY",
    "GROQ_API_KEY",
    "XAI_API_KEY",
];

/// Room for the variables beside a prompt of full length in one message.
const MOST_BYTES: usize = 512 * 1024;

const NOT_STARTED: &str =
    "nothing was started: the daemon did not say which variables the provider gets";

/// What of this process's environment goes along with a start by this provider.
///
/// # Errors
/// What the daemon says, or that it says nothing: without those variables the agent would run all the same, as
/// somebody else or not for long.
pub(in crate::command) async fn sent(
    client: &Client,
    provider: &str,
) -> Result<HashMap<String, String>, Failure> {
    let wanted = wanted(client, provider).await;
    let wanted = wanted.map_err(|status| Failure::from(status).before_anything(NOT_STARTED))?;
    Ok(of_caller(std::env::vars_os(), &wanted))
}

/// Names that the daemon's configuration lets pass to this provider. Waited for as long as the start itself is.
async fn wanted(client: &Client, provider: &str) -> Result<Vec<String>, Status> {
    let ask = async || client.status(v1::StatusRequest {}).await;
    let status = begin::patiently(ask).await?;
    let provider = if provider.is_empty() {
        "claude"
    } else {
        provider
    };
    let of_name = status.providers.into_iter().find(|it| it.name == provider);
    Ok(of_name.map(|it| it.env).unwrap_or_default())
}

/// The allowed ones of these variables. Such as are not UTF-8 are left out, and those of a name
/// for which there is no room any more, longest first.
fn of_caller(
    variables: impl Iterator<Item = (OsString, OsString)>,
    wanted: &[String],
) -> HashMap<String, String> {
    let mut kept: Vec<(String, String)> = variables
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .filter(|(name, _)| is_allowed(name, wanted))
        .collect();
    kept.sort_by_key(|(name, value)| name.len() + value.len());
    let mut room = MOST_BYTES;
    kept.into_iter()
        .take_while(|(name, value)| {
            let size = name.len() + value.len();
            let fits = size <= room;
            room = room.saturating_sub(size);
            fits
        })
        .collect()
}

fn is_allowed(name: &str, wanted: &[String]) -> bool {
    let wanted = wanted.iter().map(String::as_str);
    let mut allowed = NAMES.iter().copied().chain(wanted);
    allowed.any(|allowed| match allowed.strip_suffix('*') {
        Some(beginning) => name.starts_with(beginning),
        None => name == allowed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(variables: &[(&str, &str)]) -> Vec<String> {
        let variables = variables
            .iter()
            .map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let mut names: Vec<String> = of_caller(variables, &["MYCLI_*".to_owned()])
            .into_keys()
            .collect();
        names.sort();
        names
    }

    #[test]
    fn only_what_an_agent_needs_leaves_the_process() {
        let names = kept(&[
            ("PATH", "/bin"),
            ("LC_ALL", "C"),
            ("ANTHROPIC_API_KEY", "k"),
            ("AWS_SECRET_ACCESS_KEY", "k"),
            ("DBUS_SESSION_BUS_ADDRESS", "x"),
            ("LD_PRELOAD", "x"),
            ("PATHEXT", "x"),
            ("MYCLI_KEY", "k"),
            ("CLAUDECODE", "1"),
        ]);
        assert_eq!(names, ["ANTHROPIC_API_KEY", "LC_ALL", "MYCLI_KEY", "PATH"]);
    }

    #[test]
    fn a_huge_variable_gives_way_to_the_others() {
        let huge = "x".repeat(MOST_BYTES);
        assert_eq!(kept(&[("GOOGLE_JSON", &huge), ("PATH", "/bin")]), ["PATH"]);
    }
}
