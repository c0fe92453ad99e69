//! Faults of the part `clients`.

use super::Fault;

/// By number.
pub(super) const FAULTS: &[Fault] = &[
    Fault {
        id: 48,
        fault: "a follower never reads (window 0) for 60 s, beside 5 good ones",
        required: "good ones have every line; long form: daemon below 24 MiB more, the slow one is cut off",
        tests: &[
            "faults::clients::slow::one_that_never_reads_is_cut_off_and_costs_the_others_nothing",
        ],
    },
    Fault {
        id: 49,
        fault: "1,000 connects and disconnects; half-open; 200 that say nothing, or half of the first words; as many that follow as may be",
        required: "descriptors back to what they were, a new client is served meanwhile",
        tests: &[
            "faults::clients::many::two_hundred_that_say_nothing_or_half_of_it_keep_nobody_out",
            "faults::clients::many::a_thousand_that_come_and_go_leave_nothing_behind",
            "faults::clients::many::those_that_are_half_open_take_no_place",
            "faults::clients::many::beside_as_many_that_follow_as_may_be_an_agent_can_be_stopped",
        ],
    },
    Fault {
        id: 51,
        fault: "messages over 4 MiB, 1 GiB announced, bad gzip flag, not UTF-8, unknown fields, cut",
        required: "the right code each, nothing of the announced size allocated, the connection goes on",
        tests: &["faults::clients::messages::each_is_told_what_is_wrong_with_it_and_costs_nothing"],
    },
    Fault {
        id: 52,
        fault: "a client cancels its start at each step; the daemon killed there as well",
        required: "one agent with a visible row, adopted after a kill; or a row that ended, and no agent",
        tests: &[
            "faults::clients::cancelled::a_start_is_seen_through_though_its_client_is_gone",
            "faults::clients::cancelled::a_start_whose_client_and_daemon_are_gone_is_taken_up_or_ended",
        ],
    },
    Fault {
        id: 53,
        fault: "cursors past the end, negative, at every byte of a record, of another invocation or stream",
        required: "OUT_OF_RANGE, INVALID_ARGUMENT or a told gap and all from the start; never other data",
        tests: &[
            "faults::clients::cursors::a_cursor_gives_what_comes_after_it_or_is_refused_and_never_other_data",
            "faults::clients::cursors::a_number_that_no_event_can_have_is_refused",
            "faults::clients::cursors::a_number_past_the_last_event_is_refused_also_where_the_database_is_a_new_one",
            "faults::clients::cursors::who_watches_all_keeps_its_place_in_a_database_that_goes_and_comes_back",
        ],
    },
];
