//! From a request to a spec: checks what was asked for, and fills in what was not. Nothing is
//! started and nothing is written here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use steroids_provider::args::{self, Wanted};
use steroids_provider::env;
use steroids_provider::input::takes;
use steroids_provider::kind::Kind;
use steroids_shim::sockets;
use steroids_shim::spec::{Budget, PROTOCOL, Requested, Spec, Turn};

use super::settings::{ProviderSettings, Settings};
use super::{StartError, requested, resources};
use crate::domain::retry::RetryPolicy;
use crate::domain::{StartBudget, StartRequest, StartResources};

/// What fits into a 4 MiB message beside everything else a start says.
pub const MAX_PROMPT_BYTES: usize = 3 << 20;

/// As long as an id or a name may be; it becomes part of rows, lines and messages.
const MAX_WORD_BYTES: usize = 256;

/// Each is looked up whenever something ends.
const MAX_AFTER: usize = 16;

/// Whoever fails so often does not fail by chance.
pub const MAX_RETRIES: u32 = 100;

/// A checked request, all but the row's id.
#[derive(Debug)]
pub(super) struct Prepared {
    pub(super) spec: Spec,
}

/// Facts the caller has looked up, so that this stays pure.
pub(super) struct Surroundings<'a> {
    pub(super) project: &'a Path,
    pub(super) uuid: String,
    pub(super) boot_id: String,
    pub(super) now_ms: u64,
    pub(super) is_file: &'a dyn Fn(&Path) -> bool,
    /// The daemon's own environment.
    pub(super) own_env: &'a dyn Fn() -> BTreeMap<String, String>,
    /// The session to go on with.
    pub(super) session: Option<&'a str>,
    /// The zone for a value of `TZ`, or the host's.
    pub(super) zone: &'a dyn Fn(Option<&str>) -> Option<String>,
}

/// Checks the request and lays out its spec; `invocation` is still 0.
pub(super) fn prepare(
    settings: &Settings,
    request: &StartRequest,
    around: Surroundings<'_>,
) -> Result<Prepared, StartError> {
    let (name, provider) = provider(settings, request)?;
    check(request, provider)?;
    let cwd = match &request.cwd {
        Some(cwd) => around.project.join(cwd),
        None => around.project.to_path_buf(),
    };
    let model = request
        .model
        .as_deref()
        .or(provider.settings.model.as_deref())
        .unwrap_or_default();
    let command = args::command_line(
        &provider.settings,
        &Wanted {
            model,
            session: around.session,
            prompt: &request.prompt,
            interactive: request.interactive,
            argv: &request.argv,
        },
    )
    .map_err(|error| invalid("argv", error.to_string()))?;
    let own;
    let caller = match request.caller_env.is_empty() {
        // A browser has no environment, and no program is found without one.
        true => {
            own = (around.own_env)();
            &own
        }
        false => &request.caller_env,
    };
    let environment = env::environment(&provider.settings, caller, &request.env);
    let tz = environment.iter().find(|(name, _)| name == "TZ");
    let zone = (around.zone)(tz.map(|(_, value)| value.as_str()));
    let program = resolve(&command.program, &cwd, &environment, around.is_file);
    let mut argv = vec![program];
    argv.extend(command.args);
    let prompt = if command.prompt_on_stdin {
        request.prompt.clone()
    } else {
        String::new()
    };
    let kind = provider.settings.kind;
    if request.interactive {
        takes(kind, &argv).map_err(|reason| invalid("interactive", reason))?;
    }
    let request_hash = hash(request, name, model);
    let spec = Spec {
        proto: PROTOCOL,
        invocation: 0,
        project: around.project.to_path_buf(),
        // Known to who starts it.
        project_folder: None,
        task: request.task.clone(),
        role: role(request).to_owned(),
        provider: name.to_owned(),
        kind,
        format: command.format,
        model: model.to_owned(),
        resume: around.session.map(str::to_owned),
        request_id: request
            .request_id
            .clone()
            .unwrap_or_else(|| around.uuid.clone()),
        request_hash,
        argv,
        redaction: settings.redaction.of(&environment),
        mapping: provider.settings.mapping.clone(),
        zone,
        env: environment,
        cwd,
        prompt,
        interactive: request.interactive,
        leave_background: request.leave_background,
        limits: settings
            .limits
            .resolve(kind, &provider.limits, provider.life, &request.limits),
        budget: budget(settings, request),
        resources: resources::in_force(settings, provider, request)?,
        created_ms: around.now_ms,
        boot_id: around.boot_id,
        socket: sockets::path(&settings.runtime_dir, &around.uuid),
        uuid: around.uuid,
        turn: Turn {
            // Among its arguments nobody would find it.
            asked: Some(&request.prompt)
                .filter(|prompt| !command.prompt_on_stdin && !prompt.is_empty())
                .cloned(),
            ..turn(settings, provider, request)?
        },
        requested: Some(Requested {
            // What was the last one then.
            resume: around.session.map(str::to_owned),
            ..requested::of(request)
        }),
    };
    Ok(Prepared { spec })
}

