//! What goes wrong, as a person or a script hears of it: what, what to do, and an exit code.
//!
//! Everything else is turned into a [`Failure`] where it arises, so that there is one place that
//! words a gRPC code and one that prints.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use steroids_client::paths::{Paths, PathsError};
use steroids_client::{ConnectError, FollowError, Refusal};
use tonic::{Code, Status};

use crate::clean::clean_with_marks;
use crate::exit::Exit;
use crate::format::by_clock;
use crate::holder;

/// The word for output that could not be written.
pub(crate) const UNWRITTEN: &str = "io";

/// Why a command did not do what it was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    exit: Exit,
    /// A stable word for scripts.
    code: &'static str,
    message: String,
    hint: Option<String>,
    /// The invocations that it is about, where a script is to know.
    ids: Vec<i64>,
    /// Nobody reads any more; there is nothing to say.
    quiet: bool,
    /// The daemon took the request, and gave no sign of life.
    hung: bool,
}

/// What `--json` prints of it, under the key `error`.
#[derive(serde::Serialize)]
struct ErrorShape<'a> {
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    #[serde(rename = "invocationIds", skip_serializing_if = "<[_]>::is_empty")]
    ids: &'a [i64],
}

impl Failure {
    /// A failure with its exit code, its word and what is wrong.
    pub(crate) fn new(exit: Exit, code: &'static str, message: impl Into<String>) -> Self {
        Failure {
            exit,
            code,
            message: message.into(),
            hint: None,
            ids: Vec::new(),
            quiet: false,
            hung: false,
        }
    }

    /// A command line that makes no sense.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Failure::new(Exit::Usage, "usage", message)
    }

    /// Adds what to do about it.
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds what to do about it, unless the daemon said so itself.
    pub(crate) fn or_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint.get_or_insert_with(|| hint.into());
        self
    }

    /// The daemon has taken the request and given no sign of life.
    pub(crate) fn hung(mut self) -> Self {
        self.hung = true;
        self
    }

    /// Says what to do about a daemon that hangs, if it does.
    pub(crate) fn with_cure(self, paths: &Paths) -> Self {
        match self.hung.then(|| holder::of_hung(paths)).flatten() {
            None => self,
            Some(cure) => match self.hint().map(str::to_owned) {
                Some(first) => self.with_hint(format!("{first}\n{cure}")),
                None => self.with_hint(cure),
            },
        }
    }

    /// Where the answer to what changes something did not come: says so.
    pub(crate) fn unsure(self) -> Self {
        self.unknown("whether it was done is not known; the same command may be given again")
    }

    /// The same of a question before anything was asked for: that nothing was done is certain, so that it may be
    /// tried again.
    pub(crate) fn before_anything(mut self, what: &str) -> Self {
        if matches!(self.exit, Exit::TimedOut) {
            self.exit = Exit::TryAgain;
        }
        match self.hint().map(str::to_owned) {
            Some(first) => self.with_hint(format!("{what}\n{first}")),
            None => self.with_hint(what),
        }
    }

    /// There was no answer: what was asked for may have been done.
    pub(crate) fn is_unknown(&self) -> bool {
        matches!(self.exit, Exit::Unreachable | Exit::TimedOut)
    }

    /// The same, in words of its own.
    pub(crate) fn unknown(self, what: impl Into<String>) -> Self {
        if !self.is_unknown() {
            return self;
        }
        let what = what.into();
        match self.hint().map(str::to_owned) {
            Some(first) => self.with_hint(format!("{what}\n{first}")),
            None => self.with_hint(what),
        }
    }

    /// Prints it to stderr, as JSON for scripts, and gives its exit code.
    pub(crate) fn report(&self, json: bool, colour: bool) -> Exit {
        if !self.quiet {
            let text = if json { self.json() } else { self.text(colour) };
            // With stderr gone as well there is nobody left to tell; the exit code still does.
            let _ = writeln!(io::stderr(), "{text}");
        }
        self.exit
    }

    /// Names the invocations that it is about.
    pub(crate) fn about(mut self, ids: Vec<i64>) -> Self {
        self.ids = ids;
        self
    }

    /// Says whose failure it is.
    pub(crate) fn of(mut self, whose: &str) -> Self {
        self.message = format!("{whose}: {}", self.message);
        self
    }

    /// What is wrong, in one line.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// How the program ends for it.
    pub(crate) fn exit(&self) -> Exit {
        self.exit
    }

    fn json(&self) -> String {
        let error = ErrorShape {
            code: self.code,
            message: &self.message,
            hint: self.hint(),
            ids: &self.ids,
        };
        let text = serde_json::to_string(&error).unwrap_or_default();
        format!("{{\"error\":{text}}}")
    }

    /// True where the other end of a pipe was closed.
    pub(crate) fn is_reader_gone(&self) -> bool {
        self.quiet
    }

    /// True where the output could not be written.
    pub(crate) fn is_unwritten(&self) -> bool {
        self.code == UNWRITTEN
    }

    fn text(&self, colour: bool) -> String {
        let label = if colour {
            "\x1b[1;31merror:\x1b[0m"
        } else {
            "error:"
        };
        let message = by_clock(&self.message);
        let mut text = format!("{label} {}", clean_with_marks(&message));
        if let Some(hint) = &self.hint {
            for line in clean_with_marks(hint).lines() {
                let _ = write!(text, "\n       {line}");
            }
        }
        text
    }
}

