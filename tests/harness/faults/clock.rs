//! Faults of the part `clock`.

use super::Fault;

/// By number.
pub(super) const FAULTS: &[Fault] = &[
    Fault {
        id: 46,
        fault: "wall clock an hour back, ten years on, in 1970, while agents run",
        required: "limits by the monotonic clock, durations >= 0, order by offset, nothing removed",
        tests: &[
            "faults::clock::a_wall_clock_that_jumps_changes_no_duration_no_order_and_ends_nothing",
            "faults::clock::a_limit_is_reached_also_by_a_clock_that_was_set_back",
            "faults::clock::nothing_is_removed_for_its_age_by_a_clock_that_jumped",
        ],
    },
    Fault {
        id: 47,
        fault: "everything stands still for longer than the silence limit (SIGSTOP of daemon, shims, agents)",
        required: "no mass time-out; the same daemon serves on",
        tests: &["faults::clock::a_standstill_of_everything_is_nobodys_silence"],
    },
];
