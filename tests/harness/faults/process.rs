//! Faults of the part `process`.

use super::Fault;

/// By number.
pub(super) const FAULTS: &[Fault] = &[
    Fault {
        id: 16,
        fault: "agent leaves a grandchild that keeps its stdout open and outlives it",
        required: "row final, grandchild killed, its late output up to then logged",
        tests: &["stop::what_an_agent_left_behind_is_counted_and_ended_after_success_too"],
    },
    Fault {
        id: 17,
        fault: "stop of TERM-ignorers, children out of the session, 200 of them, one unmarked, one stopped",
        required: "no survivor when the stop is answered, with a control group and without",
        tests: &[
            "faults::process::tree::a_family_that_gets_away_in_every_way_is_ended_by_a_stop",
            "faults::process::tree::a_family_in_a_control_group_is_ended_by_a_stop_and_the_group_removed",
            "stop::a_tree_that_left_its_session_and_ignores_signals_leaves_no_survivor",
        ],
    },
    Fault {
        id: 18,
        fault: "agent ends by signal 6, 9, 11, 15, or exits with 0, 1, 127, 137, 173, 255",
        required: "code and signal told apart in row and log; a code above 128 is no signal",
        tests: &["process::exit_codes_and_signals_are_told_apart_from_end_to_end"],
    },
    Fault {
        id: 19,
        fault: "program missing, not executable, a folder, without its interpreter; working directory missing",
        required: "never_started with the kernel's words, exit code -1, no running row",
        tests: &[
            "never_started::a_missing_program_ends_with_the_kernels_words",
            "never_started::a_program_without_the_right_to_run_ends_with_the_kernels_words",
            "never_started::a_script_whose_interpreter_is_missing_ends_with_the_kernels_words",
            "faults::process::start::what_cannot_be_executed_ends_with_the_kernels_words",
        ],
    },
    Fault {
        id: 20,
        fault: "agent closes stdout and stderr but runs on (60 s)",
        required: "stays running; then final, with its own code",
        tests: &["process::a_provider_that_closes_its_output_runs_on_until_it_ends"],
    },
    Fault {
        id: 21,
        fault: "a time limit is reached while no daemon is there",
        required: "its shim ends it; row status timeout once there is a daemon",
        tests: &["faults::clock::a_limit_that_is_reached_while_no_daemon_is_there_ends_the_agent"],
    },
    Fault {
        id: 22,
        fault: "agent SIGSTOPs itself; then stop",
        required: "ended: continued, so that it hears of it",
        tests: &["stop::an_agent_that_stopped_itself_is_ended_too"],
    },
    Fault {
        id: 23,
        fault: "agent tells its descriptors, environment, signals, umask, limits, session",
        required: "0, 1, 2 only; allow-listed environment; no signal blocked or ignored; umask 077",
        tests: &[
            "process::a_provider_gets_three_descriptors_an_allowed_environment_and_a_clean_slate",
            "faults::process::start::a_daemon_started_in_disorder_gives_its_agents_a_clean_slate_and_still_ends_when_told",
        ],
    },
    Fault {
        id: 24,
        fault: "agent reads its stdin",
        required: "gets the prompt, then EOF; never blocks",
        tests: &["process::a_prompt_comes_on_stdin_and_then_its_end"],
    },
    Fault {
        id: 71,
        fault: "many silent invocations (10; 100 in the long form)",
        required: "shims sleep, at most 4 descriptors of the daemon each, none left after; figures by `make bench`",
        tests: &[
            "faults::process::idle::silent_invocations_wake_nobody_and_leave_no_descriptor_behind",
        ],
    },
    Fault {
        id: 121,
        fault: "agent exits and leaves processes, one daemonised with a cleared environment",
        required: "all ended, counted in `leftovers`, and named with their pids in a notice",
        tests: &[
            "faults::process::tree::what_is_left_over_is_named_also_with_a_cleared_environment",
        ],
    },
    Fault {
        id: 122,
        fault: "daemon started with every signal blocked, some ignored, umask 0 and foreign descriptors",
        required: "starts, supervises, and ends with 0 on TERM",
        tests: &[
            "faults::process::start::a_daemon_started_in_disorder_gives_its_agents_a_clean_slate_and_still_ends_when_told",
        ],
    },
    Fault {
        id: 123,
        fault: "arguments or environment too long (E2BIG)",
        required: "refused at once where that is known, else never_started with the kernel's words, -1; no running row",
        tests: &[
            "faults::process::start::arguments_or_an_environment_that_are_too_long_end_with_the_kernels_words",
        ],
    },
    Fault {
        id: 124,
        fault: "pids.max reached at spawn",
        required: "RESOURCE_EXHAUSTED with the kernel's words, no busy loop, recovers by itself",
        tests: &[
            "faults::process::limits::a_daemon_that_may_start_no_process_refuses_clearly_and_recovers_by_itself",
        ],
    },
    Fault {
        id: 126,
        fault: "kill -9 of a shim whose agent has a control group of its own, with 200 processes",
        required: "row says lost, none of them alive then, group removed",
        tests: &["faults::process::tree::a_lost_shims_control_group_is_emptied_and_removed"],
    },
    Fault {
        id: 224,
        fault: "agent leaves a process that moves on by fork about each millisecond, into a new session each time",
        required: "none of it alive when a stop is answered, or the row is final after an end",
        tests: &[
            "faults::process::tree::what_moves_on_by_fork_is_ended_by_a_stop_and_after_an_end",
        ],
    },
    Fault {
        id: 165,
        fault: "the daemon is the first process of a container (a PID namespace with its own /proc), with clients \
                inside and outside, where a peer's process id is 0",
        required: "both start, see and stop agents; what was stopped leaves no process, and no zombie; the container killed with \
                   its agents: lost; TERM: exit 0, nothing left",
        tests: &[
            "faults::process::container::the_first_process_of_a_container_serves_who_is_inside_and_who_is_not",
        ],
    },
];
