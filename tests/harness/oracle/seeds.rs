//! What fuzzing begins with: the recordings of the real CLIs, what the shim and the daemon make of
//! them, and a few texts of each kind written by hand.

use steroids_provider::activity::Stream;
use steroids_provider::kind::{Format, Kind};

use super::script::{OTHER_PIPE, REPEAT};
use crate::recording::{self, Recording};

/// Beyond this a seed costs more time than it finds.
const LONGEST: usize = 4 * 1024;

const CURSORS: &[&str] = &[
    "12:0:4096",
    "1:4294967295:18446744073709551615",
    "7:2s-k3f9:0",
    "w1.4z8k.c",
    "w1.4z8k.c.b:0:35s",
    "w1.1.zz.1:0:0.2:1:a.3:1y-9z:zz",
    "a1",
    "a1_1.0",
    "a1_1.2.1:0:0_2.5.3:2:z.5:a-b:c_3.0",
];

const CONFIGS: &[&str] = &[
    "[daemon]\nsocket = \"/run/s\"\nstate_dir = \"/s\"\nlog_level = \"steroidsd=debug,h2=warn\"\nwakeup_interval = \"5m\"\nmax_running = 4\nmax_connections = 0x20\nmax_streams = 1_000\nlauncher = \"fork\"\nshim = \"/bin/shim\"\n",
    "[limits]\nsilence = \"\"\ntool_silence = \"1h 30m\"\nwall = \"2h\"\npost_result = \"90s\"\ngrace = \"0s\"\n",
    "[retention]\nlog_days = 0\nspool_days = 7\nmax_bytes = \"10 GiB\"\n",
    "[providers.claude]\nmodel = \"m\"\nargs = [\"-p\"]\nextra_args = []\nenv = [\"FOO_*\", 'BAR']\n[providers.mine]\nkind = \"command\"\ncommand = \"x\"\nsilence = \"1ms\"\n",
    "[projects]\nmax_running = 2\n[queue]\nmax = 0\n[holds]\nenabled = false\nfirst = \"1s\"\n[retry]\non = [\"overloaded\"]\nmax = 100\n[providers.codex]\nmax_running = 1\nretry = {on = [], max = 0}\n",
    "[gateway]\nlisten = \"[::1]:4000\"\nauth = \"none\"\ncontrol = false\nmax_streams = 7\nallowed_hosts = [\"a.example\"]\n",
    "daemon.max_runing = 2\n",
    "gateway = 1\nproviders = {claude = {kind = 3.5}}\n",
    "\"\" = \"\"\"\nx\"\"\"\n[[gateway]]\n",
];

