//! The agents' own programs: where they are, which version, and whether a login can be seen. What
//! stands in the files of a login is nobody's business here: only whether they are there, and
//! closed to others.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::future::join_all;
use steroids_client::v1;

use super::Check;
use crate::ask::{Silent, ask};
use crate::clean::clean_line;
use crate::session::quoted;

/// Some of them take seconds to say their version, on a machine that is busy more.
const VERSION_WITHIN: Duration = Duration::from_secs(15);

/// One of the CLIs that are known.
struct Known {
    kind: &'static str,
    package: &'static str,
    /// Variables any of which is a login.
    keys: &'static [&'static str],
    /// Variable that names its folder, and the folder below the home folder without it.
    folder: (&'static str, &'static str),
    /// Files in that folder that hold a login.
    files: &'static [&'static str],
    how: &'static str,
}

const KNOWN: [Known; 4] = [
    Known {
        kind: "claude",
        package: "@anthropic-ai/claude-code",
        keys: &[
            "ANTHROPIC_API_KEY",
            "ANTHROPIC_AUTH_TOKEN",
            "CLAUDE_CODE_OAUTH_TOKEN",
            "CLAUDE_CODE_USE_BEDROCK",
            "CLAUDE_CODE_USE_VERTEX",
        ],
        folder: ("CLAUDE_CONFIG_DIR", ".claude"),
        files: &[".credentials.json"],
        how: "run `claude` once and log in, or set ANTHROPIC_API_KEY",
    },
    Known {
        kind: "codex",
        package: "@openai/codex",
        keys: &["CODEX_API_KEY", "OPENAI_API_KEY", "AZURE_OPENAI_API_KEY"],
        folder: ("CODEX_HOME", ".codex"),
        files: &["auth.json"],
        how: "run `codex login`, or set CODEX_API_KEY",
    },
    Known {
        kind: "gemini",
        package: "@google/gemini-cli",
        keys: &[
            "GEMINI_API_KEY",
            "GOOGLE_API_KEY",
            "GOOGLE_APPLICATION_CREDENTIALS",
            "GOOGLE_GENAI_USE_VERTEXAI",
            "GOOGLE_GENAI_USE_GCA",
        ],
        folder: ("", ".gemini"),
        files: &["oauth_creds.json", ".env"],
        how: "run `gemini` once and log in, or set GEMINI_API_KEY",
    },
    Known {
        kind: "opencode",
        package: "opencode-ai",
        keys: &[
            "OPENCODE_API_KEY",
            "ANTHROPIC_API_KEY",
            "OPENAI_API_KEY",
            "GEMINI_API_KEY",
            "GOOGLE_GENERATIVE_AI_API_KEY",
            "OPENROUTER_API_KEY",
            "MISTRAL_API_KEY",
            "DEEPSEEK_API_KEY",
            "GROQ_API_KEY",
            "XAI_API_KEY",
        ],
        folder: ("XDG_DATA_HOME", ".local/share"),
        files: &["opencode/auth.json"],
        how: "run `opencode auth login`",
    },
];

/// What is looked at in the environment.
#[derive(Debug, Clone, Default)]
pub(super) struct Surroundings {
    home: Option<PathBuf>,
    variables: Vec<(String, String)>,
}

impl Surroundings {
    /// This process's.
    pub(super) fn here() -> Self {
        let names = KNOWN.iter().flat_map(|known| known.keys);
        let folders = KNOWN.iter().map(|known| &known.folder.0);
        let set = |name: &&'static str| {
            let value = std::env::var(name).ok().filter(|value| !value.is_empty());
            Some(((*name).to_owned(), value?))
        };
        Surroundings {
            home: std::env::home_dir(),
            variables: names
                .chain(folders)
                .filter(|it| !it.is_empty())
                .filter_map(set)
                .collect(),
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        let found = self.variables.iter().find(|(set, _)| set == name);
        found.map(|(_, value)| value.as_str())
    }
}

/// A provider to look at.
struct Asked {
    name: String,
    kind: String,
    command: String,
    /// Where the daemon finds it.
    theirs: String,
}

