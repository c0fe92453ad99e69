//! What every command needs: where the daemon and the project are, and where to print.

use std::path::PathBuf;

use steroids_client::holder::{Holder, is_served};
use steroids_client::paths::{self, Found, Paths};
use steroids_client::{Client, ConnectError, Refusal, v1};
use tonic::Status;

use crate::clean::{clean, clean_line};
use crate::cli::Global;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::holder;
use crate::program;
use crate::project;
use crate::terminal::{self, Out, Style};

/// One run of the program.
pub(crate) struct Session {
    global: Global,
    /// Print for scripts.
    pub(crate) json: bool,
    /// Whether notes on stderr are coloured.
    pub(crate) stderr_colour: bool,
    /// Standard output.
    pub(crate) out: Out,
}

impl Session {
    /// Takes the flags that go before or after any subcommand.
    pub(crate) fn new(global: &Global) -> Self {
        Session {
            json: global.json,
            stderr_colour: terminal::stderr_colour(global.no_color),
            out: Out::new(global.no_color),
            global: global.clone(),
        }
    }

    /// Where the daemon is to be found, as far as that can be told.
    pub(crate) fn found(&self) -> Result<Found, Failure> {
        let global = &self.global;
        Ok(paths::find(
            global.socket.as_deref(),
            global.state_dir.as_deref(),
        )?)
    }

    /// Connects to the daemon. Where there is none, a configuration with which none would start is what is wrong.
    pub(crate) async fn connect(&self) -> Result<Client, Failure> {
        let found = self.found()?;
        match self.connect_as_found(&found).await {
            Err(Unreached {
                is_absent: true,
                failure,
            }) => Err(unusable(&found).await.unwrap_or(failure)),
            connected => Ok(connected?),
        }
    }

    /// Connects to the daemon, for who can do without, and with a configuration of which something is wrong.
    pub(crate) async fn connect_if_any(&self) -> Result<Client, Failure> {
        Ok(self.connect_as_found(&self.found()?).await?)
    }

    /// A configuration that cannot be used hides no daemon that is found without it.
    async fn connect_as_found(&self, found: &Found) -> Result<Client, Unreached> {
        let Some(error) = found.doubt_of_socket() else {
            return reach(&found.paths).await;
        };
        // Where systemd holds the socket, connecting would start one that cannot start.
        let reached = match is_served(&found.paths.socket) {
            true => reach(&found.paths).await,
            false => return Err(Failure::from(error).into()),
        };
        if let Err(Unreached {
            is_absent: true, ..
        }) = reached
        {
            return Err(Failure::from(error).into());
        }
        let socket = found.paths.socket.display();
        self.note(format_args!("{error}\nthe usual socket counts: {socket}"));
        reached
    }

    /// The project: the one named, else the nearest around the current folder.
    pub(crate) fn project(&self) -> Result<String, Failure> {
        let path = match &self.global.project {
            Some(named) => project::named(named)?,
            None => project::discover()?,
        };
        text(path)
    }

    /// Whether a project was named on the command line.
    pub(crate) fn names_project(&self) -> bool {
        self.global.project.is_some()
    }

    /// Connects to the daemon, with the project served by it.
    pub(crate) async fn connect_to_project(&self) -> Result<(Client, String), Failure> {
        let path = self.project()?;
        let client = self.connect().await?;
        let known = client.project(v1::GetProjectRequest { path: path.clone() });
        match known.await {
            Err(status) if is_unregistered(&status) => self.register(&client, &path).await?,
            // Whatever else is wrong, the call itself will say in its own words.
            _ => {}
        }
        Ok((client, path))
    }

    /// As [`Session::connect_to_project`], or for all projects, whose path is empty.
    pub(crate) async fn connect_to(&self, all: bool) -> Result<(Client, String), Failure> {
        if all {
            Ok((self.connect().await?, String::new()))
        } else {
            self.connect_to_project().await
        }
    }

    /// Has the daemon serve a project it was not told of. Its state folder may be younger than the
    /// project, or the older tool made that; and whoever names it here is its owner, and means it.
    pub(crate) async fn register(&self, client: &Client, path: &str) -> Result<(), Failure> {
        let request = v1::RegisterRequest {
            path: path.to_owned(),
            init: false,
        };
        client.register(request).await?;
        self.note(format_args!("registered {path} with the daemon"));
        Ok(())
    }

    /// The folder to make a project of: the one named, else the current one.
    pub(crate) fn project_to_be(&self) -> Result<String, Failure> {
        let path = match &self.global.project {
            Some(named) => project::named(named)?,
            None => project::here()?,
        };
        if self.global.project.is_none() && project::is_home(&path) {
            let message = "this is your home folder: no command would find that project";
            return Err(Failure::new(Exit::Refused, "home_folder", message).with_hint(
                "run it in a folder below; or name the home folder each time: steroidsctl --project ~ init",
            ));
        }
        if self.global.project.is_none() && path.parent().is_none() {
            let message =
                "this is the root folder: every folder of this machine would be of that project";
            return Err(Failure::new(Exit::Refused, "root_folder", message)
                .with_hint("run it in the project's own folder; or, if all is meant: steroidsctl --project / init"));
        }
        text(path)
    }

    /// What to type to say something else about the same project: with `--project` and the like
    /// where they were given.
    pub(crate) fn command(&self, rest: &str) -> String {
        let mut command = "steroidsctl".to_owned();
        let flags = [
            ("--project", &self.global.project),
            ("--socket", &self.global.socket),
            ("--state-dir", &self.global.state_dir),
        ];
        for (flag, value) in flags {
            if let Some(value) = value {
                command.push_str(&format!(" {flag} {}", quoted(&value.to_string_lossy())));
            }
        }
        format!("{command} {rest}")
    }

