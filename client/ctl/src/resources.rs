//! What an invocation may use of the machine, and uses, in words.

use steroids_client::v1;

use crate::format;

/// Its bounds, on one line; `None` where there are none.
pub(crate) fn bounds(resources: &v1::Resources) -> Option<String> {
    let said = [
        resources
            .memory_max_bytes
            .map(|bytes| format!("memory {}", size(bytes))),
        resources
            .cpu_quota_percent
            .map(|percent| format!("CPU {percent}%")),
        resources.tasks_max.map(|tasks| format!("{tasks} tasks")),
    ];
    let said: Vec<String> = said.into_iter().flatten().collect();
    (!said.is_empty()).then(|| said.join(", "))
}

/// Which of them nothing holds, and why; empty where all are held.
pub(crate) fn unenforced(resources: &v1::Resources) -> String {
    match &*resources.unenforced {
        [] => String::new(),
        missing => format!(
            "not enforced here: the kernel offers the user's services no controller for {}",
            missing.join(", ")
        ),
    }
}

/// What a running one uses; `None` where its shim has not said.
pub(crate) fn now(live: &v1::Live) -> Option<String> {
    let memory = size(live.memory_bytes?);
    let cpu = duration(live.cpu_ms?);
    let processes = match live.processes? {
        1 => "1 process".to_owned(),
        count => format!("{count} processes"),
    };
    let share = live
        .cpu_percent
        .map(|percent| format!(" ({percent:.0}% now)"));
    let share = share.unwrap_or_default();
    Some(format!("{memory}, CPU {cpu}{share}, {processes}"))
}

/// What one that has ended used; `None` where nobody counted.
pub(crate) fn in_all(it: &v1::Invocation) -> Option<String> {
    let said = [
        it.peak_memory_bytes
            .map(|bytes| format!("at most {} of memory", size(bytes))),
        it.cpu_ms.map(|ms| format!("{} of CPU time", duration(ms))),
    ];
    let said: Vec<String> = said.into_iter().flatten().collect();
    (!said.is_empty()).then(|| said.join(", "))
}

fn size(bytes: u64) -> String {
    format::bytes(i64::try_from(bytes).unwrap_or(i64::MAX))
}

fn duration(ms: u64) -> String {
    format::duration(i64::try_from(ms).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_told_and_those_that_nothing_holds() {
        let none = v1::Resources::default();
        assert_eq!((bounds(&none), unenforced(&none)), (None, String::new()));
        let all = v1::Resources {
            memory_max_bytes: Some(512 << 20),
            cpu_quota_percent: Some(150),
            tasks_max: Some(64),
            unenforced: vec!["memory".to_owned(), "cpu".to_owned()],
        };
        let said = bounds(&all).unwrap();
        assert_eq!(said, "memory 512.0 MiB, CPU 150%, 64 tasks");
        assert!(unenforced(&all).ends_with("no controller for memory, cpu"));
    }

    #[test]
    fn use_is_told_as_far_as_it_is_known() {
        let live = v1::Live {
            cpu_ms: Some(2000),
            memory_bytes: Some(3 << 20),
            processes: Some(1),
            ..v1::Live::default()
        };
        assert_eq!(now(&live).unwrap(), "3.0 MiB, CPU 2.0 s, 1 process");
        let live = v1::Live {
            cpu_percent: Some(99.6),
            processes: Some(4),
            ..live
        };
        assert_eq!(
            now(&live).unwrap(),
            "3.0 MiB, CPU 2.0 s (100% now), 4 processes"
        );
        assert_eq!(now(&v1::Live::default()), None);
        assert_eq!(in_all(&v1::Invocation::default()), None);
    }
}