const LINES: &[(u8, &str)] = &[
    (0, r#"{"v":1,"op":"hello"}"#),
    (0, r#"{"v":1,"op":"stop","grace_ms":10000}"#),
    (
        0,
        r#"{"v":1,"op":"hello","proto":1,"uuid":"u","shim_pid":7,"agent_pid":8}"#,
    ),
    (
        0,
        r#"{"v":1,"op":"stat","phase":"running","spool":1,"waiting":2,"paused":false,"trouble":"x","quiet_ms":3}"#,
    ),
    (0, r#"{"spool":4096}"#),
    (0, r#"{"v":1,"op":"ending","what":"draining"}"#),
    (
        1,
        r#"{"proto":1,"end":{"kind":"ran","code":0,"signal":null,"ended_by":"post_result","duration_ms":1,"leftovers":0},"ended_ms":1,"spool_length":0,"rusage":{"user_us":1,"system_us":2,"max_rss_kib":3}}"#,
    ),
    (
        1,
        r#"{"proto":1,"end":{"kind":"ran","code":null,"signal":15,"ended_by":null,"duration_ms":1,"leftovers":0},"ended_ms":1,"spool_length":0,"rusage":null}"#,
    ),
    (
        1,
        r#"{"proto":1,"end":{"kind":"lost","error":"host restarted"},"ended_ms":1,"spool_length":0,"rusage":null}"#,
    ),
    (
        1,
        r#"{"proto":1,"end":{"kind":"never_started","error":"x"},"ended_ms":1,"spool_length":0,"rusage":null}"#,
    ),
    (
        2,
        r#"{"proto":1,"shim_pid":1,"shim_start_ticks":2,"agent_pid":3,"agent_start_ticks":4,"boot_id":"b","cgroup":"/c"}"#,
    ),
    (
        3,
        r#"{"proto":1,"uuid":"u","invocation":1,"project":"/p","task":"t","role":"r","provider":"claude","kind":"claude","format":"json","model":"","resume":null,"request_id":"","request_hash":"","argv":["/x"],"env":[["A","b"]],"cwd":"/","prompt":"","interactive":false,"leave_background":false,"limits":{"silence_ms":1,"tool_silence_ms":null,"wall_ms":null,"post_result_ms":null,"grace_ms":1},"created_ms":1,"boot_id":"","socket":"/s"}"#,
    ),
];

/// The seeds of an oracle: a name for each, and its bytes.
///
/// # Errors
/// When a recording cannot be read.
pub fn of(oracle: &str) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let texts = |texts: &[&str]| {
        let named = texts.iter().enumerate();
        named
            .map(|(n, text)| (format!("text-{n}"), text.as_bytes().to_vec()))
            .collect()
    };
    Ok(match oracle {
        "provider" => of_recordings(with_limits)?,
        "spool" => of_recordings(|it| vec![spool(it, &[]), spool(it, &edit(it))])?,
        "recovery" => of_recordings(recovery)?,
        "cursor" => {
            let mut seeds: Vec<_> = texts(CURSORS);
            for (_, seed) in &mut seeds {
                seed.insert(0, 0);
            }
            // Numbers rather than a text: as few as can be, and as many.
            seeds.push(("small".to_owned(), vec![1; 40]));
            seeds.push(("large".to_owned(), [[1].as_slice(), &[0xff; 900]].concat()));
            seeds
        }
        "config" => texts(CONFIGS),
        "protocol" => {
            let mut seeds = texts(&LINES.iter().map(|(_, text)| *text).collect::<Vec<_>>());
            for ((_, seed), (which, _)) in seeds.iter_mut().zip(LINES) {
                seed.insert(0, *which);
            }
            seeds
        }
        _ => anyhow::bail!("there is no oracle called {oracle}"),
    })
}

fn of_recordings(
    make: impl Fn(&Recording) -> Vec<Vec<u8>>,
) -> anyhow::Result<Vec<(String, Vec<u8>)>> {
    let mut seeds = Vec::new();
    for recording in recording::all()? {
        for (n, mut seed) in make(&recording).into_iter().enumerate() {
            seed.truncate(LONGEST);
            seeds.push((format!("{}-{n}", recording.name.replace('/', "-")), seed));
        }
    }
    Ok(seeds)
}

/// What was printed, as a script says it.
fn printed(recording: &Recording) -> Vec<u8> {
    let mut script = Vec::new();
    let mut now = Stream::Stdout;
    for chunk in &recording.chunks {
        if chunk.stream != now {
            script.push(OTHER_PIPE);
            now = chunk.stream;
        }
        let plain = |byte: &&u8| **byte != OTHER_PIPE && **byte != REPEAT;
        script.extend(chunk.bytes.iter().filter(plain));
    }
    script
}

fn kind(recording: &Recording) -> u8 {
    let found = Kind::ALL.iter().position(|kind| *kind == recording.kind);
    found.map_or(0, |at| at as u8)
}

fn provider(recording: &Recording) -> Vec<u8> {
    let text = u8::from(recording.format == Format::Text);
    let resumed = if recording.run.resumed { 0x10 } else { 0 };
    let what = (kind(recording) * 2) | text | resumed | 0x20;
    let exit = recording.exit.code.unwrap_or(5) as u8 % 8;
    let mut seed = vec![what, exit, 1, 2];
    seed.extend(printed(recording));
    seed
}

/// As it is, and some with a part repeated beyond the longest text.
fn with_limits(recording: &Recording) -> Vec<Vec<u8>> {
    let seed = provider(recording);
    let mut seeds = vec![seed.clone()];
    if recording.name.ends_with("/tools") || recording.name.ends_with("/text-mode") {
        let mut long = seed;
        let at = long.len().min(600);
        long.splice(at..at, [REPEAT, 0xff, 0xff].repeat(5));
        seeds.push(long);
    }
    seeds
}

/// A change to the file that is made, another one for each recording.
fn edit(recording: &Recording) -> [u8; 4] {
    let number = recording.name.bytes().fold(0_u16, |sum, byte| {
        sum.wrapping_mul(31).wrapping_add(byte.into())
    });
    let [low, high] = number.to_le_bytes();
    [(number % 6) as u8, low, high, low | 1]
}

fn spool(recording: &Recording, edit: &[u8]) -> Vec<u8> {
    let mut seed = vec![2 | edit.len() as u8];
    seed.extend(edit);
    seed.extend([1, 2]);
    for (n, chunk) in recording.chunks.iter().enumerate() {
        let stream = u8::from(chunk.stream == Stream::Stderr);
        for piece in chunk.bytes.chunks(31 * 50).take(3) {
            let whole = (piece.len() / 50).max(1);
            seed.extend([(whole as u8) << 3 | 4 | stream, n as u8, 0]);
            seed.extend(piece.iter().take(whole * 50));
        }
        seed.extend([0b100_1010 | (n as u8 & 1), n as u8, 1]);
        seed.extend(b"a message");
    }
    seed
}

/// The log alone, and the whole way to it.
fn recovery(recording: &Recording) -> Vec<Vec<u8>> {
    let mut log = vec![0];
    let replayed = recording.replay().log.into_bytes();
    let beginning = replayed.len().saturating_sub(LONGEST - 1);
    log.extend(&replayed[beginning..]);
    let text = if recording.format == Format::Text {
        4
    } else {
        0
    };
    let mut way = vec![8 | text | kind(recording), 1];
    way.extend(edit(recording));
    way.extend(printed(recording));
    vec![log, way]
}
