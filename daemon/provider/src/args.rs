//! Command lines: how each provider is started.
//!
//! A template of arguments with `{model}`, `{session}` and `{prompt}` in it is filled in, in one
//! pass, so that a prompt which itself contains `{model}` stays as it is. An argument whose
//! placeholder is empty is dropped, with its flag: the argument before it, if that begins with
//! `-` or is the word `resume` (a subcommand of codex that takes the session).
//!
//! Prompts go to standard input unless the template asks for them: a command line is visible to
//! everyone on the machine, and the kernel takes no argument of 128 KiB or more.

mod templates;

use crate::kind::{Format, Kind};
use crate::mapping::Mapping;

use self::templates::Template;

/// The kernel's `MAX_ARG_STRLEN`, its terminating NUL included.
const ARGUMENT_LIMIT: usize = 131_072;

/// How one configured provider is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Decides default arguments and parser.
    pub kind: Kind,
    /// Program name or path. Empty for the built-in `command`, which takes it from the request.
    pub command: String,
    /// The model if the request names none; without either the CLI chooses.
    pub model: Option<String>,
    /// Replaces the default arguments.
    pub args: Option<Vec<String>>,
    /// Added to the arguments, whichever they are.
    pub extra_args: Vec<String>,
    /// Names of environment variables that pass, beside those every provider gets. A `*` at the
    /// end stands for any rest.
    pub env: Vec<String>,
    /// What its lines mean, for kind `jsonl`.
    pub mapping: Option<Mapping>,
}

impl Settings {
    /// What holds without any configuration.
    pub fn builtin(kind: Kind) -> Settings {
        Settings {
            kind,
            command: match kind {
                Kind::Jsonl | Kind::Command => String::new(),
                named => named.as_str().to_owned(),
            },
            model: None,
            args: None,
            extra_args: Vec::new(),
            env: crate::env::builtin(kind)
                .iter()
                .map(|&name| name.to_owned())
                .collect(),
            mapping: None,
        }
    }

    /// The flag that its arguments lack for its CLI to print JSON; without it what it prints is read as
    /// plain text.
    pub fn missing_flag(&self) -> Option<&'static str> {
        let mut args = match &self.args {
            Some(args) => args.clone(),
            None => {
                let flags = Template::of(self.kind).flags.iter();
                flags.map(|&flag| flag.to_owned()).collect()
            }
        };
        args.extend_from_slice(&self.extra_args);
        match format(self.kind, &args) {
            Format::Json => None,
            Format::Text => json_flag(self.kind),
        }
    }
}

/// What a start asks for.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Empty for the configured one.
    pub model: &'a str,
    /// The session to go on with.
    pub session: Option<&'a str>,
    /// What the agent is to do.
    pub prompt: &'a str,
    /// Further messages are to come on standard input.
    pub interactive: bool,
    /// The program and its arguments, for a provider of kind `command`.
    pub argv: &'a [String],
}

/// What to execute, and what to expect of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommandLine {
    /// Program name or path.
    pub program: String,
    /// Its arguments, without the program itself.
    pub args: Vec<String>,
    /// What it will print: JSON if the arguments ask for its JSON mode.
    pub format: Format,
    /// The prompt is to be written to standard input; otherwise that is closed at once.
    pub prompt_on_stdin: bool,
}

/// Why there is no command line for a request.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArgsError {
    /// Neither the configuration nor the request names a program.
    #[error("no command given: name the program and its arguments after `--`")]
    NoProgram,
    /// A program was given to a provider that has its own.
    #[error("provider kind `{kind}` takes no command of its own; use provider `command` for that")]
    UnexpectedCommand {
        /// Of the provider.
        kind: Kind,
    },
    /// The CLI would wait for a prompt, or refuse.
    #[error("prompt is empty")]
    NoPrompt,
    /// It would be read as a flag.
    #[error("{field} `{value}` begins with `-`")]
    LooksLikeFlag {
        /// `model` or `session`.
        field: &'static str,
        /// As it was given.
        value: String,
    },
    /// The kernel ends every argument there.
    #[error("argument {index} contains a NUL byte")]
    Nul {
        /// Position, counted from the program at 0.
        index: usize,
    },
    /// The kernel would refuse it.
    #[error("argument {index} has {length} bytes; the kernel takes at most {}", ARGUMENT_LIMIT - 1)]
    TooLong {
        /// Position, counted from the program at 0.
        index: usize,
        /// In bytes.
        length: usize,
    },
}

/// Makes the command line for a request.
pub fn command_line(settings: &Settings, wanted: &Wanted<'_>) -> Result<CommandLine, ArgsError> {
    let values = Values::new(settings, wanted)?;
    let mut filled = Filled::default();
    match &settings.args {
        Some(args) => filled.extend(args, &values),
        None => filled.extend(Template::of(settings.kind).flags, &values),
    }
    if wanted.interactive && settings.kind == Kind::Claude && settings.args.is_none() {
        filled.extend(&["--input-format", "stream-json"], &values);
    }
    filled.args.extend_from_slice(&settings.extra_args);
    if settings.args.is_none() {
        filled.extend(Template::of(settings.kind).tail, &values);
    }
    let format = format(settings.kind, &filled.args);

    let program = if settings.kind == Kind::Command {
        let rest = command_argv(settings, wanted)?;
        filled.args.extend_from_slice(rest.args);
        rest.program
    } else if settings.command.is_empty() {
        return Err(ArgsError::NoProgram);
    } else if wanted.argv.is_empty() {
        settings.command.as_str()
    } else {
        return Err(ArgsError::UnexpectedCommand {
            kind: settings.kind,
        });
    };
    if settings.kind != Kind::Command && wanted.prompt.is_empty() {
        return Err(ArgsError::NoPrompt);
    }
    check(program, &filled.args)?;
    Ok(CommandLine {
        program: program.to_owned(),
        format,
        prompt_on_stdin: !wanted.prompt.is_empty() && !filled.prompt_used,
        args: filled.args,
    })
}

