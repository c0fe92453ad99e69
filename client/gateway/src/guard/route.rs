//! What there is to ask for, and with which method. The router above knows the same paths; one that
//! stands there alone is never reached.

use http::Method;

/// What kind of thing a path names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Route {
    /// The page itself, which holds no data.
    Shell,
    /// Its files, and whether the gateway is well.
    Open,
    /// Trades a one-time code.
    Session,
    /// Makes codes and tokens.
    Token,
    /// Reads.
    Read,
    /// Starts, stops, or sends to an agent.
    Control,
    /// Holds: tells of them, or sets one.
    Holds,
    /// Lifts one.
    Hold,
}

impl Route {
    /// The kind of a path; `None` where there is nothing.
    pub(super) fn of(path: &str) -> Option<Route> {
        let rest = path.strip_prefix('/')?;
        let segments: Vec<&str> = rest.splitn(8, '/').collect();
        match segments[..] {
            [""] | ["usage"] | ["tasks", ..] => Some(Route::Shell),
            ["healthz"] | ["assets", _] => Some(Route::Open),
            ["metrics"] => Some(Route::Read),
            ["api", ref rest @ ..] => Route::of_api(rest),
            _ => None,
        }
    }

    fn of_api(segments: &[&str]) -> Option<Route> {
        match *segments {
            ["session"] => Some(Route::Session),
            ["codes"] | ["token", "rotate"] => Some(Route::Token),
            ["status" | "projects" | "tasks" | "usage" | "invocations"]
            | ["projects" | "overview", "stream"]
            | ["tasks", _]
            | ["tasks", _, "stream" | "events" | "timeline"]
            | ["tasks", _, "invocations", _]
            | ["tasks", _, "invocations", _, "outline" | "lines"] => Some(Route::Read),
            ["tasks", _, "invocations"]
            | ["tasks", _, "invocations", _, "stop" | "retry" | "input"] => Some(Route::Control),
            ["holds"] => Some(Route::Holds),
            ["holds", _] => Some(Route::Hold),
            _ => None,
        }
    }

    /// Whether it changes what runs, or is to run.
    pub(super) fn controls(self, method: &Method) -> bool {
        match self {
            Route::Control | Route::Hold => true,
            Route::Holds => *method != Method::GET,
            Route::Shell | Route::Open | Route::Session | Route::Token | Route::Read => false,
        }
    }

    /// The methods that it answers, as `Allow` has them.
    pub(super) fn methods(self) -> &'static str {
        match self {
            Route::Shell | Route::Open => "GET, HEAD",
            Route::Read => "GET",
            Route::Holds => "GET, POST",
            Route::Hold => "DELETE",
            Route::Session | Route::Token | Route::Control => "POST",
        }
    }

    /// Whether it answers this method.
    pub(super) fn takes(self, method: &Method) -> bool {
        self.methods().split(", ").any(|it| it == method.as_str())
    }
}
