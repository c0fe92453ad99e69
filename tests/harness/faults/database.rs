//! Faults of the part `database`.

use super::Fault;

/// By number.
pub(super) const FAULTS: &[Fault] = &[
    Fault {
        id: 37,
        fault: "another program holds the write lock for 4 s, then 20 s, while an agent ends",
        required: "row final after release; Start whole or refused (long form); reads answered",
        tests: &[
            "faults::database::locked::a_lock_held_by_another_program_delays_rows_and_nothing_else",
        ],
    },
    Fault {
        id: 38,
        fault: "a writer hammers the same tables with checkpoint(TRUNCATE), 60 s beside 4 agents",
        required: "no SQLITE_BUSY to a client, no lost final row, integrity ok",
        tests: &[
            "faults::database::locked::a_writer_that_never_rests_costs_no_client_an_answer_and_no_run_its_end",
        ],
    },
    Fault {
        id: 39,
        fault: "the older tool closes a running row, and signals runners it has not heard of",
        required: "agent lives, event row_overridden, final truth written, no second start",
        tests: &[
            "faults::database::older_tool::a_row_closed_under_a_living_agent_is_told_at_once_and_ends_with_the_truth",
            "faults::database::older_tool::whom_the_older_tool_signals_is_never_an_agent_or_its_shim",
        ],
    },
    Fault {
        id: 40,
        fault: "a database of the older tool, at each of its schemas",
        required: "opens; what that tool checks is as it was; its ledger unchanged past 010",
        tests: &[
            "databases::a_database_at_009_asks_for_migrate_and_is_filled_exactly",
            "databases::a_database_at_028_is_not_touched_but_for_our_own_tables",
            "databases::a_database_at_any_schema_opens_and_fits_the_older_tool_afterwards",
        ],
    },
    Fault {
        id: 41,
        fault: "kill -9, and a power cut, at every statement of a migration",
        required: "at a step each time, never half; the next start completes; backup whole",
        tests: &[
            "faults::database::migration::a_migration_killed_anywhere_is_at_a_step_and_the_next_one_completes",
            "faults::database::migration::a_migration_ended_by_a_power_cut_is_at_a_step_and_the_next_one_completes",
        ],
    },
    Fault {
        id: 42,
        fault: "tables of a newer steroidsd",
        required: "reads served, writes refused with a clear error, file byte-identical",
        tests: &[
            "databases::a_newer_version_of_our_tables_is_read_and_not_written",
            "databases::what_ends_while_a_newer_steroidsd_has_its_database_is_stopped_and_told_with_the_cure",
        ],
    },
    Fault {
        id: 43,
        fault: "database damaged (header, pages), replaced by rename, -wal or -shm deleted, while open",
        required: "told or opened anew, agents kept, no write to the wrong file, served again once good",
        tests: &[
            "databases::what_is_no_database_or_a_broken_one_is_refused_and_kept",
            "faults::database::replaced::journals_deleted_under_an_open_database_cost_nothing_that_was_committed",
            "faults::database::replaced::a_database_replaced_by_another_is_served_and_neither_is_spoilt",
            "faults::database::replaced::a_damaged_header_is_told_and_left_alone_until_it_is_mended",
            "faults::database::replaced::damaged_pages_are_told_and_left_alone_until_they_are_mended",
        ],
    },
    Fault {
        id: 44,
        fault: "database file, folder or disk read-only",
        required: "start refused (exit 4) naming the project; the daemon serves the others",
        tests: &[
            "faults::database::read_only::a_project_that_cannot_be_written_is_refused_by_name_and_others_are_served",
        ],
    },
    Fault {
        id: 45,
        fault: "code that opens, copies or closes a database past SQLite, and so drops its locks",
        required: "there is none; descriptors and locks of a daemon at work stay as they are",
        tests: &[
            "faults::database::files::no_code_outside_the_store_opens_a_database",
            "faults::database::files::a_daemon_at_work_has_its_connections_open_and_loses_no_lock",
        ],
    },
    Fault {
        id: 161,
        fault: "a start while the older tool's own runner is alive on the project",
        required: "exit 4, naming runner and pid; what cannot be read there blocks nothing",
        tests: &[
            "faults::database::runners::a_start_is_refused_while_the_older_tool_is_at_work_there",
        ],
    },
    Fault {
        id: 162,
        fault: "a start for a task whose shim lives, while the rows say that it has ended",
        required: "exit 4, naming the invocation",
        tests: &[
            "faults::database::runners::a_task_whose_agent_lives_is_not_started_again_whatever_the_rows_say",
        ],
    },
    Fault {
        id: 163,
        fault: "the database deleted by the agent (git clean -xdf) while it runs",
        required: "rows back without a restart, ids not given again, agent undisturbed; nobody is told that there is no such run",
        tests: &[
            "faults::database::replaced::a_database_deleted_by_its_agent_is_back_with_its_rows_and_no_restart",
            "faults::database::replaced::a_database_deleted_alone_is_back_with_its_rows",
            "faults::database::replaced::a_database_deleted_time_and_again_is_back_though_nobody_asks",
            "faults::database::deleted::who_asks_while_it_is_gone_is_never_told_that_there_is_no_such_thing",
            "faults::database::deleted::a_new_database_that_has_no_rows_yet_tells_nobody_that_there_are_none",
            "faults::database::deleted::streams_that_go_on_from_a_cursor_get_a_gap_the_whole_log_and_the_end",
            "faults::database::waiting::what_waits_is_back_with_what_runs_and_can_be_stopped",
            "faults::database::waiting::what_waits_is_back_in_a_database_that_is_older",
            "faults::database::waiting::what_waits_where_nothing_runs_is_back_with_the_next_pass",
            "faults::database::outstanding::the_attempt_that_goes_on_is_stopped_by_the_first_ones_id_before_all_rows_are_back",
            "faults::database::outstanding::nobody_is_told_that_nothing_runs_before_its_row_is_back",
            "faults::database::outstanding::a_log_that_is_deleted_as_its_invocation_ends_is_there_when_its_row_is_final",
        ],
    },
    Fault {
        id: 164,
        fault: "the database moved away between the commit of a start and its answer",
        required: "refused; when it is back the row ends without a restart, and the same request gives it",
        tests: &[
            "faults::database::moved::a_row_whose_start_was_refused_as_it_began_ends_when_its_database_is_back",
        ],
    },
];
