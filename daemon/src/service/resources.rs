//! What invocations may use of the machine, and use, between the wire and the domain.

use steroids_proto::v1;
use tonic::Status;

use super::refusal::invalid;
use crate::domain::{Managed, Resources, StartResources};
use crate::supervise::{self, Place};

/// Reads the bounds of a start; absent is as configured, zero is none.
pub(super) fn start(
    memory_max_bytes: Option<u64>,
    cpu_quota_percent: Option<u32>,
    tasks_max: Option<u32>,
) -> Result<StartResources, Status> {
    let resources = StartResources {
        memory_max: given(memory_max_bytes),
        cpu_quota: given(cpu_quota_percent),
        tasks_max: given(tasks_max),
    };
    supervise::check_resources(&resources).map_err(|(field, reason)| invalid(field, reason))?;
    Ok(resources)
}

fn given<T: Default + PartialEq>(number: Option<T>) -> Option<Option<T>> {
    number.map(|number| Some(number).filter(|number| *number != T::default()))
}

/// Puts what a row says of it into its wire form.
pub(super) fn of_row(wire: &mut v1::Invocation, managed: &Managed) {
    let count = |number: i64| u64::try_from(number).unwrap_or(0);
    wire.peak_memory_bytes = managed.used.peak_bytes.map(count);
    wire.cpu_ms = managed.used.cpu_us.map(|us| count(us) / 1000);
    wire.resources = managed.resources.as_ref().map(bounds);
}

fn bounds(resources: &Resources) -> v1::Resources {
    v1::Resources {
        memory_max_bytes: resources.memory_max,
        cpu_quota_percent: resources.cpu_quota,
        tasks_max: resources.tasks_max,
        unenforced: resources.unenforced.clone(),
    }
}

/// What a running one uses, beside what else is told of it.
pub(super) fn of_place(live: v1::Live, place: &Place) -> v1::Live {
    let load = place.load;
    v1::Live {
        cpu_ms: load.map(|load| load.cpu_ms),
        cpu_percent: place.cpu_percent,
        memory_bytes: load.map(|load| load.memory_bytes),
        processes: load.map(|load| load.processes),
        ..live
    }
}
