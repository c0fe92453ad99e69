//! The rows: every table, then every key, in the order in which they are shown.

use super::Change::{Gateway, Reload, Restart};
use super::Kind::{
    Choice, Choices, Days, Dollars, Duration, Flag, Inline, Number, Path, Percent, Pointer, Price,
    Secret, Secrets, Share, Size, Tasks, Text, Texts, Tokens, Url, Yes,
};
use super::Preset::{Else, Is, Needed};
use super::{Key, Table};

/// Rows of tables: pattern, sentence.
macro_rules! tables {
    ($( [$path:literal] $doc:literal )*) => {
        &[$( Table { path: $path, doc: $doc }, )*]
    };
}

/// Rows of keys: name, what it holds, default, when a change counts, sentence.
macro_rules! keys {
    ($( [$table:literal] $( $name:literal: $kind:expr, $default:expr, $change:expr, $doc:literal; )* )*) => {
        &[$($( Key { table: $table, name: $name, kind: $kind, default: $default, change: $change, doc: $doc }, )*)*]
    };
}

/// Every table.
pub const TABLES: &[Table] = tables! {
    ["daemon"] "The daemon as a whole."
    ["projects"] "What holds in each project."
    ["queue"] "Starts that wait."
    ["holds"] "A provider whose limit is reached is not started until that is over."
    ["retry"] "Which ends are tried again."
    ["limits"] "Time limits of invocations; each also of a provider, and of a start."
    ["retention"] "What is deleted, and when. What runs, waits or is not yet in its log is never deleted."
    ["redaction"] "Secrets that are kept out of logs, rows and the daemon's own log."
    ["prices.*"] "What models cost whose CLIs do not say it; `*` is a pattern of their names, such as `[prices.\"gpt-5*\"]`."
    ["budget"] "How much may be used; what is not set is not bounded."
    ["resources"] "What an invocation may use of the machine; each also of a provider, and of a start."
    ["providers.*"] "A provider. `claude`, `codex`, `gemini`, `opencode` and `command` are always there; any other name needs a `kind`."
    ["providers.*.retry"] "What is tried again of this provider, in the place of `[retry]`."
    ["providers.*.events[]"] "A rule that tells what lines mean, for kind `jsonl`. Places are JSON pointers."
    ["providers.*.errors"] "How texts begin that mean an outcome, for kind `jsonl`."
    ["hooks[]"] "Who is told of what happens: a command, an HTTP POST, or a notification."
    ["otlp"] "An OpenTelemetry collector that is told of invocations; without an endpoint there is none."
    ["gateway"] "steroids-gateway, which reads this table alone."
};

