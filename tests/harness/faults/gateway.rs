//! Faults of the part `gateway`.

use super::Fault;

/// By number.
pub(super) const FAULTS: &[Fault] = &[
    Fault {
        id: 54,
        fault: "Host: evil.example, localhost.evil, 127.0.0.1.nip.io, `localhost` with a wrong port, a \
                trailing dot, two Hosts, none, absolute-form mismatch, 0.0.0.0, [::ffff:127.0.0.1], \
                decimal and octal IP",
        required: "403 or 400, and nothing reaches the daemon",
        tests: &[
            "gateway_safety::what_is_refused_never_reaches_the_daemon_and_is_told_in_the_documentation",
        ],
    },
    Fault {
        id: 56,
        fault: "cross-site form POST, `no-cors` fetch, Origin null, Origin of another port, preflight",
        required: "refused, the invocation runs on, no Access-Control header",
        tests: &[
            "gateway_safety::what_is_refused_never_reaches_the_daemon_and_is_told_in_the_documentation",
        ],
    },
    Fault {
        id: 57,
        fault: "no, short, wrong, rotated token; token in the query; one-time code used twice",
        required: "401; never logged",
        tests: &[
            "gateway_safety::what_is_refused_never_reaches_the_daemon_and_is_told_in_the_documentation",
            "gateway_safety::a_code_is_good_once_and_a_new_token_ends_what_the_old_one_opened",
            "gateway_safety::no_secret_is_ever_logged_and_files_are_the_owners",
        ],
    },
    Fault {
        id: 58,
        fault: "heads and bodies that stop half way, 200 idle streams, 17 KiB of headers, 65 headers, a URL of 5 KiB, \
                chunk extensions, Content-Length with Transfer-Encoding, pipelining",
        required: "limits hold, 4xx, others are served",
        tests: &[
            "gateway_limits::heads_and_bodies_over_their_size_are_refused",
            "gateway_limits::a_request_within_a_request_is_never_taken_for_one",
            "gateway_limits::requests_in_one_go_are_answered_in_order_and_none_after_a_refused_one",
            "gateway_limits::who_sends_a_head_byte_by_byte_is_let_go_and_hinders_nobody",
            "gateway_limits::two_hundred_silent_streams_and_one_that_never_reads_keep_nobody_waiting",
        ],
    },
    Fault {
        id: 59,
        fault: "an agent prints `</script>`, forged event-stream lines, CR, ANSI, OSC 52, bidi",
        required: "one event each, inert in the browser, stripped on a terminal",
        tests: &[
            "gateway_stream::text_made_to_break_frames_is_one_event",
            "page::look::what_an_agent_prints_is_text_and_nothing_else",
            "terminal::control_bytes_of_an_agent_do_not_reach_the_terminal",
        ],
    },
    Fault {
        id: 60,
        fault: "somebody on another host connects; `--listen` of an address that others reach",
        required: "connection refused over a veth pair; exit code 78",
        tests: &[
            "faults::gateway::from_another_host_it_cannot_be_reached",
            "gateway_safety::it_listens_to_this_machine_only_and_control_wants_a_token",
        ],
    },
    Fault {
        id: 61,
        fault: "any answer, errors included",
        required: "CSP with frame-ancestors, nosniff, no-referrer, no-store, CORP, COOP",
        tests: &[
            "gateway_safety::what_is_refused_never_reaches_the_daemon_and_is_told_in_the_documentation",
            "gateway_safety::what_is_in_order_is_answered_and_guarded_too",
            "gateway_limits::heads_and_bodies_over_their_size_are_refused",
        ],
    },
    Fault {
        id: 203,
        fault: "a body with a value of the wrong type, a relative project on a stream",
        required: "400 that repeats nothing of the body; streams are told what is wrong",
        tests: &["faults::gateway::what_makes_no_sense_is_a_400_that_repeats_nothing"],
    },
];
