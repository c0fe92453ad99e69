//! The launcher that gives each shim a unit of its own in the user's service manager. It tells by its
//! readiness that it has taken over, and by its end that it has not; why, stands in a file beside the spec.

use std::ffi::OsString;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use steroids_shim::unit;
use tokio::io::AsyncReadExt as _;

use super::manager::{Found, Manager, NoManager, one_line, run};
use super::{LaunchError, Launcher, Launching, Order, Standby, runnable};

/// All invocations' units.
const SLICE: &str = "steroids.slice";

/// A shim takes over within milliseconds. After this nobody waits for the answer any more; lock and
/// record then say what became of it. The manager itself has no limit: it would end an agent that runs
/// already, where a slow disk keeps its shim from saying so.
const TAKEOVER: Duration = Duration::from_secs(22);

/// A shim that is told to end leaves its provider 8 s, kills it, and drains for at most 5.
const STOP: u64 = 20;

/// As much of a shim's last words as an error message can use.
const MESSAGE_BYTES: u64 = 4096;

/// As long as a line of `systemctl list-units` is worth reading.
const DESCRIPTION: usize = 200;

/// Runs `systemd-run --user … steroids-shim DIR`.
#[derive(Debug)]
pub struct SystemdLauncher {
    program: PathBuf,
    manager: Manager,
    why: String,
    /// What the manager said of itself, or why it did not. Held for a look only.
    found: Mutex<Result<Found, NoManager>>,
}

impl SystemdLauncher {
    /// A launcher that has this program run by that manager; and why it is this one.
    pub fn new(
        program: PathBuf,
        manager: Manager,
        found: Result<Found, NoManager>,
        why: String,
    ) -> SystemdLauncher {
        SystemdLauncher {
            program,
            manager,
            why,
            found: Mutex::new(found),
        }
    }

    fn found(&self) -> Result<Found, NoManager> {
        let found = self.found.lock();
        found.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks again where there was none: it may have come since.
    async fn find(&self) -> Result<(), NoManager> {
        if self.found().is_ok() {
            return Ok(());
        }
        let found = self.manager.find().await;
        self.note(found.clone());
        found.map(|_| ())
    }

    fn note(&self, found: Result<Found, NoManager>) {
        *self.found.lock().unwrap_or_else(PoisonError::into_inner) = found;
    }

    async fn run(&self, order: &Order) -> Result<(), LaunchError> {
        self.find().await?;
        let words = order.dir.join("shim.stderr");
        let mut command = self.manager.command("systemd-run");
        command.args(arguments(&self.program, order, &words));
        let output = match run(command, TAKEOVER).await {
            Ok(output) => output,
            Err(message) => return Err(self.refused(message)),
        };
        if output.status.success() {
            return Ok(());
        }
        let said = beginning(&words).await;
        let said = match said.trim() {
            "" => one_line(&String::from_utf8_lossy(&output.stderr)),
            said => said.to_owned(),
        };
        Err(self.refused(match said.is_empty() {
            true => output.status.to_string(),
            false => said,
        }))
    }

    fn refused(&self, message: String) -> LaunchError {
        LaunchError::Refused {
            program: self.program.clone(),
            message,
        }
    }
}

impl Launcher for SystemdLauncher {
    fn name(&self) -> &'static str {
        "systemd"
    }

    fn why(&self) -> String {
        self.why.clone()
    }

    fn runnable(&self) -> Result<(), LaunchError> {
        runnable(&self.program)
    }

    fn ready(&self) -> Launching<'_> {
        Box::pin(async {
            let found = self.manager.find().await;
            // One that is late for once can do what it could.
            if !(matches!(found, Err(NoManager::Refused(_))) && self.found().is_ok()) {
                self.note(found.clone());
            }
            Ok(found.map(|_| ())?)
        })
    }

    fn launch<'a>(&'a self, order: &'a Order, _standby: Option<Standby>) -> Launching<'a> {
        Box::pin(self.run(order))
    }

    fn end<'a>(&'a self, unit: &'a str) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>> {
        Box::pin(self.manager.end(unit))
    }

    fn is_stopping(&self) -> Pin<Box<dyn Future<Output = Option<bool>> + Send + '_>> {
        Box::pin(self.manager.is_stopping())
    }

    fn controllers(&self) -> Vec<String> {
        self.found()
            .map_or_else(|_| Vec::new(), |found| found.controllers)
    }

    fn bounds_anyway(&self) -> bool {
        true
    }

    fn warnings(&self) -> Vec<String> {
        let lingers = self.manager.lingers();
        let warning = "lingering is off: when you log out, your service manager ends, and with it steroidsd and every running agent; switch it on with: loginctl enable-linger";
        match lingers {
            Some(false) => vec![warning.to_owned()],
            Some(true) | None => Vec::new(),
        }
    }

    fn degraded(&self) -> Vec<String> {
        let error = self.found().err();
        let lines = error.map(|error| format!("nothing can be started: launcher systemd: {error}"));
        lines.into_iter().collect()
    }
}