/// Every key.
pub const KEYS: &[Key] = keys! {
    ["daemon"]
    "socket": Path, Else("`steroidsd.sock` in `$XDG_RUNTIME_DIR/steroids`, or in `run` of the state folder"), Restart, "The gRPC socket; also `--socket`, `STEROIDS_SOCKET`.";
    "state_dir": Path, Else("`$XDG_STATE_HOME/steroids`"), Restart, "What must outlive the daemon; also `--state-dir`, `STEROIDS_STATE_DIR`.";
    "log_level": Text, Is("\"info\""), Reload, "A level (error, warn, info, debug, trace, off), or directives such as `steroidsd=debug,h2=warn`; also `--log-level`.";
    "wakeup_interval": Duration, Is("\"5m\""), Reload, "Between two maintenance passes; `\"\"` makes one on request only.";
    "max_running": Number(1, 10_000), Is("8"), Reload, "Invocations at a time; a start beyond it waits.";
    "min_free": Size, Is("\"200 MiB\""), Reload, "Free space, of the state folder and of the project, below which a start is refused; `\"\"` asks for none.";
    "max_connections": Number(1, 10_000), Is("256"), Restart, "Clients at a time; who comes later can ask, and not follow.";
    "max_streams": Number(1, 10_000), Is("64"), Restart, "Open calls and streams of one connection.";
    "launcher": Choice(&["auto", "fork", "systemd"]), Is("\"auto\""), Restart, "How shims are started.";
    "shim": Path, Else("`steroids-shim` beside steroidsd, else on PATH"), Restart, "The shim's program.";
    "allow_root": Yes, Is("false"), Restart, "Whether it may run as root, as every agent then does; also `--allow-root`, `STEROIDS_ALLOW_ROOT=1`.";

    ["projects"]
    "max_running": Number(1, 10_000), Else("not bounded"), Reload, "Invocations at a time in each project.";

    ["queue"]
    "max": Number(0, 10_000), Is("1000"), Reload, "Starts that may wait; one more is refused.";

    ["holds"]
    "enabled": Yes, Is("true"), Reload, "Whether reached limits hold a provider.";
    "first": Duration, Is("\"1m\""), Reload, "How long, where the provider does not say; doubled with each limit in a row.";
    "most": Duration, Is("\"1h\""), Reload, "The longest hold of that kind.";

    ["retry"]
    "on": Texts, Is("[]"), Reload, "Outcomes that are tried again: any but success and cancelled.";
    "max": Number(0, 100), Is("3"), Reload, "At most so often.";
    "first": Duration, Is("\"10s\""), Reload, "How long after, where no hold says; doubled each time, and twenty times as long where nobody was reached (`unreachable`).";
    "most": Duration, Is("\"1h\""), Reload, "The longest pause.";

    ["limits"]
    "silence": Duration, Is("\"15m\""), Reload, "Without output, of claude, codex and gemini; `\"\"` is no limit. The other kinds have none by default.";
    "tool_silence": Duration, Is("\"2h\""), Reload, "The same while a tool call is open.";
    "wall": Duration, Is("\"\""), Reload, "In all.";
    "post_result": Duration, Is("\"30s\""), Reload, "Without output after the CLI's final result; it is then ended, as a success.";
    "grace": Duration, Is("\"10s\""), Reload, "Between asking to end and killing; at most an hour.";
    "life": Choices(&["tool", "cpu", "disk"]), Is("[\"tool\", \"cpu\", \"disk\"]"), Reload, "What else than output shows that an agent is not stuck.";

    ["retention"]
    "log_days": Days, Is("7"), Reload, "Activity logs of ended invocations, since they were last written; 0 keeps them for ever.";
    "spool_days": Days, Is("7"), Reload, "Raw transcripts, since their invocation ended; 0 keeps them for ever.";
    "max_bytes": Size, Is("\"10 GiB\""), Reload, "All raw transcripts together, the oldest go first; `\"\"` is no bound.";

    "max_log_bytes": Size, Is("\"\""), Reload, "All activity logs together, the oldest go first; `\"\"` is no bound.";
    "max_logs": Number(0, 10_000_000), Is("0"), Reload, "All activity logs together; 0 is no bound.";
    "project_max_log_bytes": Size, Is("\"\""), Reload, "The activity logs of each project; `\"\"` is no bound.";
    "project_max_logs": Number(0, 10_000_000), Is("0"), Reload, "The activity logs of each project; 0 is no bound.";
    "compress_after": Duration, Is("\"\""), Reload, "When an ended invocation's log is compressed, since it was last written; `\"\"` never.";

    ["redaction"]
    "enabled": Yes, Is("true"), Reload, "Whether it is done, for invocations that start from then on.";
    "variables": Texts, Is("[]"), Reload, "Further variables with secrets: `\"CORP_LOGIN\"`, `\"VAULT_*\"`.";
    "patterns": Texts, Is("[]"), Reload, "Further secrets by their shape: regular expressions.";

    ["prices.*"]
    "input": Price, Needed, Reload, "Tokens read.";
    "output": Price, Needed, Reload, "Tokens written.";
    "cached_input": Price, Else("as `input`"), Reload, "Tokens read from a cache.";
    "cache_creation": Price, Else("as `input`"), Reload, "Tokens written to a cache.";

    ["budget"]
    "invocation_usd": Dollars, Else("not bounded"), Reload, "Of one invocation.";
    "invocation_tokens": Tokens, Else("not bounded"), Reload, "Tokens of all kinds of one invocation, also those read from a cache.";
    "task_usd": Dollars, Else("not bounded"), Reload, "Of a task, from its first invocation on.";
    "task_tokens": Tokens, Else("not bounded"), Reload, "Tokens of a task.";
    "day_usd": Dollars, Else("not bounded"), Reload, "Of all projects together, from midnight on.";
    "day_tokens": Tokens, Else("not bounded"), Reload, "Tokens of a day.";
    "on_reached": Choice(&["refuse", "stop"]), Is("\"refuse\""), Reload, "Whether new starts are refused, or also what runs is stopped.";

    ["resources"]
    "memory_max": Size, Else("not bounded"), Reload, "Memory, of the agent and all that it starts; `\"\"` is no bound.";
    "cpu_quota": Percent, Else("not bounded"), Reload, "Processor time, such as `\"150%\"` of one; `\"\"` is no bound.";
    "tasks_max": Tasks, Else("not bounded"), Reload, "Processes and threads, a number; `\"\"` is no bound.";

    ["providers.*"]
    "kind": Choice(&["claude", "codex", "gemini", "opencode", "command", "jsonl"]), Else("its name"), Reload, "Whose arguments and parser it has.";
    "command": Text, Else("the kind's own program"), Reload, "A name on PATH, or a path; kind `jsonl` has none of its own.";
    "model": Text, Else("the CLI's own choice"), Reload, "Where a start names none.";
    "args": Texts, Else("the kind's own arguments"), Reload, "In the place of the default arguments; `{model}`, `{session}` and `{prompt}` are filled in.";
    "extra_args": Texts, Is("[]"), Reload, "After the arguments.";
    "env": Texts, Else("the kind's own list"), Reload, "Variables of the caller that pass, besides PATH, HOME, LANG and the like; in the place of the kind's own list.";
    "silence": Duration, Else("as in `[limits]`, or none by its kind"), Reload, "See `limits.silence`.";
    "tool_silence": Duration, Else("as in `[limits]`"), Reload, "See `limits.tool_silence`.";
    "wall": Duration, Else("as in `[limits]`"), Reload, "See `limits.wall`.";
    "post_result": Duration, Else("as in `[limits]`"), Reload, "See `limits.post_result`.";
    "grace": Duration, Else("as in `[limits]`"), Reload, "See `limits.grace`.";
    "max_running": Number(1, 10_000), Else("not bounded"), Reload, "Invocations of this provider at a time, in all projects.";
    "hold": Yes, Else("as `holds.enabled`"), Reload, "Whether its limits hold it.";
    "life": Choices(&["tool", "cpu", "disk"]), Else("as in `[limits]`"), Reload, "See `limits.life`.";
    "memory_max": Size, Else("as in `[resources]`"), Reload, "See `resources.memory_max`.";
    "cpu_quota": Percent, Else("as in `[resources]`"), Reload, "See `resources.cpu_quota`.";
    "tasks_max": Tasks, Else("as in `[resources]`"), Reload, "See `resources.tasks_max`.";

    ["providers.*.retry"]
    "on": Texts, Is("[]"), Reload, "See `retry.on`.";
    "max": Number(0, 100), Is("3"), Reload, "See `retry.max`.";

    ["providers.*.events[]"]
    "when": Inline, Else("it applies to each line"), Reload, "Conditions: places, and the text, whole number, true or false of which one must stand there.";
    "each": Pointer, Else("the line itself"), Reload, "A list; the rule is applied to each of its elements.";
    "is_error": Flag, Else("nothing went wrong"), Reload, "Whether it tells of something that went wrong.";
    "final": Yes, Is("false"), Reload, "It is the run's last event.";
    "delta": Yes, Is("false"), Reload, "The text is a fragment, to be joined with the next.";
    "total": Yes, Is("false"), Reload, "The counts are those of the whole run so far.";
    "input_with_cached": Yes, Is("false"), Reload, "The count of input has what was cached in it.";
    "ignore": Yes, Is("false"), Reload, "These lines are not shown.";
    "session": Pointer, Else("none"), Reload, "What takes the session up again.";
    "text": Pointer, Else("none"), Reload, "Words of the assistant.";
    "thinking": Pointer, Else("none"), Reload, "Reasoning.";
    "notice": Pointer, Else("none"), Reload, "Anything else a person may want to read.";
    "tool": Pointer, Else("none"), Reload, "A tool's name.";
    "command": Pointer, Else("none"), Reload, "What a person wants to read of a call.";
    "input": Pointer, Else("none"), Reload, "A call's arguments.";
    "call": Pointer, Else("none"), Reload, "A call's id.";
    "result": Pointer, Else("none"), Reload, "What a call answered.";
    "exit_code": Pointer, Else("none"), Reload, "Exit code of a shell command.";
    "error": Pointer, Else("none"), Reload, "What went wrong.";
    "error_code": Pointer, Else("none"), Reload, "The kind of it: an HTTP status, or a word.";
    "resets_at": Pointer, Else("none"), Reload, "When the limit goes away that it tells of.";
    "answer": Pointer, Else("none"), Reload, "The final answer.";
    "input_tokens": Pointer, Else("none"), Reload, "Tokens read.";
    "output_tokens": Pointer, Else("none"), Reload, "Tokens written.";
    "cached_tokens": Pointer, Else("none"), Reload, "Tokens read from a cache.";
    "cache_write_tokens": Pointer, Else("none"), Reload, "Tokens written to a cache.";
    "cost": Pointer, Else("none"), Reload, "Cost in US dollars.";

    ["providers.*.errors"]
    "rate_limited": Texts, Else("none"), Reload, "A limit that goes away by itself.";
    "credit_exhausted": Texts, Else("none"), Reload, "A limit that does not.";
    "auth": Texts, Else("none"), Reload, "Missing or refused credentials.";
    "context_exceeded": Texts, Else("none"), Reload, "Too long a context.";
    "model_not_found": Texts, Else("none"), Reload, "A model that does not exist.";
    "overloaded": Texts, Else("none"), Reload, "A provider that is overloaded.";

    ["hooks[]"]
    "name": Text, Needed, Restart, "Names it in `steroidsctl hooks` and in the log.";
    "on": Texts, Else("needed, but for a notification"), Restart, "The events it is for, or `any`.";
    "outcome": Texts, Else("any; of a notification `[\"!success\"]`"), Restart, "Only ends with such an outcome; with `!` all but that.";
    "project": Texts, Else("any"), Restart, "Only of these projects; patterns of their paths.";
    "provider": Texts, Else("any"), Restart, "Only of these providers; patterns.";
    "task": Texts, Else("any"), Restart, "Only of these tasks; patterns.";
    "command": Texts, Else("one of command, url and notify"), Restart, "A program and its arguments.";
    "env": Texts, Is("[]"), Restart, "Variables of the daemon that the command gets.";
    "url": Url, Else("one of command, url and notify"), Restart, "Where it is posted to.";
    "secret": Secret, Else("not signed"), Restart, "What a POST is signed with.";
    "secret_file": Path, Else("none"), Restart, "A file whose first line is the secret.";
    "headers": Secrets, Is("{}"), Restart, "Further headers of a POST.";
    "notify": Yes, Is("false"), Restart, "A notification on the desktop.";
    "timeout": Duration, Is("\"10s\""), Restart, "Of one attempt; from 100ms to 5m.";
    "retries": Number(0, 100), Is("8"), Restart, "Further attempts.";
    "retry_after": Duration, Is("\"1s\""), Restart, "The first pause between two; doubled each time.";
    "max_age": Duration, Is("\"1h\""), Restart, "Older events are passed over.";

    ["otlp"]
    "endpoint": Url, Else("nobody is told"), Restart, "The collector's address, to which `/v1/traces` and `/v1/metrics` are appended.";
    "headers": Secrets, Is("{}"), Restart, "Further headers of each request.";
    "headers_file": Path, Else("none"), Restart, "A file with further headers, one a line: `Authorization: Bearer …`.";
    "interval": Duration, Is("\"60s\""), Restart, "Between two reports of metrics; from 1s to 1h.";
    "timeout": Duration, Is("\"10s\""), Restart, "Of one request; from 100ms to 60s.";
    "sample": Share, Is("1.0"), Restart, "The share of invocations whose spans are sent.";
    "content": Yes, Is("false"), Restart, "Whether it is sent, too, what tools were called with and said, and why invocations failed; prompts and answers never are.";

    ["gateway"]
    "listen": Text, Is("\"127.0.0.1:3501\""), Gateway, "Where it listens, on this machine only; port 0 takes a free one.";
    "auth": Choice(&["token", "none"]), Is("\"token\""), Gateway, "Whether a token is asked for; without one everything is read-only.";
    "control": Yes, Is("false"), Gateway, "Lets browsers start and stop invocations, and send to them; never without a token.";
    "max_streams": Number(1, 100_000), Is("1000"), Gateway, "Streams at a time; further ones get 429.";
    "allowed_hosts": Texts, Is("[]"), Gateway, "Further names in `Host`, behind a reverse proxy or ssh -L; never without a token.";
};
