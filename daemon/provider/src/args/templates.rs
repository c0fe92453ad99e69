//! The default arguments of each CLI.

use crate::kind::Kind;

const CLAUDE: Template = Template {
    flags: &[
        "-p",
        "--model",
        "{model}",
        "--resume",
        "{session}",
        "--output-format",
        "stream-json",
        "--verbose",
        "--dangerously-skip-permissions",
    ],
    tail: &[],
};

const CODEX: Template = Template {
    flags: &[
        "exec",
        "--model",
        "{model}",
        "--json",
        "--dangerously-bypass-approvals-and-sandbox",
        "--skip-git-repo-check",
    ],
    // After `resume` only that subcommand's own flags are taken.
    tail: &["resume", "{session}", "-"],
};

const GEMINI: Template = Template {
    flags: &[
        "--output-format",
        "stream-json",
        "-m",
        "{model}",
        "--yolo",
        "--resume",
        "{session}",
    ],
    tail: &[],
};

const OPENCODE: Template = Template {
    flags: &[
        "run",
        "--format",
        "json",
        "--model",
        "{model}",
        "--session",
        "{session}",
    ],
    tail: &[],
};

const BARE: Template = Template {
    flags: &[],
    tail: &[],
};

/// Arguments with placeholders.
pub(super) struct Template {
    /// Before the configured extra arguments.
    pub(super) flags: &'static [&'static str],
    /// Follows the configured extra arguments.
    pub(super) tail: &'static [&'static str],
}

impl Template {
    /// The default of a kind.
    pub(super) fn of(kind: Kind) -> &'static Template {
        match kind {
            Kind::Claude => &CLAUDE,
            Kind::Codex => &CODEX,
            Kind::Gemini => &GEMINI,
            Kind::Opencode => &OPENCODE,
            // All that is known of its arguments stands in the configuration.
            Kind::Jsonl | Kind::Command => &BARE,
        }
    }
}