/// All that `systemd-run` is told. Properties can be read by whoever may talk to the manager, and the
/// command line by everybody: there is nothing in either but paths, names and numbers.
fn arguments(program: &Path, order: &Order, words: &Path) -> Vec<OsString> {
    let kill = match order.leaves_background {
        // What is to go on is left alone; a shim that was killed is cleaned up after by the daemon.
        true => "process",
        // The shim alone is told to end; whatever its end is, nothing outlives it.
        false => "mixed",
    };
    let mut description = order.description.clone();
    description.truncate(description.floor_char_boundary(DESCRIPTION));
    let mut arguments: Vec<OsString> = [
        "--user".to_owned(),
        "--collect".to_owned(),
        "--quiet".to_owned(),
        format!("--unit={}", unit::name(&order.uuid)),
        format!("--slice={SLICE}"),
        format!("--description={description}"),
        "--service-type=notify".to_owned(),
        "--property=Delegate=yes".to_owned(),
        format!("--property=KillMode={kill}"),
        "--property=OOMPolicy=continue".to_owned(),
        "--property=TimeoutStartSec=infinity".to_owned(),
        format!("--property=TimeoutStopSec={STOP}"),
    ]
    .map(OsString::from)
    .into();
    let mut stderr = OsString::from("--property=StandardError=truncate:");
    stderr.push(words);
    arguments.push(stderr);
    let bounds = &order.resources;
    let bounds = [
        bounds.memory_max.map(|bytes| format!("MemoryMax={bytes}")),
        bounds
            .cpu_quota
            .map(|percent| format!("CPUQuota={percent}%")),
        bounds.tasks_max.map(|tasks| format!("TasksMax={tasks}")),
    ];
    let bounds = bounds.into_iter().flatten();
    arguments.extend(bounds.map(|bound| format!("--property={bound}").into()));
    if let Some((name, value)) = steroids_failpoint::environment() {
        let mut variable = OsString::from("--setenv=");
        variable.push(name);
        variable.push("=");
        variable.push(value);
        arguments.push(variable);
    }
    arguments.push("--".into());
    arguments.push(literal(program));
    arguments.push(literal(&order.dir));
    arguments
}

/// A word of a unit's command line as it is: the manager would take `$NAME` for a variable.
fn literal(path: &Path) -> OsString {
    match path.to_str() {
        Some(path) => path.replace('$', "$$").into(),
        None => path.into(),
    }
}

/// What a shim that gave up has said; nothing where it cannot be read.
async fn beginning(path: &Path) -> String {
    let mut said = Vec::new();
    if let Ok(file) = tokio::fs::File::open(path).await {
        let _ = file.take(MESSAGE_BYTES).read_to_end(&mut said).await;
    }
    String::from_utf8_lossy(&said).into_owned()
}

#[cfg(test)]
mod tests {
    use steroids_shim::spec::Resources;

    use super::*;

    fn order() -> Order {
        Order {
            dir: "/state/inv/a b$HOME".into(),
            uuid: "u-1".to_owned(),
            description: "steroids: task T1, invocation 3 of /home/ada/p".to_owned(),
            resources: Resources::default(),
            leaves_background: false,
        }
    }

    fn said(order: &Order) -> Vec<String> {
        let program = Path::new("/usr/lib/steroids-shim");
        let words = arguments(program, order, Path::new("/state/inv/x/shim.stderr"));
        let words = words.into_iter().map(|word| word.into_string().unwrap());
        words.collect()
    }

    #[test]
    fn a_unit_has_its_invocations_name_and_one_path_as_argument() {
        let words = said(&order());
        for word in [
            "--unit=steroids-inv-u-1.service",
            "--slice=steroids.slice",
            "--description=steroids: task T1, invocation 3 of /home/ada/p",
            "--property=KillMode=mixed",
            "--property=TimeoutStartSec=infinity",
            "--property=StandardError=truncate:/state/inv/x/shim.stderr",
        ] {
            assert!(words.iter().any(|it| it == word), "{word} in {words:?}");
        }
        let command: Vec<_> = words.iter().skip_while(|word| *word != "--").collect();
        assert_eq!(
            command,
            ["--", "/usr/lib/steroids-shim", "/state/inv/a b$$HOME"]
        );
        assert!(!words.iter().any(|word| word.contains("Max=")));
    }

    #[test]
    fn bounds_become_properties_and_who_leaves_background_is_not_killed_with_its_shim() {
        let words = said(&Order {
            resources: Resources {
                memory_max: Some(512 << 20),
                cpu_quota: Some(150),
                tasks_max: Some(64),
                unenforced: Vec::new(),
            },
            leaves_background: true,
            description: "ä".repeat(300),
            ..order()
        });
        for word in [
            "--property=MemoryMax=536870912",
            "--property=CPUQuota=150%",
            "--property=TasksMax=64",
            "--property=KillMode=process",
        ] {
            assert!(words.iter().any(|it| it == word), "{word} in {words:?}");
        }
        assert!(words.contains(&format!("--description={}", "ä".repeat(100))));
    }

    #[tokio::test]
    async fn without_a_manager_a_start_is_refused_and_the_reason_told() {
        let manager = Manager::new(&[]);
        let found = manager.find().await;
        let launcher = SystemdLauncher::new("/shim".into(), manager, found, String::new());
        let error = launcher.launch(&order(), None).await.unwrap_err();
        assert!(error.to_string().contains("XDG_RUNTIME_DIR"), "{error}");
        assert_eq!(launcher.degraded().len(), 1);
    }
}
