//! Output of any bytes: each line is one line of JSON, and the bytes themselves are in the spool.

use std::fs;

use serde_json::Value;
use steroids_shim::spool::{Payload, Reader};
use steroids_tests::faults::held;
use steroids_tests::{Daemon, Home, assert_undisturbed, log, rpc};

/// Lines as a program might print them, and what becomes of them: a text, or `None` where it has
/// to be marked as lossy.
const LINES: [(&[u8], Option<&str>); 12] = [
    (b"\xef\xbb\xbfwith a BOM", Some("\u{feff}with a BOM")),
    (b"NUL \0 and BEL \x07", Some("NUL \0 and BEL \x07")),
    (b"invalid \xff\xfe here", None),
    (b"cut off \xf0\x9f\xa6", None),
    (b"overlong \xc0\xaf, surrogate \xed\xa0\x80", None),
    (
        b"\xe2\x80\xa8 and \xe2\x80\xa9 end no line",
        Some("\u{2028} and \u{2029} end no line"),
    ),
    (b"\xc2\x85 NEL", Some("\u{85} NEL")),
    (
        b"\x1b[31mred\x1b[0m \x1b]52;c;aGk=\x07",
        Some("\x1b[31mred\x1b[0m \x1b]52;c;aGk=\x07"),
    ),
    (b"\x7f\xc2\x9b31m", Some("\x7f\u{9b}31m")),
    (
        b"\"quoted\" \\ and {\"type\":\"complete\"}",
        Some("\"quoted\" \\ and {\"type\":\"complete\"}"),
    ),
    ("ä🦀 \u{202e}olleh".as_bytes(), Some("ä🦀 \u{202e}olleh")),
    (b"the last", Some("the last")),
];

/// What the provider printed on stdout, out of its spool.
fn spooled(home: &Home, uuid: &str) -> Vec<u8> {
    let mut reader = Reader::open(&home.invocation_dir(uuid).join("spool")).unwrap();
    let mut all = Vec::new();
    while let Some(record) = reader.next().unwrap() {
        if let Payload::Output { bytes, .. } = record.payload {
            all.extend_from_slice(bytes);
        }
    }
    all
}

#[tokio::test]
async fn lines_of_any_bytes_are_one_line_of_json_each_and_kept_as_they_were() {
    let home = Home::new();
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let printed = home.path("tmp/printed");
    let mut bytes: Vec<u8> = LINES
        .iter()
        .flat_map(|(line, _)| [line, &b"\n"[..]].concat())
        .collect();
    bytes.extend_from_slice(
        b"ends in CR LF\r\nprogress 1\rprogress 2\rdone\nno newline at the end \xff",
    );
    fs::write(&printed, &bytes).unwrap();
    let argv = vec!["/bin/cat".to_owned(), printed.display().to_string()];
    let request = rpc::command(&ctl.project(), "T1", argv);
    let started = rpc.start(request).await.unwrap();
    let ended = rpc.ended(&ctl.project(), started.id).await;
    let selector = rpc::invocation(&ctl.project(), ended.id);
    let followed = rpc.follow(selector, "", true).await.rest().await.unwrap();
    let on_disk = fs::read(ctl.log_path(ended.id)).unwrap();
    assert_eq!(rpc::bytes(&followed), on_disk);
    assert_undisturbed(&ctl, &ended);
    // Not one that JSON forbids, nor an end of line within one.
    let text = String::from_utf8(on_disk).unwrap();
    assert!(!text.contains(|c: char| c != '\n' && c < ' '), "{text:?}");
    let lines = log::lines(&ctl.log_path(ended.id));
    let output: Vec<&Value> = lines
        .iter()
        .filter(|line| line["type"] == "output")
        .collect();
    assert!(output.len() > LINES.len(), "{output:#?}");
    for ((line, expected), found) in LINES.iter().zip(&output) {
        match expected {
            Some(expected) => assert_eq!(found["msg"], *expected, "{found}"),
            None => {
                assert_eq!(found["lossy"], true, "{found} of {line:?}");
                assert!(
                    found["msg"].as_str().unwrap().contains('\u{fffd}'),
                    "{found}"
                );
            }
        }
        // From `raw` in the log to the bytes in the spool: it is where the line ends.
        let raw = usize::try_from(found["raw"].as_u64().unwrap()).unwrap();
        let spool = fs::read(home.invocation_dir(&ended.uuid).join("spool")).unwrap();
        let line = [line, &b"\n"[..]].concat();
        assert!(spool[..=raw].ends_with(&line), "{found}");
    }
    assert!(
        spooled(&home, &ended.uuid) == bytes,
        "the spool is not what was printed"
    );
    let seen = format!(
        "{} lines of hard bytes, each one line of JSON; the spool has all {} bytes",
        output.len(),
        bytes.len()
    );
    held(30, seen);
}

#[tokio::test]
async fn json_with_lone_surrogates_and_noise_between_is_kept_line_by_line() {
    let home = Home::new();
    // What a CLI of JSON lines prints on a bad day.
    let printed = concat!(
        "\u{feff}",
        r#"{"type":"system","subtype":"init","session_id":"s1","cwd":"/","tools":[],"model":"m"}"#,
        "\n",
        r#"{"type":"assistant","message":{"id":"m1","content":[{"type":"text","text":"half \ud83d a crab, \udc00 and \u0000"}]}}"#,
        "\r\n",
        "\u{2028}{\"type\":\"nonsense\",\"deep\":\"\\ud800\"}\n",
        r#"{"type":"result","subtype":"success","is_error":false,"result":"done \udfff","session_id":"s1"}"#,
        "\n",
    );
    fs::write(home.path("tmp/printed"), printed).unwrap();
    let script = format!(
        "#!/bin/sh\ncat > /dev/null\ncat {}\n",
        home.path("tmp/printed").display()
    );
    let program = home.script("claude", &script);
    home.configure(&format!("[providers.claude]\ncommand = {program:?}"));
    let daemon = Daemon::start(&home).await;
    let ctl = daemon.project("app").await;
    let rpc = daemon.rpc().await;
    let started = rpc.start_as(&ctl.project(), "T1", "claude", &[]).await;
    let ended = rpc.ended(&ctl.project(), started.id).await;
    assert_eq!(ended.outcome, "success", "{ended:?}");
    let lines = log::lines(&ctl.log_path(ended.id));
    let said = log::messages(&lines, "output");
    assert!(said.iter().any(|msg| msg.contains("a crab")), "{lines:#?}");
    let lossy = lines.iter().filter(|line| line["lossy"] == true).count();
    assert_eq!(lossy, 2, "{lines:#?}");
    assert!(
        said.iter().any(|msg| msg.contains("nonsense")),
        "{lines:#?}"
    );
    assert_undisturbed(&ctl, &ended);
    assert!(spooled(&home, &ended.uuid) == printed.as_bytes());
    let seen = format!("lone surrogates, a BOM and NULs in JSON: {said:?}");
    held(30, seen);
}