/// When it starts, and after what it is tried again: the start's word first, then the provider's,
/// then ours.
fn turn(
    settings: &Settings,
    provider: &ProviderSettings,
    request: &StartRequest,
) -> Result<Turn, StartError> {
    let set = provider.queue.retry.as_ref();
    let set = set.unwrap_or(&settings.queue.retry);
    let (on, max) = match &request.retry {
        Some(asked) => (&asked.on, asked.max.unwrap_or(set.max)),
        None => (&set.on, set.max),
    };
    if max > MAX_RETRIES {
        return Err(invalid("retry.max", format!("is over {MAX_RETRIES}")));
    }
    for outcome in on {
        if let Err(why) = RetryPolicy::check(*outcome) {
            return Err(invalid("retry.on", format!("`{outcome}` {why}")));
        }
    }
    if request.after.len() > MAX_AFTER {
        let reason = format!(
            "names {} invocations; at most {MAX_AFTER}",
            request.after.len()
        );
        return Err(invalid("after", reason));
    }
    Ok(Turn {
        priority: request.priority,
        after: request.after.iter().map(|id| id.get()).collect(),
        retry_on: on.iter().map(ToString::to_string).collect(),
        retry_max: max,
        ..Turn::default()
    })
}

/// The command line of another attempt, with a session to go on with or none, and whether it reads its prompt: of a
/// provider that is configured as it was. `None` where there is none.
pub(super) fn command_line(
    settings: &Settings,
    spec: &Spec,
    session: Option<&str>,
    prompt: &str,
) -> Option<(Vec<String>, bool)> {
    let provider = settings.providers.get(&spec.provider)?;
    let is_word = session.is_none_or(|session| word("resume", session).is_ok());
    if provider.settings.kind != spec.kind || !is_word {
        return None;
    }
    let wanted = Wanted {
        model: &spec.model,
        session,
        prompt,
        argv: &[],
        interactive: spec.interactive,
    };
    let command = args::command_line(&provider.settings, &wanted).ok()?;
    let takes_it = session.is_none_or(|session| {
        let mut args = command.args.iter();
        args.any(|argument| argument.contains(session))
    });
    if command.format != spec.format || !takes_it {
        return None;
    }
    let mut argv = spec.argv.get(..1)?.to_vec();
    argv.extend(command.args);
    Some((argv, command.prompt_on_stdin))
}

pub(super) fn provider<'a>(
    settings: &'a Settings,
    request: &'a StartRequest,
) -> Result<(&'a str, &'a ProviderSettings), StartError> {
    let wanted = match request.provider.as_str() {
        "" if request.argv.is_empty() => "claude",
        "" => "command",
        name => name,
    };
    settings
        .providers
        .get_key_value(wanted)
        .map(|(name, provider)| (name.as_str(), provider))
        .ok_or_else(|| StartError::UnknownProvider {
            name: wanted.to_owned(),
            known: settings.providers.keys().cloned().collect(),
        })
}

/// What the start says, else the configuration.
fn budget(settings: &Settings, request: &StartRequest) -> Option<Budget> {
    let (asked, set) = (&request.budget, &settings.budgets);
    let budget = Budget {
        micro_usd: asked.budget.micro_usd.or(set.invocation.micro_usd),
        tokens: asked.budget.tokens.or(set.invocation.tokens),
        stops: asked.stops.unwrap_or(set.stops),
    };
    let is_bounded = budget.micro_usd.is_some() || budget.tokens.is_some();
    // Those of its task and its day stop it, too, where the request says so.
    (is_bounded || asked.stops == Some(true)).then_some(budget)
}

fn role(request: &StartRequest) -> &str {
    if request.role.is_empty() {
        "coder"
    } else {
        &request.role
    }
}

fn check(request: &StartRequest, provider: &ProviderSettings) -> Result<(), StartError> {
    word("task_id", &request.task)?;
    if request.task.is_empty() {
        return Err(invalid("task_id", "is empty"));
    }
    word("role", &request.role)?;
    word("model", request.model.as_deref().unwrap_or_default())?;
    word("resume", request.resume.as_deref().unwrap_or_default())?;
    let request_id = request.request_id.as_deref();
    word("request_id", request_id.unwrap_or_default())?;
    if request_id == Some("") {
        return Err(invalid("request_id", "is empty"));
    }
    if request.prompt.len() > MAX_PROMPT_BYTES {
        return Err(StartError::PromptTooLarge {
            bytes: request.prompt.len(),
            max: MAX_PROMPT_BYTES,
        });
    }
    if provider.settings.kind != Kind::Command && request.prompt.is_empty() {
        return Err(invalid(
            "prompt",
            "is empty; the agent would have nothing to do",
        ));
    }
    if request.argv.iter().any(|argument| argument.contains('\0')) {
        return Err(invalid("argv", "contains a NUL byte"));
    }
    for (name, value) in &request.env {
        environment_variable(name, value)?;
    }
    Ok(())
}

