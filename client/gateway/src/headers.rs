//! What stands on every answer, errors too: the page may load and call nothing but this gateway,
//! nobody may frame, embed or read an answer from elsewhere, and nothing is kept in a cache.
//! No header of ours ever invites another origin, and none sets a cookie: those ignore ports.

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    X_CONTENT_TYPE_OPTIONS,
};

/// The header by which our own answers are known.
pub(crate) const MARK: &str = "content-security-policy: ";

/// Everything from here, nothing inline, no frame around it, no form out of it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self'; font-src 'self'; manifest-src 'self'; frame-ancestors 'none'; \
                      base-uri 'none'; form-action 'none'";

const ALL: [(HeaderName, &str); 6] = [
    (CONTENT_SECURITY_POLICY, POLICY),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    // For what knows no policy of the first kind.
    (HeaderName::from_static("x-frame-options"), "DENY"),
];

/// Puts them on an answer. What it says itself on caching stays, and is never an invitation.
pub(crate) fn put(headers: &mut HeaderMap) {
    for (name, value) in ALL {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let said = headers.get(CACHE_CONTROL).and_then(|it| it.to_str().ok());
    let caching = match said {
        Some("no-cache, no-transform") => "no-cache, no-transform, no-store",
        Some("no-cache") => "no-cache, no-store",
        _ => "no-store",
    };
    headers.insert(CACHE_CONTROL, HeaderValue::from_static(caching));
}

/// An answer as it goes over the wire, for where no handler is asked.
pub(crate) fn raw(status: http::StatusCode, body: &str) -> Vec<u8> {
    let mut headers = HeaderMap::new();
    put(&mut headers);
    let mut text = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n",
        body.len()
    )
    .into_bytes();
    for (name, value) in &headers {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"\r\n");
    text.extend_from_slice(body.as_bytes());
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_answer_has_them_and_none_invites_others() {
        let text = String::from_utf8(raw(http::StatusCode::NOT_FOUND, "{}")).unwrap();
        for needed in [
            "HTTP/1.1 404 Not Found\r\n",
            "default-src 'none'",
            "frame-ancestors 'none'",
            "x-content-type-options: nosniff\r\n",
            "referrer-policy: no-referrer\r\n",
            "cross-origin-resource-policy: same-origin\r\n",
            "cross-origin-opener-policy: same-origin\r\n",
            "cache-control: no-store\r\n",
            MARK,
        ] {
            assert!(text.contains(needed), "{needed}: {text}");
        }
        assert!(!text.contains("access-control") && !text.contains("set-cookie"));
        assert!(text.ends_with("\r\n\r\n{}"));
    }

    #[test]
    fn a_stream_keeps_what_it_says_on_caching_and_a_cache_is_never_invited() {
        let mut headers = HeaderMap::new();
        for (said, stands) in [
            ("no-cache, no-transform", "no-cache, no-transform, no-store"),
            ("public, max-age=9", "no-store"),
        ] {
            headers.insert(CACHE_CONTROL, HeaderValue::from_static(said));
            put(&mut headers);
            assert_eq!(headers[CACHE_CONTROL], stands);
        }
    }
}