/// All that are configured; where no daemon answers, the usual ones.
pub(super) async fn checks(configured: &[v1::Provider], around: &Surroundings) -> Vec<Check> {
    let asked: Vec<Asked> = if configured.is_empty() {
        let usual = KNOWN.iter().map(|known| Asked {
            name: known.kind.to_owned(),
            kind: known.kind.to_owned(),
            command: known.kind.to_owned(),
            theirs: String::new(),
        });
        usual.collect()
    } else {
        let all = configured.iter().map(|it| Asked {
            name: it.name.clone(),
            kind: it.kind.clone(),
            command: it.command.clone(),
            theirs: it.program.clone(),
        });
        all.filter(|it| !it.command.is_empty()).collect()
    };
    let checks = join_all(asked.iter().map(|asked| check(asked, around))).await;
    // Those that are there first.
    let (mut found, missing): (Vec<_>, Vec<_>) =
        checks.into_iter().partition(|(is_there, _)| *is_there);
    found.extend(missing);
    found.into_iter().flat_map(|(_, checks)| checks).collect()
}

async fn check(asked: &Asked, around: &Surroundings) -> (bool, Vec<Check>) {
    let name = &asked.name;
    let known = KNOWN.iter().find(|known| known.kind == asked.kind);
    // A start sends the caller's PATH along, so a program is there if either of the two finds it.
    let theirs = Some(&asked.theirs)
        .filter(|it| !it.is_empty())
        .map(PathBuf::from);
    let Some(program) = on_path(&asked.command).or(theirs) else {
        let hint = match known {
            Some(known) if known.kind == *name => format!("npm install -g {}", known.package),
            _ => format!("install it, or set `command` under [providers.{name}] in config.toml"),
        };
        let text = format!("{name}: no program `{}` on PATH", asked.command);
        return (false, vec![Check::warn("provider", text, hint)]);
    };
    let Some(known) = known else {
        // A program nobody here knows is not run.
        let text = format!("{name}: {}", program.display());
        return (true, vec![Check::ok("provider", text)]);
    };
    let checks = vec![version(name, &program).await, login(name, known, around)];
    (true, checks)
}

async fn version(name: &str, program: &Path) -> Check {
    let at = program.display();
    match ask(program, &["--version"], VERSION_WITHIN).await {
        Ok(said) if said.code == 0 => {
            let line = said.stdout.lines().find(|line| !line.trim().is_empty());
            let version: String = clean_line(line.unwrap_or("?")).chars().take(60).collect();
            Check::ok("provider", format!("{name}: {version}, {at}"))
        }
        Ok(said) => {
            let line = said.stderr.lines().find(|line| !line.trim().is_empty());
            let why: String = clean_line(line.unwrap_or_default())
                .chars()
                .take(160)
                .collect();
            let text = format!("{name}: {at} --version ended with {}: {why}", said.code);
            Check::warn("provider", text, "it does not work: install it anew")
        }
        Err(Silent::NotRun(error)) => {
            let text = format!("{name}: {at} cannot be run: {error}");
            Check::warn("provider", text, "install it anew")
        }
        Err(Silent::Slow) => {
            let seconds = VERSION_WITHIN.as_secs();
            let text = format!("{name}: {at} --version did not end within {seconds} s");
            Check::warn("provider", text, "see whether it works by hand")
        }
    }
}

/// Whether something is seen by which it can log in.
fn login(name: &str, known: &Known, around: &Surroundings) -> Check {
    let by_folder = around
        .get(known.folder.0)
        .filter(|_| !known.folder.0.is_empty());
    let folder = match (by_folder, &around.home) {
        (Some(folder), _) => Some(PathBuf::from(folder)),
        (None, Some(home)) => Some(home.join(known.folder.1)),
        (None, None) => None,
    };
    let files = folder
        .iter()
        .flat_map(|folder| known.files.iter().map(|file| folder.join(file)));
    let mut seen = Vec::new();
    for file in files {
        let Ok(found) = std::fs::metadata(&file) else {
            continue;
        };
        if found.mode() & 0o077 != 0 {
            let text = format!("{name}: {} is open to others", file.display());
            let todo = format!("chmod 600 {}", quoted(&file.to_string_lossy()));
            return Check::warn("login", text, todo);
        }
        seen.push(file.display().to_string());
    }
    let keys = known.keys.iter().filter(|key| around.get(key).is_some());
    seen.extend(keys.map(|key| format!("{key} is set here")));
    if seen.is_empty() {
        let text = format!("{name}: no login is to be seen");
        return Check::warn("login", text, known.how);
    }
    Check::ok("login", format!("{name}: {}", seen.join(", ")))
}

fn on_path(command: &str) -> Option<PathBuf> {
    let is_program = |path: &Path| {
        path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
    };
    if command.contains('/') {
        return Some(PathBuf::from(command)).filter(|path| is_program(path));
    }
    std::env::split_paths(&std::env::var_os("PATH")?)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(command))
        .find(|path| is_program(path))
}

#[cfg(test)]
mod tests;