fn environment_variable(name: &str, value: &str) -> Result<(), StartError> {
    if name.is_empty() || name.contains(['=', '\0']) || value.contains('\0') {
        return Err(invalid(
            "env",
            format!(
                "`{}` cannot be an environment variable",
                name.escape_debug()
            ),
        ));
    }
    if env::is_withheld(name) {
        return Err(invalid(
            "env",
            format!("`{name}` is never passed on to a provider"),
        ));
    }
    Ok(())
}

fn word(field: &'static str, value: &str) -> Result<(), StartError> {
    if value.len() > MAX_WORD_BYTES {
        return Err(invalid(
            field,
            format!("is {} bytes long; at most {MAX_WORD_BYTES}", value.len()),
        ));
    }
    if value.chars().any(char::is_control) {
        return Err(invalid(field, "contains a control character"));
    }
    if value.starts_with('-') {
        return Err(invalid(field, "begins with `-`, as a flag would"));
    }
    Ok(())
}

fn invalid(field: &'static str, reason: impl Into<String>) -> StartError {
    StartError::Invalid {
        field,
        reason: reason.into(),
    }
}

/// The absolute path of a program: a bare name is looked up in the absolute folders of the
/// provider's own PATH; a path is taken from the working directory. A name that is not found stays
/// as it is, so that the shim reports what the kernel says of it.
fn resolve(
    program: &str,
    cwd: &Path,
    environment: &[(String, String)],
    is_file: &dyn Fn(&Path) -> bool,
) -> String {
    if program.contains('/') {
        return cwd.join(program).to_string_lossy().into_owned();
    }
    let path = environment
        .iter()
        .find(|(name, _)| name == "PATH")
        .map_or("", |(_, value)| value.as_str());
    path.split(':')
        .map(PathBuf::from)
        .filter(|folder| folder.is_absolute())
        .map(|folder| folder.join(program))
        .find(|candidate| is_file(candidate))
        .map_or_else(
            || program.to_owned(),
            |found| found.to_string_lossy().into_owned(),
        )
}

/// Hash of what makes two requests the same. The caller's environment is left out: it differs from
/// one terminal to the next.
pub(super) fn hash(request: &StartRequest, provider: &str, model: &str) -> String {
    #[derive(serde::Serialize)]
    struct Parameters<'a> {
        task: &'a str,
        role: &'a str,
        provider: &'a str,
        model: &'a str,
        prompt: &'a str,
        cwd: Option<&'a Path>,
        env: &'a BTreeMap<String, String>,
        resume: Option<&'a str>,
        argv: &'a [String],
        limits: String,
        // Left out where there is none, so that requests from before there were any stay the same.
        #[serde(skip_serializing_if = "Option::is_none")]
        budget: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        resources: Option<String>,
        interactive: bool,
        leave_background: bool,
        // Left out where they say nothing: a request from before there was a queue keeps its hash.
        #[serde(skip_serializing_if = "is_zero")]
        priority: i32,
        #[serde(skip_serializing_if = "<[i64]>::is_empty")]
        after: &'a [i64],
        #[serde(skip_serializing_if = "Option::is_none")]
        retry: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        again: Option<String>,
    }
    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde asks for a reference"
    )]
    fn is_zero(number: &i32) -> bool {
        *number == 0
    }
    let after: Vec<i64> = request.after.iter().map(|id| id.get()).collect();
    let (retry, again) = (request.retry.as_ref(), request.again);
    let parameters = Parameters {
        task: &request.task,
        role: role(request),
        provider,
        model,
        prompt: &request.prompt,
        cwd: request.cwd.as_deref(),
        env: &request.env,
        resume: request.resume.as_deref(),
        argv: &request.argv,
        limits: format!("{:?}", request.limits),
        budget: (request.budget != StartBudget::default()).then(|| format!("{:?}", request.budget)),
        resources: (request.resources != StartResources::default())
            .then(|| format!("{:?}", request.resources)),
        interactive: request.interactive,
        leave_background: request.leave_background,
        priority: request.priority,
        after: &after,
        retry: retry.map(|retry| match retry.max {
            Some(max) => format!("{:?} {max}", retry.on),
            None => format!("{:?}", retry.on),
        }),
        again: again.map(|again| format!("{} {}", again.of, again.is_anew)),
    };
    // A path that is not UTF-8 was refused with the request, so this always encodes.
    let encoded = serde_json::to_vec(&parameters).unwrap_or_default();
    Sha256::digest(encoded)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