impl From<io::Error> for Failure {
    /// Of writing to stdout: whoever pipes into `head` wants an end, not an error.
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            let mut gone =
                Failure::new(Exit::Ok, "reader_gone", "nobody reads the output any more");
            gone.quiet = true;
            return gone;
        }
        Failure::new(
            Exit::TryAgain,
            UNWRITTEN,
            format!("could not write the output: {error}"),
        )
    }
}

impl From<PathsError> for Failure {
    fn from(error: PathsError) -> Self {
        Failure::from(&error)
    }
}

impl From<&PathsError> for Failure {
    fn from(error: &PathsError) -> Self {
        Failure::new(Exit::Configuration, "configuration", error.to_string())
            .with_hint("set it right, or name the socket with --socket PATH and the state folder with --state-dir PATH")
    }
}

impl From<ConnectError> for Failure {
    fn from(error: ConnectError) -> Self {
        let message = match std::error::Error::source(&error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        };
        let (exit, code, hint) = match &error {
            ConnectError::NoDaemon { .. } | ConnectError::Refused { .. } => {
                (Exit::Unreachable, "no_daemon", HOW_TO_START)
            }
            ConnectError::Permission { .. } => (
                Exit::Unreachable,
                "permission",
                "only the user who runs the daemon reaches it: become that user, or start your own with `steroidsd`",
            ),
            ConnectError::Foreign { .. } => (
                Exit::Unreachable,
                "permission",
                "your environment leads there (XDG_RUNTIME_DIR, as after `su` without `-`), and it would be told what you send.\n\
                 If you mean it, name it: --socket PATH",
            ),
            ConnectError::Busy { .. } => (Exit::TryAgain, "busy", "try again in a moment"),
            ConnectError::TooLong { .. } => (
                Exit::Configuration,
                "configuration",
                "choose a shorter one with --socket PATH or STEROIDS_SOCKET, for the daemon and here",
            ),
            ConnectError::Protocol { .. } | ConnectError::Io { .. } => (
                Exit::Unreachable,
                "unreachable",
                "check the path with `steroidsctl doctor`",
            ),
        };
        Failure::new(exit, code, message).with_hint(hint)
    }
}

/// What to do where no daemon answers, for who does not know where it was looked for.
const HOW_TO_START: &str = "start it with: setsid -f steroidsd";

impl From<Status> for Failure {
    fn from(status: Status) -> Self {
        let refusal = Refusal::of(&status);
        let broken = Refusal::is_broken(&status);
        let exit = match refusal.code {
            Code::NotFound => Exit::NotFound,
            Code::InvalidArgument | Code::OutOfRange => Exit::Usage,
            Code::DeadlineExceeded => Exit::TimedOut,
            _ if Refusal::is_timeout(&status) => Exit::TimedOut,
            _ if broken => Exit::Unreachable,
            // It is there, and says that it cannot just now: busy, or about to restart.
            Code::Unavailable | Code::ResourceExhausted | Code::Aborted | Code::Cancelled => {
                Exit::TryAgain
            }
            Code::FailedPrecondition
            | Code::PermissionDenied
            | Code::AlreadyExists
            | Code::DataLoss
            | Code::Unimplemented
            | Code::Unauthenticated
            | Code::Internal
            | Code::Unknown
            | Code::Ok => Exit::Refused,
        };
        let what = with_flags(refusal.what(), &refusal);
        let message = match exit {
            Exit::Unreachable if broken => {
                format!("lost the connection to the daemon: {what}")
            }
            Exit::TimedOut if broken => "the daemon did not answer in time".to_owned(),
            _ => what,
        };
        let mut failure = Failure::new(exit, refusal.code_word(), message);
        failure.hung = broken && matches!(exit, Exit::TimedOut);
        let is_of_cursor = |reason: &String| reason.starts_with("CURSOR_");
        failure.hint = match &refusal.reason {
            // The daemon advises an empty one, which is none here.
            Some(reason) if is_of_cursor(reason) => {
                Some("leave --after out to begin at the start".to_owned())
            }
            _ => refusal.hint,
        };
        match exit {
            Exit::Unreachable => failure.or_hint("see how it is with: steroidsctl doctor"),
            Exit::TryAgain => failure.or_hint("try again in a moment"),
            _ => failure,
        }
    }
}

impl From<FollowError> for Failure {
    fn from(error: FollowError) -> Self {
        match error {
            FollowError::Refused(status) => Failure::from(*status),
            FollowError::Away { last, .. } => {
                let message = format!("{}: {}", "the daemon does not come back", last.message());
                Failure::new(Exit::Unreachable, "no_daemon", message).with_hint(HOW_TO_START)
            }
        }
    }
}

