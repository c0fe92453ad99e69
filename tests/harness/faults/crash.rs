//! Faults of the part `crash`.

use super::Fault;

/// By number.
pub(super) const FAULTS: &[Fault] = &[
    Fault {
        id: 1,
        fault: "kill -9 of the daemon during steady output, restart",
        required: "same agent, no line lost, doubled or out of order, exit code right",
        tests: &[
            "restart::numbered_lines_are_each_there_once_in_order_however_often_the_daemon_is_killed",
        ],
    },
    Fault {
        id: 2,
        fault: "the same, and the agent ends while no daemon is there",
        required: "row final from exit.json, log complete, times of the agent's end",
        tests: &[
            "restart::an_agent_that_ends_while_no_daemon_is_there_ends_with_its_own_code_and_times",
        ],
    },
    Fault {
        id: 4,
        fault: "kill -9 between the row's commit and the launch",
        required: "failed, exit -1, never started; no process",
        tests: &[
            "faults::crash::starting::a_daemon_killed_before_the_launch_has_started_nothing_and_the_row_says_so",
        ],
    },
    Fault {
        id: 6,
        fault: "kill -9 of a shim, daemon up",
        required: "the agent's tree goes, and the shim's socket, failed, exit -1, shim lost; every spooled line",
        tests: &["faults::crash::lost::a_killed_shims_whole_tree_is_gone_and_the_row_says_lost"],
    },
    Fault {
        id: 8,
        fault: "SIGTERM to the daemon with 3 agents and open streams",
        required: "exit 0, agents live, streams end as unavailable, resuming loses nothing",
        tests: &["restart::a_daemon_asked_to_end_leaves_agents_alive_and_streams_resumable"],
    },
    Fault {
        id: 9,
        fault: "a shim of the previous protocol runs, a new daemon starts",
        required: "adopted, can be stopped, row final; and the other way round",
        tests: &[
            "faults::crash::protocol::a_shim_of_the_first_protocol_is_adopted_stopped_and_finished",
            "faults::crash::protocol::the_shim_of_today_answers_what_a_daemon_of_the_first_protocol_asks",
        ],
    },
    Fault {
        id: 11,
        fault: "a shim is mute (SIGSTOP) when the daemon starts",
        required: "ready, row running with an alarm, others adopted, well after SIGCONT",
        tests: &[
            "faults::crash::mute::a_mute_shim_at_start_holds_nobody_up_and_is_told_of_until_it_answers",
        ],
    },
    Fault {
        id: 13,
        fault: "a second daemon of the same user is started",
        required: "it exits non-zero and names the holder; the first and its socket are unaffected",
        tests: &[
            "faults::crash::two::a_second_daemon_names_the_first_and_goes_and_the_first_does_not_notice",
        ],
    },
    Fault {
        id: 14,
        fault: "the host was restarted, and the old agent's pid is an innocent process",
        required: "lost: host restarted; the innocent is not signalled",
        tests: &[
            "faults::crash::lost::after_a_restart_of_the_host_an_innocent_process_of_the_old_number_lives",
        ],
    },
    Fault {
        id: 101,
        fault: "kill -9 of the daemon after or during the launch, before the answer",
        required: "the agent runs and is adopted; the same request again gives it, and no second one",
        tests: &[
            "faults::crash::starting::a_daemon_killed_after_the_launch_finds_its_agent_again",
            "faults::crash::starting::a_shim_that_took_over_while_no_daemon_was_there_is_adopted",
        ],
    },
    Fault {
        id: 102,
        fault: "kill -9 between append and commit: a line, the last line, the row",
        required: "each line once, one last line, row final, clients see the same",
        tests: &[
            "faults::crash::ending::killed_between_append_and_commit_no_line_is_lost_or_doubled",
            "faults::crash::ending::killed_between_the_last_line_and_the_row_both_come_out_right",
        ],
    },
    Fault {
        id: 103,
        fault: "kill -9 in the middle of recovery: reconcile, a loss, a log being rebuilt",
        required: "the next start completes it; no cursor of before is taken for another log's",
        tests: &[
            "faults::crash::recovery::a_reconcile_killed_between_two_invocations_is_done_by_the_next",
            "faults::crash::recovery::declaring_an_invocation_lost_may_be_killed_at_each_step",
            "faults::crash::recovery::rebuilding_a_log_may_be_killed_at_each_step_and_old_cursors_do_not_fit_it",
        ],
    },
    Fault {
        id: 104,
        fault: "kill -9 of a shim at each of its steps, alone and with its daemon",
        required: "never_started or lost, or the agent's code once that is recorded; no process left",
        tests: &[
            "faults::crash::starting::a_shim_killed_while_it_takes_over_leaves_nothing_and_the_row_says_so",
            "faults::crash::starting::a_shim_and_its_daemon_killed_while_it_takes_over_leave_nothing",
            "faults::crash::ending::a_shim_killed_around_its_record_has_the_code_once_it_is_written",
        ],
    },
    Fault {
        id: 105,
        fault: "kill -9 of daemon, shim and provider together; of a provider alone",
        required: "lost with every spooled line; interrupted with its signal",
        tests: &[
            "faults::crash::lost::daemon_shim_and_provider_killed_together_leave_a_whole_log_and_a_lost_row",
            "faults::crash::lost::a_provider_killed_by_another_hand_is_told_by_its_signal_with_or_without_a_daemon",
        ],
    },
    Fault {
        id: 106,
        fault: "200 (6 in the short form) random kill -9 of the daemon over 8 agents that number their lines",
        required: "0 lines lost, doubled or out of order, 0 wrong codes, 0 processes and running rows left",
        tests: &[
            "faults::crash::soak::eight_agents_lose_no_line_and_no_exit_code_however_often_the_daemon_is_killed",
        ],
    },
    Fault {
        id: 107,
        fault: "the same (200, 6 in the short form), and random kills of shims and providers",
        required: "as above for all that was not hit; the rest final with the right reason",
        tests: &[
            "faults::crash::soak::kills_of_shims_and_providers_too_leave_final_rows_with_the_right_reason",
        ],
    },
    Fault {
        id: 108,
        fault: "a shim falls mute (SIGSTOP) while a daemon watches over it",
        required: "an alarm in show and status; a stop has it go on and is obeyed, also where its agent has stopped it",
        tests: &[
            "faults::crash::mute::a_shim_that_falls_mute_later_is_told_of_and_obeys_when_it_is_back",
            "faults::crash::mute::an_agent_that_stops_its_own_shim_is_told_of_and_ends_when_it_is_to",
        ],
    },
    Fault {
        id: 210,
        fault: "a shim's socket, or the whole runtime folder, is removed while the shim lives (logout without linger)",
        required: "the shim binds anew; stop and send work, also after a restart of the daemon; what stands in the way is named",
        tests: &[
            "faults::crash::absent::an_agent_whose_shim_has_lost_its_socket_is_stopped_by_the_next_daemon",
            "faults::crash::absent::a_message_reaches_an_agent_whose_shim_has_lost_its_socket",
            "faults::crash::absent::what_keeps_a_socket_away_is_told_until_it_is_there",
        ],
    },
    Fault {
        id: 109,
        fault: "a shim of an unknown newer protocol",
        required: "row running, shown as a foreign shim, files readable, never killed",
        tests: &[
            "faults::crash::protocol::a_shim_of_a_protocol_to_come_is_shown_as_foreign_and_left_alone",
        ],
    },
    Fault {
        id: 110,
        fault: "two daemons with state folders of their own, one project",
        required: "the second is refused it by name, also while the first is away",
        tests: &["faults::crash::two::two_daemons_with_states_of_their_own_do_not_share_a_project"],
    },
    Fault {
        id: 111,
        fault: "a daemon is started while one that was killed is not fully gone",
        required: "it waits for the lock, and serves",
        tests: &["faults::crash::two::a_daemon_waits_for_one_that_is_about_to_be_gone"],
    },
    Fault {
        id: 112,
        fault: "somebody asks for a row between the stream's last line and the row's end",
        required: "the answer waits for the row, and not without end",
        tests: &[
            "faults::crash::ending::who_has_seen_the_last_line_is_not_told_that_it_runs",
            "faults::crash::ending::a_list_waits_for_a_row_whose_end_is_logged",
            "faults::crash::ending::a_row_that_does_not_come_is_not_waited_for_without_end",
        ],
    },
    Fault {
        id: 113,
        fault: "kill -9 in the middle of a line, of the log's and of the agent's",
        required: "the line comes out whole, once",
        tests: &["faults::crash::ending::killed_in_the_middle_of_a_line_the_line_comes_out_whole"],
    },
    Fault {
        id: 114,
        fault: "a shim takes the stage after its invocation was given up",
        required: "it starts nothing, and the row stays as it is",
        tests: &["faults::crash::starting::a_shim_that_comes_after_it_was_given_up_starts_nothing"],
    },
    Fault {
        id: 115,
        fault: "kill -9 of the launching process, while its shim takes over",
        required: "the agent runs and the start is answered so, not as failed",
        tests: &[
            "faults::crash::starting::an_agent_whose_launcher_is_killed_runs_all_the_same_and_the_answer_says_so",
        ],
    },
    Fault {
        id: 220,
        fault: "the state folder is removed or moved while no daemon is there and an agent runs",
        required: "lost; ended where its folder is gone for good, and else left alone and named",
        tests: &[
            "faults::crash::folderless::what_runs_when_its_state_folder_is_gone_after_a_restart_is_ended_and_lost",
            "faults::crash::folderless::what_runs_with_its_state_folder_in_another_place_is_lost_and_left_alone",
            "faults::crash::folderless::what_another_daemon_looks_after_is_left_alone_in_a_copy_without_that_ones_lock",
        ],
    },
    Fault {
        id: 166,
        fault: "a power cut at each step of a start",
        required: "one row, lost: host restarted, nothing runs, no folder is left",
        tests: &["faults::crash::power::a_start_that_is_cut_short_has_one_row_that_says_so"],
    },
    Fault {
        id: 167,
        fault: "a power cut right behind the answer to a start",
        required: "the row that was answered, lost: host restarted",
        tests: &["faults::crash::power::a_start_that_was_answered_has_its_row"],
    },
    Fault {
        id: 168,
        fault: "a power cut while a start waits for its turn",
        required: "it waits on, and runs",
        tests: &["faults::crash::power::what_waits_for_its_turn_has_it_after_the_restart"],
    },
    Fault {
        id: 169,
        fault: "a power cut behind a sync of an agent's output",
        required: "all that was synced, in order; who followed it goes on",
        tests: &[
            "faults::crash::power::output_that_was_synced_is_there_and_who_followed_it_goes_on",
        ],
    },
    Fault {
        id: 170,
        fault: "a power cut before output is synced",
        required: "a beginning of it, no line torn; who followed it is told of the gap",
        tests: &[
            "faults::crash::power::of_output_that_was_not_synced_there_is_a_beginning_and_who_followed_it_is_told",
            "faults::crash::power::of_a_record_that_is_torn_there_is_what_stands_before_it_and_who_followed_it_is_told",
        ],
    },
    Fault {
        id: 171,
        fault: "a power cut at each step of an agent's end",
        required: "the log is whole, and so is the exit code once it is recorded",
        tests: &["faults::crash::power::an_end_is_what_it_was_at_whatever_step_it_was_cut"],
    },
    Fault {
        id: 172,
        fault: "a power cut at each step of compressing a log",
        required: "the same bytes are read; the packed log is named before the plain one goes, which stays gone",
        tests: &["faults::crash::power::a_log_that_was_being_compressed_is_whole"],
    },
    Fault {
        id: 173,
        fault: "an agent puts down an end that was not: it kills its shim, or takes the name of its lock, beside a record of its own, with a daemon and without",
        required: "lost, with all of its tree ended and the log saying why; where its shim lives, it goes on, is told, and obeys a stop; a shim's own record counts",
        tests: &[
            "faults::crash::forged::an_agent_that_kills_its_shim_behind_a_record_of_its_own_is_lost_with_all_its_tree",
            "faults::crash::forged::that_holds_where_what_it_leaves_was_to_be_left",
            "faults::crash::forged::that_holds_where_no_daemon_was_there",
            "faults::crash::forged::what_makes_no_sense_beside_a_shim_that_was_killed_ends_as_lost",
            "faults::crash::forged::an_agent_that_takes_its_locks_name_and_records_an_end_goes_on_and_obeys",
            "faults::crash::forged::an_agent_that_spoils_its_specification_too_is_ended_by_the_next_daemon",
            "faults::crash::forged::what_its_shim_records_after_an_agents_record_was_read_is_its_end",
            "faults::crash::forged::what_a_shim_recorded_counts_where_it_was_killed_right_after_and_left_what_it_was_to_leave",
        ],
    },
];
