//! What a manual page says and `--help` does not: files, variables, and where to read on.

/// A term and what there is to say of it.
pub(crate) type Entry = (&'static str, &'static str);

const CONFIG: Entry = (
    "$XDG_CONFIG_HOME/steroids/config.toml",
    "The configuration, usually below ~/.config; see steroids-config(5). No file is needed.",
);
const SOCKET: Entry = (
    "$XDG_RUNTIME_DIR/steroids/steroidsd.sock",
    "Where the daemon is asked, by gRPC. Only its owner and root can.",
);
const STATE: Entry = (
    "$XDG_STATE_HOME/steroids/",
    "What must survive a restart, usually below ~/.local/state: a folder for each invocation, with its raw transcript, and the list of projects.",
);
const PROJECT: Entry = (
    "PROJECT/.steroids/",
    "A project's database, steroids.db, and the activity logs of its invocations.",
);
const TOKEN: Entry = (
    "$XDG_STATE_HOME/steroids/gateway/token",
    "What a browser has to show; made at the first start, kept until `steroidsctl web --rotate`.",
);

const CONFIG_VARIABLE: Entry = ("STEROIDS_CONFIG", "The configuration file, as --config.");
const SOCKET_VARIABLE: Entry = ("STEROIDS_SOCKET", "The daemon's socket, as --socket.");
const STATE_VARIABLE: Entry = ("STEROIDS_STATE_DIR", "The state folder, as --state-dir.");
const NO_COLOR: Entry = (
    "NO_COLOR",
    "Where it is set to anything, nothing is coloured.",
);

/// Sections of a page, in order; commands of `steroidsctl` have none of their own.
pub(crate) fn of(page: &str) -> Vec<(&'static str, Vec<Entry>)> {
    let (variables, files) = match page {
        "steroidsd" => (
            vec![CONFIG_VARIABLE, SOCKET_VARIABLE, STATE_VARIABLE],
            vec![CONFIG, SOCKET, STATE, PROJECT],
        ),
        "steroidsctl" => (
            vec![CONFIG_VARIABLE, SOCKET_VARIABLE, STATE_VARIABLE, NO_COLOR],
            vec![CONFIG, SOCKET, PROJECT],
        ),
        "steroids-gateway" => (
            vec![CONFIG_VARIABLE, SOCKET_VARIABLE, STATE_VARIABLE],
            vec![CONFIG, SOCKET, TOKEN],
        ),
        _ => return Vec::new(),
    };
    vec![("ENVIRONMENT", variables), ("FILES", files)]
}

/// The chapter of the manual that a page is in.
pub(crate) fn number(page: &str) -> u8 {
    match page {
        "steroids-config" => 5,
        "steroidsd" | "steroids-gateway" | "steroids-shim" => 8,
        _ => 1,
    }
}

/// Where to read on.
pub(crate) fn see_also(page: &str) -> Vec<(String, u8)> {
    let all = [
        "steroidsd",
        "steroidsctl",
        "steroids-gateway",
        "steroids-shim",
        "steroids-config",
    ];
    let named = |name: &str| (name.to_owned(), number(name));
    match page.rsplit_once('-') {
        // A command's neighbours are on the page above it.
        Some((above, _)) if page.starts_with("steroidsctl-") => {
            vec![named(above), named("steroidsd")]
        }
        _ => all
            .iter()
            .filter(|name| **name != page)
            .map(|name| named(name))
            .collect(),
    }
}
