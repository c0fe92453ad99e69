//! A stand-in for an AI CLI, told what to do by its arguments. It replays recorded runs at their
//! true pace, or misbehaves in one chosen way.
//!
//! ```text
//! fake-provider VERB [WORD…] [--key VALUE]…      (unknown words and keys are passed over)
//! FAKE_PROVIDER='["VERB", …]' fake-provider …    (takes precedence; the arguments are not read)
//! ```
//!
//! The second form lets it stand in for a CLI under that CLI's own default arguments.
//! It writes its pipes directly, one `write` per chunk, so that a test decides what is split where.

mod facts;
mod family;
mod leak;
mod life;
mod lines;
mod options;
mod pipes;
mod puppet;
mod replay;
mod stdin;
mod talk;

use std::process::ExitCode;

use options::{Failure, Options};

const VERBS: &str = "\
replay DIR [--speed X] [--stay]      a recording's chunks at their times, then its exit
numbers --count N [--every-ms M] [--bytes B] [--stderr-every K] [--exit C]
flood --lines N --bytes B            numbered lines as fast as they can be written
split --count N [--stderr-every K]   numbered lines, each in several writes cut at odd places
stamp --count N [--every-ms M]       the wall clock in nanoseconds, once per line
puppet FIFO                          does what each line of FIFO says (see puppet.rs)
facts                                its descriptors, environment, limits and signals as JSON
leak --name VAR [--as claude|gemini] [--stay]   prints a variable in many ways; exits with 3
echo-stdin [--count-only]            its stdin back as lines, then its length
talk [--exit C]                      answers each message on its stdin as claude would
exit C [--line TEXT]                 prints TEXT and exits with C
signal S                             ends itself by signal S
stall                                prints `ready`, then nothing more
ignore-term [--line TEXT]            as stall, with every signal but KILL and STOP held off
stop-self                            prints `ready` and stops itself (SIGSTOP)
close-output --ms M [--exit C]       closes stdout and stderr, lives on for M, exits
grandchild [--ms M] [--setsid] [--ignore-term]  leaves a process that holds stdout and prints
hold-off PROGRAM ARGS                becomes PROGRAM, with every signal held off
tree --count N [--setsid] [--ignore-term]       starts N such processes and stalls";

fn main() -> ExitCode {
    let options = match std::env::var("FAKE_PROVIDER") {
        Ok(words) => Options::from_json(&words),
        Err(_) => Ok(Options::new(std::env::args().skip(1))),
    };
    match options.and_then(|options| run(&options)) {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            pipes::stderr(format!("fake-provider: {failure}\n{VERBS}\n").as_bytes());
            ExitCode::from(64)
        }
    }
}

fn run(options: &Options) -> Result<u8, Failure> {
    match options.verb() {
        "replay" => replay::run(options),
        "numbers" => lines::numbers(options),
        "flood" => lines::flood(options),
        "split" => lines::split(options),
        "stamp" => lines::stamp(options),
        "puppet" => puppet::run(options),
        "facts" => facts::run(),
        "leak" => leak::run(options),
        "echo-stdin" => stdin::run(options),
        "talk" => talk::run(options),
        "exit" => life::exit(options),
        "signal" => life::signal(options),
        "stall" => life::stall(),
        "ignore-term" => life::ignore_term(options),
        "stop-self" => life::stop_self(),
        "close-output" => life::close_output(options),
        "grandchild" => family::grandchild(options),
        "tree" => family::tree(options),
        "hold-off" => life::hold_off(),
        family::HOLD => family::hold(options),
        verb => Err(Failure::new(format!("no verb `{verb}`; there are:"))),
    }
}
