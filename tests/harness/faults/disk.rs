//! Faults of the part `disk`.

use super::Fault;

/// By number.
pub(super) const FAULTS: &[Fault] = &[
    Fault {
        id: 25,
        fault: "the disk of the spools is full, and freed later",
        required: "no line lost or torn, exit code right, no restart; the agent is paused only when 64 MiB wait; alarm and status say so, also after a restart of the daemon; cleanup by age makes room",
        tests: &[
            "faults::disk::full::a_full_disk_of_spools_loses_nothing_and_is_told_of",
            "faults::disk::full::a_disk_that_is_full_is_made_room_on_by_age",
            "faults::disk::full::what_waits_outlives_a_disk_on_which_no_more_files_can_be_made",
        ],
    },
    Fault {
        id: 27,
        fault: "EROFS, EIO, EDQUOT on the activity log alone",
        required: "the agent goes on, status says what to do, the log is whole and without a line twice afterwards",
        tests: &[
            "faults::disk::refused::logs_on_a_read_only_file_system_are_made_up_for_later",
            "faults::disk::refused::a_log_that_fails_while_it_is_written_is_whole_in_the_end",
        ],
    },
    Fault {
        id: 28,
        fault: "the last line of a log is torn, at each byte of a multibyte character",
        required: "cut and written again once; cursors stay good",
        tests: &["faults::disk::torn::half_a_last_line_is_cut_and_written_again_once"],
    },
    Fault {
        id: 29,
        fault: "a record of a spool is torn, or has a flipped bit",
        required: "all before it is in the log, that it is damaged is told, row and exit code right; others unaffected, no panic",
        tests: &[
            "faults::disk::torn::a_damaged_spool_gives_what_stands_before_and_says_where_it_ends",
        ],
    },
    Fault {
        id: 30,
        fault: "output that is not UTF-8, NUL, CR, U+2028, BOM, lone surrogate escapes",
        required: "one valid line of JSON each; the spool has the bytes as they were",
        tests: &[
            "faults::disk::bytes::lines_of_any_bytes_are_one_line_of_json_each_and_kept_as_they_were",
            "faults::disk::bytes::json_with_lone_surrogates_and_noise_between_is_kept_line_by_line",
        ],
    },
    Fault {
        id: 31,
        fault: "a line of 50 MB without newline, then 10 MB/s for 20 s (9 MB and 1 s in the short form)",
        required: "daemon grows by less than 32 MiB; shim stays below 64 MiB + 2 MiB and gives its own memory back, to below 2 MiB; the line is marked as cut, the next ones are whole",
        tests: &["faults::disk::flood::a_flood_is_kept_whole_in_bounded_memory"],
    },
    Fault {
        id: 32,
        fault: "the log is deleted (also with its folder, as git clean does), emptied, cut, written over, added to or replaced while it is followed",
        required: "followers see the log or a gap, never anything else; it is rebuilt; cursors of before get a gap or OUT_OF_RANGE; an event tells of it",
        tests: &[
            "faults::disk::replaced::a_log_that_is_deleted_cut_or_written_over_comes_back_and_nobody_sees_garbage",
            "faults::disk::replaced::an_end_that_an_agent_adds_to_its_own_log_ends_nobodys_stream",
        ],
    },
    Fault {
        id: 33,
        fault: "a symlink to another user's file, a hard link, a FIFO, a socket or a folder stands in the log's place",
        required: "shown to nobody, never written, nobody blocks; replaced by the log; an event says what stood there",
        tests: &[
            "faults::disk::replaced::what_an_agent_puts_in_its_logs_place_is_neither_read_nor_written",
        ],
    },
    Fault {
        id: 34,
        fault: "the inotify queue overflows; no inotify watches or instances to be had",
        required: "lines are followed on: after an overflow all are looked at again, without watches the shim's own hints serve",
        tests: &[
            "faults::disk::unwatched::without_watches_lines_are_followed_by_the_shims_own_hints",
            "faults::disk::unwatched::more_events_than_the_queue_holds_are_made_good",
        ],
    },
    Fault {
        id: 35,
        fault: "the older tool deletes logs by their time of change while they are followed",
        required: "that of a running invocation is rebuilt; of an ended one a gap says that there is none",
        tests: &[
            "faults::disk::replaced::a_log_that_another_tool_finds_old_and_deletes_comes_back_while_it_runs",
        ],
    },
    Fault {
        id: 36,
        fault: "transcripts take more room than retention.max_bytes",
        required: "only those of final and projected invocations go, oldest first",
        tests: &[
            "faults::disk::retention::over_its_budget_the_oldest_finished_transcripts_go_and_no_other",
        ],
    },
    Fault {
        id: 141,
        fault: "the disk of the logs is full, and freed later",
        required: "the agent is not held up, readers see whole lines, log and row are complete afterwards, also after a restart meanwhile; one that has ended keeps no place, and says what its row waits for",
        tests: &[
            "faults::disk::full::a_full_disk_of_logs_holds_up_the_log_and_not_the_agent",
            "faults::disk::full::one_that_has_ended_on_a_full_disk_keeps_no_place_and_says_what_its_row_waits_for",
        ],
    },
    Fault {
        id: 142,
        fault: "the disk of the database, or of the state folder, is full, and freed later; also before the daemon begins, or as a start is under way",
        required: "the log is complete meanwhile, starts are refused (75), leave nothing behind and use up no request id, the row is final afterwards; a project that cannot be opened says that its disk is full, and is back with some room",
        tests: &[
            "faults::disk::full::a_full_disk_of_the_database_holds_up_the_row_and_refuses_starts",
            "faults::disk::full::a_project_on_a_disk_that_was_full_before_the_daemon_says_so_and_is_back_with_some_room",
            "faults::disk::full_state::a_full_disk_of_the_state_folder_refuses_starts_and_nothing_is_left",
            "faults::disk::full_state::what_a_disk_that_fills_up_keeps_from_running_is_started_by_the_same_request",
            "faults::disk::full_state::what_is_tried_again_by_itself_keeps_its_request",
        ],
    },
    Fault {
        id: 143,
        fault: "one full disk under spools, logs and database, freed later",
        required: "no line lost or torn, exit code right, nothing restarted",
        tests: &["faults::disk::full::a_full_disk_under_everything_is_survived_without_a_restart"],
    },
    Fault {
        id: 144,
        fault: "less room than daemon.min_free, for the state folder or the project",
        required: "a start is refused (exit code 75), and status says so before",
        tests: &["faults::disk::full::too_little_room_for_a_start_is_said_before_anybody_asks"],
    },
    Fault {
        id: 145,
        fault: "EIO on the spool and on the exit record",
        required: "the shim keeps what it read and tries on; alarm and status say so; nothing is lost",
        tests: &["faults::disk::refused::a_spool_that_fails_while_it_is_written_loses_nothing"],
    },
    Fault {
        id: 146,
        fault: "a project's disk does not answer (a mount whose server is gone)",
        required: "other projects are served, also in streams over all; requests about it are refused after 25 s, later ones at once, with one thread of the daemon in all; status says so; its agents can be stopped meanwhile; it is served again when it answers",
        tests: &[
            "faults::disk::hung::a_disk_that_does_not_answer_holds_up_its_own_project_alone",
            "faults::disk::hung::a_disk_that_hung_before_the_start_holds_up_its_own_project_alone",
            "faults::disk::hung_many::what_is_asked_of_all_projects_is_answered_for_those_whose_disks_do",
            "faults::disk::hung_streams::a_disk_that_does_not_answer_keeps_no_stream_over_all_from_the_others",
            "faults::disk::hung::a_stop_ends_an_agent_while_its_log_waits_for_the_disk",
        ],
    },
];