struct Argv<'a> {
    program: &'a str,
    args: &'a [String],
}

/// A configured program gets the request's words as arguments; else they name the program too.
fn command_argv<'a>(settings: &'a Settings, wanted: &Wanted<'a>) -> Result<Argv<'a>, ArgsError> {
    if !settings.command.is_empty() {
        return Ok(Argv {
            program: &settings.command,
            args: wanted.argv,
        });
    }
    match wanted.argv.split_first() {
        Some((program, args)) if !program.is_empty() => Ok(Argv { program, args }),
        _ => Err(ArgsError::NoProgram),
    }
}

struct Values<'a> {
    model: &'a str,
    session: &'a str,
    prompt: &'a str,
}

impl<'a> Values<'a> {
    fn new(settings: &'a Settings, wanted: &Wanted<'a>) -> Result<Values<'a>, ArgsError> {
        let model = match wanted.model {
            "" => settings.model.as_deref().unwrap_or_default(),
            model => model,
        };
        let session = wanted.session.unwrap_or_default();
        for (field, value) in [("model", model), ("session", session)] {
            if value.starts_with('-') {
                return Err(ArgsError::LooksLikeFlag {
                    field,
                    value: value.to_owned(),
                });
            }
        }
        Ok(Values {
            model,
            session,
            prompt: wanted.prompt,
        })
    }

    fn all(&self) -> [(&'static str, &'a str); 3] {
        [
            ("{model}", self.model),
            ("{session}", self.session),
            ("{prompt}", self.prompt),
        ]
    }
}

#[derive(Default)]
struct Filled {
    args: Vec<String>,
    prompt_used: bool,
}

impl Filled {
    fn extend<S: AsRef<str>>(&mut self, template: &[S], values: &Values<'_>) {
        // Whether the last argument written is a flag of the template, so that a value which
        // merely looks like one is never dropped for it.
        let mut flag_before = false;
        for pattern in template {
            let pattern = pattern.as_ref();
            if let Some(arg) = self.fill(pattern, values) {
                self.args.push(arg);
                flag_before = is_flag(pattern);
            } else {
                if flag_before {
                    self.args.pop();
                }
                flag_before = false;
            }
        }
    }

    /// `None` if a placeholder in it has no value.
    fn fill(&mut self, pattern: &str, values: &Values<'_>) -> Option<String> {
        let mut arg = String::new();
        let mut rest = pattern;
        while let Some(brace) = rest.find('{') {
            let (before, from) = rest.split_at(brace);
            arg.push_str(before);
            let found = values.all().into_iter().find_map(|(name, value)| {
                from.strip_prefix(name).map(|after| (name, value, after))
            });
            match found {
                Some((_, "", _)) => return None,
                Some((name, value, after)) => {
                    self.prompt_used |= name == "{prompt}";
                    arg.push_str(value);
                    rest = after;
                }
                None => {
                    arg.push('{');
                    rest = &from[1..];
                }
            }
        }
        arg.push_str(rest);
        Some(arg)
    }
}

fn is_flag(pattern: &str) -> bool {
    (pattern.starts_with('-') && pattern != "-" && pattern != "--" && !pattern.contains('='))
        || pattern == "resume"
}

fn format(kind: Kind, args: &[String]) -> Format {
    let asked = match kind {
        Kind::Claude => option_value(args, &["--output-format"]) == Some("stream-json"),
        Kind::Gemini => option_value(args, &["--output-format", "-o"]) == Some("stream-json"),
        Kind::Codex => options(args).any(|arg| arg == "--json" || arg == "--experimental-json"),
        Kind::Opencode => option_value(args, &["--format"]) == Some("json"),
        Kind::Jsonl => true,
        Kind::Command => false,
    };
    if asked { Format::Json } else { Format::Text }
}

/// What `format` looks for, as a person writes it.
fn json_flag(kind: Kind) -> Option<&'static str> {
    match kind {
        Kind::Claude | Kind::Gemini => Some("--output-format stream-json"),
        Kind::Codex => Some("--json"),
        Kind::Opencode => Some("--format json"),
        Kind::Jsonl | Kind::Command => None,
    }
}

/// The last value given for an option, as CLIs take it.
pub(crate) fn option_value<'a>(args: &'a [String], names: &[&str]) -> Option<&'a str> {
    let mut value = None;
    let mut words = options(args);
    while let Some(word) = words.next() {
        if names.contains(&word) {
            value = words.next();
        } else if let Some((name, given)) = word.split_once('=')
            && names.contains(&name)
        {
            value = Some(given);
        }
    }
    value
}

fn options(args: &[String]) -> impl Iterator<Item = &str> {
    args.iter()
        .map(String::as_str)
        .take_while(|&arg| arg != "--")
}

fn check(program: &str, args: &[String]) -> Result<(), ArgsError> {
    let words = std::iter::once(program).chain(args.iter().map(String::as_str));
    for (index, word) in words.enumerate() {
        if word.contains('\0') {
            return Err(ArgsError::Nul { index });
        }
        if word.len() >= ARGUMENT_LIMIT {
            return Err(ArgsError::TooLong {
                index,
                length: word.len(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