/// What the fields of requests are to whoever types flags.
const FLAGS: [(&str, &str); 23] = [
    ("task_id", "--task"),
    ("role", "--role"),
    ("provider", "--provider"),
    ("model", "--model"),
    ("prompt", "--prompt"),
    ("request_id", "--request-id"),
    ("resume", "--resume"),
    ("cwd", "--cwd"),
    ("env", "--env"),
    ("argv", "COMMAND after --"),
    ("limits.silence", "--silence"),
    ("limits.tool_silence", "--tool-silence"),
    ("limits.wall", "--wall"),
    ("limits.post_result", "--post-result"),
    ("limits.grace", "--grace"),
    ("grace", "--grace"),
    ("task.task_id", "--task"),
    ("project", "--project"),
    ("after", "--after"),
    ("outcomes", "--outcome"),
    ("retry.on", "--retry"),
    ("retry.max", "--retry-max"),
    ("id", "ID"),
];

/// The daemon names the field of the request that is at fault; here that was a flag.
fn with_flags(what: String, refusal: &Refusal) -> String {
    let named = refusal.fields.iter().find_map(|(field, _)| {
        let rest = what.strip_prefix(field.as_str())?;
        let (_, flag) = FLAGS.iter().find(|(known, _)| known == field)?;
        let is_word =
            rest.starts_with(':') || rest.starts_with(" is ") || rest.starts_with(" must ");
        is_word.then(|| format!("{flag}{rest}"))
    });
    named.unwrap_or(what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_the_daemon_have_the_documented_exits() {
        for (code, exit) in [
            (Code::NotFound, 3),
            (Code::FailedPrecondition, 4),
            (Code::PermissionDenied, 4),
            (Code::AlreadyExists, 4),
            (Code::DataLoss, 4),
            (Code::InvalidArgument, 2),
            (Code::OutOfRange, 2),
            (Code::Unavailable, 75),
            (Code::ResourceExhausted, 75),
            (Code::Aborted, 75),
            (Code::DeadlineExceeded, 124),
        ] {
            assert_eq!(Failure::from(Status::new(code, "no")).exit as u8, exit);
        }
    }

    #[test]
    fn a_connection_that_broke_is_an_unreachable_daemon() {
        let mut status = Status::new(Code::Unknown, "h2 protocol error");
        status.set_source(std::sync::Arc::new(io::Error::from(
            io::ErrorKind::BrokenPipe,
        )));
        assert_eq!(Failure::from(status).exit, Exit::Unreachable);
    }

    #[test]
    fn a_field_at_fault_is_named_as_the_flag_it_was() {
        for (field, message, said) in [
            ("task_id", "task_id is missing", "--task is missing"),
            (
                "argv",
                "argv: no command given",
                "COMMAND after --: no command given",
            ),
            (
                "project",
                "project path \"x\" is odd",
                "project path \"x\" is odd",
            ),
            (
                "outcomes",
                "outcomes: `foo` is not an outcome",
                "--outcome: `foo` is not an outcome",
            ),
            ("states", "states knows queued", "states knows queued"),
        ] {
            let refusal = Refusal {
                code: Code::InvalidArgument,
                message: message.to_owned(),
                fields: vec![(field.to_owned(), message.to_owned())],
                hint: None,
                reason: None,
            };
            assert_eq!(with_flags(refusal.what(), &refusal), said);
        }
    }

    #[test]
    fn who_has_a_bad_cursor_is_to_leave_it_out() {
        use tonic_types::{ErrorDetails, StatusExt as _};

        let mut details = ErrorDetails::new();
        details
            .set_error_info(
                "CURSOR_MALFORMED",
                "steroidsd",
                std::collections::HashMap::new(),
            )
            .add_help_link("follow from the start, with an empty cursor", "");
        let status = Status::with_error_details(Code::OutOfRange, "bad cursor", details);
        let hint = Failure::from(status).hint.unwrap();
        assert_eq!(hint, "leave --after out to begin at the start");
    }

    #[test]
    fn an_answer_that_is_too_long_is_nobodys_flag() {
        let status = Status::out_of_range("Error, encoded message length too large");
        let failure = Failure::from(status);
        assert_eq!((failure.exit, failure.code), (Exit::Refused, "internal"));
        assert!(
            failure
                .hint
                .is_some_and(|hint| hint.contains("one project"))
        );
    }

    #[test]
    fn json_has_code_message_and_hint() {
        let failure = Failure::usage("no").with_hint("do");
        assert_eq!(
            failure.json(),
            r#"{"error":{"code":"usage","message":"no","hint":"do"}}"#
        );
    }

    #[test]
    fn a_reader_that_left_is_no_error() {
        let gone = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert!(gone.quiet);
        assert_eq!(gone.exit, Exit::Ok);
    }
}
