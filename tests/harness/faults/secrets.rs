//! Faults of the part `secrets`.

use super::Fault;

/// By number.
pub(super) const FAULTS: &[Fault] = &[
    Fault {
        id: 67,
        fault: "a provider prints a secret variable: split over reads and lines, escaped, in JSON \
                within JSON, in argv, as its error, as its last half line; a launch quotes it",
        required: "absent from logs, rows, answers and own logs; only spool, specification \
                   and exit record have it, 0600",
        tests: &["faults::secrets::a_provider_that_prints_its_secrets_shows_them_to_nobody"],
    },
    Fault {
        id: 201,
        fault: "kill -9 of the daemon while a provider prints a secret, in between with another \
                configuration of what is secret",
        required: "the log is the one its spool and specification give, byte for byte, without a gap",
        tests: &["faults::secrets::a_log_without_secrets_is_the_same_after_a_crash"],
    },
    Fault {
        id: 202,
        fault: "a pattern of the configuration is no regular expression, or matches everything",
        required: "exit code 78 that names key and reason",
        tests: &["faults::secrets::a_pattern_that_makes_no_sense_is_a_configuration_error"],
    },
];
