//! What an invocation may use of the machine: which bounds make sense, and which are in force.

use steroids_shim::spec::Resources;

use super::StartError;
use super::settings::{ProviderSettings, Settings};
use crate::domain::{StartRequest, StartResources};
use crate::launch::Launcher;

/// A shim alone has a few MiB; with less than this no CLI starts.
const LEAST_MEMORY: u64 = 16 << 20;
/// With less than a tenth of a processor even a stop takes minutes.
const LEAST_CPU: u32 = 10;
/// A thousand processors.
const MOST_CPU: u32 = 100_000;
/// The shim has two.
const LEAST_TASKS: u32 = 8;

/// What is wrong with bounds, by the request's field.
///
/// # Errors
/// The field and the reason.
pub fn check(resources: &StartResources) -> Result<(), (&'static str, String)> {
    match (
        resources.memory_max.flatten(),
        resources.cpu_quota.flatten(),
        resources.tasks_max.flatten(),
    ) {
        (Some(bytes), _, _) if bytes < LEAST_MEMORY => Err((
            "memory_max_bytes",
            "must be at least 16 MiB; 0 is no bound".to_owned(),
        )),
        (_, Some(percent), _) if !(LEAST_CPU..=MOST_CPU).contains(&percent) => Err((
            "cpu_quota_percent",
            format!("must be between {LEAST_CPU} and {MOST_CPU}; 0 is no bound"),
        )),
        (_, _, Some(tasks)) if tasks < LEAST_TASKS => Err((
            "tasks_max",
            format!("must be at least {LEAST_TASKS}; 0 is no bound"),
        )),
        _ => Ok(()),
    }
}

/// The bounds of a start: its own word first, then the provider's, then ours.
pub(super) fn in_force(
    settings: &Settings,
    provider: &ProviderSettings,
    request: &StartRequest,
) -> Result<Resources, StartError> {
    let set = request
        .resources
        .or(provider.resources)
        .or(settings.resources);
    let mut resources = Resources {
        memory_max: set.memory_max.flatten(),
        cpu_quota: set.cpu_quota.flatten(),
        tasks_max: set.tasks_max.flatten(),
        unenforced: Vec::new(),
    };
    hold(&*settings.launcher, &mut resources)?;
    Ok(resources)
}

/// Notes which bounds this launcher cannot hold. What waits may come to another one than it was given to.
///
/// # Errors
/// Where it sets none that nobody holds.
pub(super) fn hold(launcher: &dyn Launcher, resources: &mut Resources) -> Result<(), StartError> {
    resources.unenforced.clear();
    let wanted = resources.controllers();
    if wanted.is_empty() {
        return Ok(());
    }
    let offered = launcher.controllers();
    let missing = wanted
        .into_iter()
        .filter(|wanted| !offered.iter().any(|offered| offered == wanted))
        .map(str::to_owned);
    resources.unenforced = missing.collect();
    if !launcher.bounds_anyway() && !resources.unenforced.is_empty() {
        return Err(StartError::NoController {
            launcher: launcher.name(),
            missing: resources.unenforced.clone(),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_with_which_nothing_could_run_are_refused() {
        let none = StartResources::default();
        assert_eq!(check(&none), Ok(()));
        let wrong = |resources: StartResources| check(&resources).unwrap_err().0;
        let memory = StartResources {
            memory_max: Some(Some(1 << 20)),
            ..none
        };
        assert_eq!(wrong(memory), "memory_max_bytes");
        let cpu = |percent| StartResources {
            cpu_quota: Some(Some(percent)),
            ..none
        };
        assert_eq!(wrong(cpu(9)), "cpu_quota_percent");
        assert_eq!(wrong(cpu(100_001)), "cpu_quota_percent");
        assert_eq!(check(&cpu(150)), Ok(()));
        let tasks = StartResources {
            tasks_max: Some(Some(7)),
            ..none
        };
        assert_eq!(wrong(tasks), "tasks_max");
        let lifted = StartResources {
            memory_max: Some(None),
            cpu_quota: Some(None),
            tasks_max: Some(None),
        };
        assert_eq!(check(&lifted), Ok(()));
        assert_eq!(lifted.or(memory), lifted);
    }
}
