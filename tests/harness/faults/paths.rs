//! Faults of the part `paths`.

use super::Fault;

/// By number.
pub(super) const FAULTS: &[Fault] = &[
    Fault {
        id: 62,
        fault: "project path with .., symlink, newline, 4096 bytes, not UTF-8, of another owner, world-writable, recreated",
        required: "refused, or bound to the folder that was opened; never another folder",
        tests: &[
            "faults::paths::projects::a_path_that_cannot_be_a_line_of_text_is_refused",
            "faults::paths::projects::a_path_that_is_not_utf_8_is_refused",
            "faults::paths::projects::an_invocation_stays_with_the_folder_it_was_started_in",
            "faults::paths::projects::folders_deleted_under_their_runs_keep_no_place_and_both_ends_are_kept_when_they_are_back",
            "project_paths::a_symlink_anywhere_in_the_path_is_refused",
            "project_paths::a_project_that_went_away_is_told_and_the_others_go_on",
            "project_paths::a_folder_everybody_may_write_to_is_refused",
            "project_paths::a_folder_of_another_user_is_refused",
        ],
    },
    Fault {
        id: 63,
        fault: ".steroids or invocations swapped for a symlink in a loop during 200 starts (30 in the short form)",
        required: "never a file outside the project; what was started ends",
        tests: &[
            "faults::paths::swapped::swapping_the_steroids_folder_for_a_link_leads_to_no_file_outside",
            "faults::paths::swapped::swapping_the_folder_of_logs_for_a_link_leads_to_no_file_outside",
        ],
    },
    Fault {
        id: 64,
        fault: "socket folder of another user, 0777, a symlink; stale socket; a file or a folder in its place",
        required: "refused (exit 4) and untouched; a stale socket is replaced under the lock only",
        tests: &[
            "faults::paths::sockets::a_folder_that_others_can_use_is_refused",
            "faults::paths::sockets::what_stands_in_the_sockets_place_is_kept_unless_nobody_listens_there",
            "faults::paths::sockets::of_two_that_find_a_stale_socket_one_serves",
            "faults::paths::sockets::a_socket_replaced_under_a_running_daemon_is_not_removed_at_its_end",
        ],
    },
    Fault {
        id: 65,
        fault: "another uid on a socket forced to 0666; a peer from outside of the daemon's user namespace; another uid's daemon \
                where only the environment leads",
        required: "closed, nothing read, a line in the daemon's log; nothing is sent to such a daemon (exit 69)",
        tests: &[
            "faults::paths::strangers::another_user_is_closed_unread_and_noted",
            "faults::paths::strangers::a_user_from_outside_of_the_daemons_user_namespace_is_closed_unread",
            "faults::paths::strangers::nothing_is_sent_to_another_users_daemon_unless_it_is_named",
        ],
    },
    Fault {
        id: 68,
        fault: "umask 000 at start; run as root by mistake",
        required: "files 0600, folders 0700; root is refused (exit 4) unless it is meant",
        tests: &[
            "faults::paths::root::root_is_refused_unless_it_is_meant",
            "faults::paths::root::a_umask_of_nothing_opens_nothing_to_others",
        ],
    },
    Fault {
        id: 69,
        fault: "RLIMIT_NOFILE 64, EMFILE at accept; fewer than it needs to begin",
        required: "RESOURCE_EXHAUSTED and no half started row, processor below 20 %, recovers by itself",
        tests: &[
            "faults::paths::descriptors::with_no_descriptor_left_it_refuses_waits_and_recovers",
            "faults::paths::descriptors::with_too_few_to_begin_with_it_says_so_and_ends",
            "faults::paths::descriptors::with_more_projects_than_descriptors_it_says_that_there_are_too_few",
        ],
    },
    Fault {
        id: 213,
        fault: "a project that is gone is forgotten: with what ended in it kept, moved back instead, the daemon killed at each step",
        required: "no transcript deleted unless that is said; what was cut off is done when asked again; nothing left of it in status",
        tests: &[
            "forget::what_ended_in_a_folder_that_is_gone_goes_only_where_that_is_said",
            "forget::one_that_was_only_moved_loses_nothing",
            "forget::a_daemon_killed_while_it_forgets_is_asked_again",
        ],
    },
    Fault {
        id: 211,
        fault: "the socket of a running daemon, its folder or one above is removed or moved (logout without linger)",
        required: "bound anew by itself, or on HUP where the kernel tells nothing; steroidsctl and a second daemon say so",
        tests: &[
            "faults::paths::sockets::a_daemon_whose_runtime_folder_was_removed_is_reached_again",
            "faults::paths::sockets::a_daemon_that_cannot_know_that_its_socket_is_gone_is_told_by_hup",
            "faults::paths::sockets::what_stands_in_the_place_of_a_lost_socket_is_kept_until_it_goes",
        ],
    },
    Fault {
        id: 225,
        fault: "the state folder of a running daemon, or the lock in it, is deleted; another daemon takes it meanwhile, or serves a copy of it",
        required: "made anew with lock and list of projects; two never share a project: one of both ends, or is refused; no agent is harmed by that",
        tests: &[
            "faults::paths::state::one_that_is_deleted_under_a_daemon_is_made_anew_and_lets_no_second_one_in",
            "faults::paths::state::a_daemon_that_finds_another_in_its_state_folder_ends_and_its_agents_do_not",
            "faults::paths::state::what_runs_is_not_stopped_by_a_daemon_on_a_copy_of_its_state_folder",
        ],
    },
];
