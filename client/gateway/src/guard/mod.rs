//! Who may ask: every request passes here before anything of ours sees it. The checks in their
//! order, each of which the next ones rely on:
//!
//! ```text
//! head limits -> Host -> Sec-Fetch-Site, Origin -> method and path -> no body but of a POST -> (access) bearer token
//! ```
//!
//! `Host` keeps out pages that had a name of theirs resolve to this machine; `Sec-Fetch-Site` and
//! `Origin` keep out pages of other origins, those of other ports on this machine too; the token
//! keeps out other programs and users. A pure function of the head and the [`Settings`]: what it
//! refuses is refused before a body was read or the daemon asked.

mod origin;
mod route;

use std::net::{Ipv4Addr, SocketAddr};

use http::header::{CONTENT_LENGTH, HeaderName, TRANSFER_ENCODING};
use http::request::Parts;
use http::{Method, StatusCode, Version};

use crate::config::Auth;
use route::Route;

/// The longest target: what a path with its query takes, and a cursor of 4 KiB does not.
const LONGEST_TARGET: usize = 4096;
/// Headers of a request; hyper counts them, too.
pub(crate) const MOST_HEADERS: usize = 64;
/// The longest body: a prompt goes with it.
pub(crate) const LONGEST_BODY: u64 = 64 * 1024;

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");

/// What the guard goes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Names that are ours, with the port: `localhost:3501`.
    pub(crate) hosts: Vec<String>,
    /// Origins that are ours: `http://localhost:3501`.
    pub(crate) origins: Vec<String>,
    /// Whether a token is asked for.
    pub(crate) auth: Auth,
    /// Whether invocations may be started and stopped.
    pub(crate) control: bool,
}

impl Settings {
    /// For a gateway that listens there and answers to these further names.
    pub(crate) fn new(
        listen: SocketAddr,
        allowed_hosts: &[String],
        auth: Auth,
        control: bool,
    ) -> Settings {
        let port = listen.port();
        let bare = ["127.0.0.1", "localhost", "[::1]"].map(str::to_owned);
        let own = match listen {
            // Another address of this machine's own, such as 127.0.0.2.
            SocketAddr::V4(it) if *it.ip() != Ipv4Addr::LOCALHOST => Some(it.ip().to_string()),
            _ => None,
        };
        let mut hosts = Vec::new();
        for name in bare.into_iter().chain(own) {
            hosts.push(format!("{name}:{port}"));
            if port == 80 {
                hosts.push(name);
            }
        }
        let mut origins: Vec<String> = hosts.iter().map(|it| format!("http://{it}")).collect();
        if auth == Auth::Token {
            for name in allowed_hosts {
                hosts.push(name.clone());
                // In front of it may stand a proxy that speaks TLS.
                origins.push(format!("http://{name}"));
                origins.push(format!("https://{name}"));
            }
        }
        Settings {
            hosts,
            origins,
            auth,
            control,
        }
    }
}

/// What a request that passed still needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Allowed {
    /// Nothing: it holds no data, or no token is asked for.
    Open,
    /// A bearer token.
    WithToken,
}

/// Why a request goes no further. The connection is closed with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused {
    /// A word for the counters.
    pub(crate) reason: &'static str,
    /// What is answered.
    pub(crate) status: StatusCode,
    /// What is said; it tells nothing about what is served.
    pub(crate) error: &'static str,
    /// The methods that would do, where it is the method.
    pub(crate) allow: Option<&'static str>,
}

const fn refused(reason: &'static str, status: StatusCode, error: &'static str) -> Refused {
    Refused {
        reason,
        status,
        error,
        allow: None,
    }
}

/// Lets a request through, or says why not.
pub(crate) fn check(head: &Parts, settings: &Settings) -> Result<Allowed, Refused> {
    let length = limits(head)?;
    origin::host(head, settings)?;
    let route = Route::of(head.uri.path());
    origin::site(head, settings, route)?;
    let allowed = door(head, settings, route)?;
    if length > 0 && head.method != Method::POST {
        return Err(refused(
            "framing",
            StatusCode::BAD_REQUEST,
            "this request has no body",
        ));
    }
    Ok(allowed)
}

/// What needs no look at what is asked for; the body's length. hyper has refused longer heads and more headers.
fn limits(head: &Parts) -> Result<u64, Refused> {
    let target = head.uri.path_and_query().map_or(0, |it| it.as_str().len());
    if target > LONGEST_TARGET {
        let status = StatusCode::URI_TOO_LONG;
        return Err(refused("target", status, "the URL is too long"));
    }
    if head.headers.len() > MOST_HEADERS {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        return Err(refused("headers", status, "too many headers"));
    }
    if head.version != Version::HTTP_11 && head.version != Version::HTTP_10 {
        let status = StatusCode::HTTP_VERSION_NOT_SUPPORTED;
        return Err(refused("version", status, "HTTP/1.1 is spoken here"));
    }
    // Two ways to tell a body's length are how requests are smuggled past whoever reads only one;
    // hyper drops one of them before we see it, so that the other is not taken either.
    if head.headers.contains_key(TRANSFER_ENCODING) {
        let status = StatusCode::LENGTH_REQUIRED;
        return Err(refused("framing", status, "a body needs a Content-Length"));
    }
    let mut lengths = head.headers.get_all(CONTENT_LENGTH).iter();
    let length = match (lengths.next(), lengths.next()) {
        (None, _) => 0,
        (Some(length), None) => length
            .to_str()
            .ok()
            .and_then(|text| text.parse().ok())
            .ok_or(BAD_LENGTH)?,
        (Some(_), Some(_)) => return Err(BAD_LENGTH),
    };
    if length > LONGEST_BODY {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        return Err(refused("body", status, "the body is too large"));
    }
    Ok(length)
}

const BAD_LENGTH: Refused = refused(
    "framing",
    StatusCode::BAD_REQUEST,
    "the Content-Length makes no sense",
);

/// Whether there is such a thing, and what it takes to have it.
fn door(head: &Parts, settings: &Settings, route: Option<Route>) -> Result<Allowed, Refused> {
    if head.method == Method::OPTIONS {
        let status = StatusCode::FORBIDDEN;
        return Err(refused("method", status, "no other origin is served"));
    }
    let Some(route) = route else {
        let status = StatusCode::NOT_FOUND;
        return Err(refused("path", status, "there is nothing here"));
    };
    if !route.takes(&head.method) {
        let status = StatusCode::METHOD_NOT_ALLOWED;
        return Err(Refused {
            allow: Some(route.methods()),
            ..refused("method", status, "not with this method")
        });
    }
    let forbidden = |reason, error| Err(refused(reason, StatusCode::FORBIDDEN, error));
    let controls = route.controls(&head.method);
    match (route, settings.auth) {
        (Route::Shell | Route::Open, _) => Ok(Allowed::Open),
        (Route::Session | Route::Token, Auth::None) => {
            forbidden("no_token", "this gateway asks for no token")
        }
        (Route::Session, Auth::Token) => Ok(Allowed::Open),
        _ if controls && !settings.control => forbidden("control", "starting and stopping is off"),
        (_, Auth::None) if controls => forbidden("control", "starting and stopping needs a token"),
        (_, Auth::Token) => Ok(Allowed::WithToken),
        (_, Auth::None) => Ok(Allowed::Open),
    }
}

#[cfg(test)]
mod tests;
