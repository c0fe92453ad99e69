//! How the libraries below the CLIs say that there was no connection: no name, no route, refused,
//! reset, no answer in time, no TLS, a proxy that let nothing through.
//!
//! Asked only of what a CLI itself gives as its error, and known only from its beginning on: agents
//! write about `ECONNREFUSED`, too.
//!
//! The sentences are those of the libraries' own sources: undici and Node, Bun, the clients of the APIs,
//! opencode, reqwest and hyper, the C library's `strerror` and `gai_strerror`, OpenSSL. None of a CLI's own
//! recordings has one; what is missing ends as `failed`, with its words.

/// What others put before it, once or several of them.
const WRAPPERS: [&str; 5] = [
    "Error: ",
    "TypeError: ",
    "FetchError: ",
    "APIConnectionError: ",
    "exception ",
];

/// Sentences, by their beginnings.
const SENTENCES: [&str; 36] = [
    // Node and its fetch.
    "fetch failed",
    "Failed to fetch",
    "socket hang up",
    "other side closed",
    "Premature close",
    "Invalid response body while trying to fetch ",
    "Client network socket disconnected before secure TLS connection was established",
    "Connect Timeout Error",
    "Headers Timeout Error",
    "Body Timeout Error",
    "Proxy response (",
    // Bun.
    "Unable to connect. Is the computer able to access the url?",
    "Was there a typo in the url or port?",
    "The socket connection was closed unexpectedly",
    "The operation timed out",
    // The clients of the APIs, and what opencode makes of a reset.
    "Cannot connect to API",
    "Connection error.",
    "Connection reset by server",
    "Request timed out",
    // Rust.
    "error sending request",
    "error trying to connect",
    "error decoding response body",
    "failed to lookup address information",
    "dns error",
    "tcp connect error",
    "operation timed out",
    "connection closed before message completed",
    "Connection refused",
    "Connection reset",
    "Connection timed out",
    "Network is unreachable",
    "No route to host",
    // Certificates.
    "unable to verify the first certificate",
    "unable to get local issuer certificate",
    "self-signed certificate",
    "self signed certificate",
];

/// Sentences that say it as a whole, and might begin another.
const WHOLE: [&str; 3] = ["terminated", "network error", "request timed out"];

/// Calls of the system that a connection takes: `connect ECONNREFUSED 10.0.0.1:443`.
const CALLS: [&str; 6] = [
    "connect",
    "read",
    "write",
    "getaddrinfo",
    "send",
    "connectx",
];

/// Their errors, and those of fetch.
const CODES: [&str; 18] = [
    "ENOTFOUND",
    "EAI_AGAIN",
    "EAI_FAIL",
    "ECONNREFUSED",
    "ECONNRESET",
    "ECONNABORTED",
    "ETIMEDOUT",
    "ENETUNREACH",
    "ENETDOWN",
    "EHOSTUNREACH",
    "EHOSTDOWN",
    "EPIPE",
    "EPROTO",
    "UND_ERR_CONNECT_TIMEOUT",
    "UND_ERR_SOCKET",
    "ConnectionRefused",
    "ConnectionClosed",
    "FailedToOpenSocket",
];

/// Whether an error says that there was no connection, or that it was lost.
pub(crate) fn is_lost(error: &str) -> bool {
    let said = unwrapped(error.trim());
    SENTENCES.iter().any(|it| said.starts_with(it))
        || WHOLE.contains(&said.trim_end_matches('.'))
        || is_call(said)
        || of_request(said).is_some_and(|reason| reason.is_empty() || is_call(unwrapped(reason)))
}

/// Whether a word is a code of such an error.
pub(crate) fn is_code(word: &str) -> bool {
    CODES.contains(&word)
}

fn unwrapped(mut said: &str) -> &str {
    while let Some(inner) = WRAPPERS.iter().find_map(|it| said.strip_prefix(it)) {
        said = inner;
    }
    said
}

/// `getaddrinfo EAI_AGAIN api.example`
fn is_call(said: &str) -> bool {
    let mut words = said.split([' ', ':', ',']);
    words.next().is_some_and(|call| CALLS.contains(&call)) && words.next().is_some_and(is_code)
}

/// The reason in `request to https://api.example/v1 failed, reason: connect ETIMEDOUT 10.0.0.1:443`,
/// which may be empty.
fn of_request(said: &str) -> Option<&str> {
    let address = said.strip_prefix("request to http")?;
    let (address, reason) = address.split_once(" failed, reason:")?;
    (!address.contains(' ')).then(|| reason.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_that_was_not_had_is_told_in_many_ways() {
        for said in [
            "fetch failed",
            "exception TypeError: fetch failed sending request",
            "request to https://cloudcode-pa.googleapis.com/v1internal:countTokens failed, reason: getaddrinfo ENOTFOUND cloudcode-pa.googleapis.com",
            "request to https://a.example/v1 failed, reason: ",
            "FetchError: request to https://a.example failed, reason: connect ETIMEDOUT 10.0.0.1:443",
            "getaddrinfo EAI_AGAIN api.anthropic.com",
            "connect ECONNREFUSED 127.0.0.1:8787",
            "read ECONNRESET",
            "terminated",
            "Error: Unable to connect. Is the computer able to access the url?",
            "Cannot connect to API: Unable to connect. Is the computer able to access the url?",
            "error sending request for url (https://chatgpt.com/backend-api/codex/responses)",
            "self-signed certificate in certificate chain",
            "Request timed out.",
        ] {
            assert!(is_lost(said), "{said}");
        }
    }

    #[test]
    fn who_merely_speaks_of_one_has_lost_none() {
        for said in [
            "",
            "ECONNREFUSED is what the test expects",
            "I fixed it: connect ECONNREFUSED 127.0.0.1:8787",
            "read the file and it said ECONNRESET",
            "connect the parts",
            "request to https://a.example and another failed, reason: it is",
            "request to https://a.example failed, reason: no such model",
            "terminated by the user",
            "network error handling is missing",
            "the fetch failed",
        ] {
            assert!(!is_lost(said), "{said}");
        }
        assert!(is_code("ECONNRESET") && !is_code("ENOENT"));
    }
}