    /// Says something on stderr, beside the output; as an object for scripts, as errors are.
    pub(crate) fn note(&self, text: impl std::fmt::Display) {
        self.note_at(text, "", None);
    }

    /// The same, with the invocation that a script goes on with, if it is one: it may be a later attempt than the one
    /// that was asked for; and with the cursor of what was read of that, if anything was.
    pub(crate) fn note_at(&self, text: impl std::fmt::Display, cursor: &str, id: Option<i64>) {
        terminal::say(self.line_at(text, cursor, id));
    }

    /// What [`Session::note_at`] says, as a line.
    pub(crate) fn line_at(
        &self,
        text: impl std::fmt::Display,
        cursor: &str,
        id: Option<i64>,
    ) -> String {
        if self.json {
            let mut note = serde_json::json!({ "message": text.to_string() });
            if !cursor.is_empty() {
                note["cursor"] = cursor.into();
            }
            if let Some(id) = id {
                note["invocationId"] = id.into();
            }
            serde_json::json!({ "note": note }).to_string()
        } else {
            Style::Dim.paint(self.stderr_colour, clean(&text.to_string()))
        }
    }
}

/// Why there is no connection.
pub(crate) struct Unreached {
    failure: Failure,
    /// Nobody is there.
    is_absent: bool,
}

impl From<Unreached> for Failure {
    fn from(unreached: Unreached) -> Self {
        unreached.failure
    }
}

impl From<Failure> for Unreached {
    /// Of what is no word on whether anybody is there.
    fn from(failure: Failure) -> Self {
        Unreached {
            failure,
            is_absent: false,
        }
    }
}

/// What is wrong with the configuration that a daemon would read which is to be started; `None` where one runs that is
/// not reached, and where the file does not matter.
async fn unusable(found: &Found) -> Option<Failure> {
    if found.is_socket_named() || Holder::of(&found.paths.state_dir).is_some() {
        return None;
    }
    let mut problems = program::problems(&program::folder(None)?)
        .await?
        .into_iter();
    let failure = Failure::new(Exit::Configuration, "configuration", problems.next()?);
    let more = problems.map(|problem| format!("{problem}\n"));
    let todo = "set it right: no daemon runs, and with that none would start";
    Some(failure.with_hint(more.chain([todo.to_owned()]).collect::<String>()))
}

/// Connects to the daemon that serves these paths.
pub(crate) async fn reach(paths: &Paths) -> Result<Client, Unreached> {
    let connected = match paths.is_usual {
        true => steroids_client::connect_to_own(&paths.socket).await,
        false => steroids_client::connect(&paths.socket).await,
    };
    let error = match connected {
        Ok(client) => return Ok(client),
        Err(error) => error,
    };
    let is_absent = matches!(
        error,
        ConnectError::NoDaemon { .. } | ConnectError::Refused { .. }
    );
    let failure = Failure::from(error);
    let failure = match is_absent {
        true => failure.with_hint(holder::how_to_reach(paths)),
        false => failure,
    };
    Err(Unreached { failure, is_absent })
}

/// Whether the daemon says that the folder is a project, and none that it was told to serve.
pub(crate) fn is_unregistered(status: &Status) -> bool {
    Refusal::of(status).reason.as_deref() == Some("NOT_REGISTERED")
}

/// A word as a shell takes it, of characters that a terminal only shows: what is cleaned away from a command makes it
/// another one.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:,@%=".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    if clean_line(word) == word {
        return format!("'{}'", word.replace('\'', r"'\''"));
    }
    let mut escaped = String::new();
    for c in word.chars() {
        match c {
            '\'' | '\\' => escaped.extend(['\\', c]),
            ' '..='~' => escaped.push(c),
            // In octal, which always has three digits: what follows is never taken for a part of it.
            _ => {
                let mut bytes = [0; 4];
                let bytes = c.encode_utf8(&mut bytes).bytes();
                escaped.extend(bytes.map(|byte| format!("\\{byte:03o}")));
            }
        }
    }
    format!("$'{escaped}'")
}

/// A path as the daemon is told it.
pub(crate) fn text(path: PathBuf) -> Result<String, Failure> {
    path.into_os_string().into_string().map_err(|path| {
        let shown = path.to_string_lossy().into_owned();
        Failure::new(
            Exit::Usage,
            "usage",
            format!("the project's path `{shown}` is not UTF-8"),
        )
        .with_hint("rename the folder")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_quoted_for_the_shell_only_where_needed() {
        assert_eq!(quoted("/home/dev/app"), "/home/dev/app");
        assert_eq!(quoted("it's here"), r"'it'\''s here'");
        assert_eq!(quoted(""), "''");
        assert_eq!(quoted("/home/dev/größe"), "'/home/dev/größe'");
    }

    #[test]
    fn what_a_terminal_would_act_on_is_the_same_word_to_a_shell() {
        assert_eq!(quoted("a\nb"), r"$'a\012b'");
        for word in [
            "a\nb'c\\1",
            "\u{1b}[2J0",
            "x\u{202e}y 1",
            "tab\there",
            "end ",
        ] {
            let said = quoted(word);
            assert_eq!(clean_line(&said), said);
            let shell = std::process::Command::new("bash")
                .args(["-c", &format!("printf %s {said}")])
                .output();
            assert_eq!(shell.unwrap().stdout, word.as_bytes(), "{said}");
        }
    }
}
