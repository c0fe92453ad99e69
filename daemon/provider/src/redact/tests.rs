mod properties;

use serde_json::{Value, json};

use super::*;
use crate::activity::{Foreign, Stamp};
use crate::encode::encode_line;

const KEY: &str = "sesame-0penUp/now+4ever=";
const PLAIN: &str = "[redacted MY_TOKEN]";

fn env(value: &str) -> Vec<(String, String)> {
    vec![
        ("MY_TOKEN".to_owned(), value.to_owned()),
        ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
    ]
}

fn redactor(value: &str, pieces: bool) -> Redactor {
    let env = env(value);
    Redactor::new(&Redaction::of(&env, &[], &[]), &env, pieces)
}

fn text(text: &str) -> Text<'_> {
    Text {
        text: text.into(),
        ..Text::default()
    }
}

fn line(redactor: &mut Redactor, activity: &Activity<'_>) -> String {
    let redacted = redactor.activity(activity);
    let mut out = Vec::new();
    encode_line(
        &mut out,
        Stamp::default(),
        redacted.as_ref().unwrap_or(activity),
    );
    String::from_utf8(out).unwrap()
}

#[test]
fn a_value_is_named_and_everything_else_stays() {
    let redactor = redactor(KEY, false);
    let said = format!("the key is {KEY}, and again: {KEY}");
    assert_eq!(
        redactor.text(&said),
        format!("the key is {PLAIN}, and again: {PLAIN}")
    );
    assert!(matches!(redactor.text("nothing here"), Cow::Borrowed(_)));
}

#[test]
fn tokens_are_known_by_their_shape() {
    let redactor = Redactor::of_shapes();
    let a = |n: usize| "a1B2".repeat(n / 4 + 1)[..n].to_owned();
    for token in [
        format!("sk-ant-api03-{}AA", a(93)),
        format!("sk-proj-{}", a(60)),
        format!("sk-{}", a(48)),
        format!("ghp_{}", a(36)),
        format!("gho_{}", a(36)),
        format!("github_pat_{}_{}", a(22), a(59)),
        format!("glpat-{}", a(20)),
        format!("xoxb-123456789012-1234567890123-{}", a(24)),
        "AKIAIOSFODNN7EXAMPLE".to_owned(),
        format!("AIza{}", a(35)),
        format!("npm_{}", a(36)),
        format!("eyJ{}.eyJ{}.{}", a(30), a(40), a(43)),
    ] {
        for (before, after) in [("", ""), ("key=", "\n"), ("\"", "\"."), ("(", ") ok")] {
            let said = format!("{before}{token}{after}");
            assert_eq!(redactor.text(&said), format!("{before}[redacted]{after}"));
        }
    }
    let header = format!("Authorization: Bearer {}", a(30));
    assert_eq!(redactor.text(&header), "Authorization: Bearer [redacted]");
}

#[test]
fn what_only_begins_like_a_token_stays() {
    let redactor = Redactor::of_shapes();
    for said in [
        "a task-based risk-averse disk-like desk-ant-colony of sk-learn and sk-ant",
        "use sk-ant-... or $ANTHROPIC_API_KEY, ghp_XXXX, AKIA and AIza",
        "Bearer authentication-of-any-kind, Authorization: Bearer $TOKEN",
        "eyJhbGciOiJIUzI1NiJ9 alone, and eyJ.eyJ.x",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "a path C:\\new\\dir, a regex \\d+\\.\\d, an escape \\u0041, …",
        "pip install sk-learn",
        "ls ~/.cache/hf_home",
        "export npm_config",
        "echo sk_test_mode",
    ] {
        assert_eq!(redactor.text(said), said);
        // So long that it may have been cut.
        let said = format!("{}{said}", "x ".repeat(100));
        assert_eq!(redactor.text(&said), said);
    }
}

#[test]
fn a_private_key_goes_in_one_piece_and_line_by_line() {
    let body = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQC7\n";
    let pem = format!("-----BEGIN RSA PRIVATE KEY-----\n{body}-----END RSA PRIVATE KEY-----");
    let mut redactor = Redactor::of_shapes();
    let said = format!("here: {pem} end");
    assert_eq!(redactor.text(&said), "here: [redacted] end");
    let escaped = serde_json::to_string(&said).unwrap();
    assert_eq!(redactor.text(&escaped), "\"here: [redacted] end\"");

    let mut shown = String::new();
    for said in format!("$ cat key\n{pem}\n$ done\nMIIEvQIBADAN").lines() {
        let msg = text(said);
        let stream = Stream::Stdout;
        shown += &line(&mut redactor, &Activity::Output { stream, msg });
    }
    assert!(!shown.contains("MIIEvQIBADANBg"), "{shown}");
    assert!(!shown.contains("BKcwgg"), "{shown}");
    for kept in ["$ cat key", "$ done", "\"MIIEvQIBADAN\""] {
        assert!(shown.contains(kept), "{shown}");
    }
}

#[test]
fn json_stays_json_and_hides_values_in_keys_numbers_and_json_within() {
    let mut redactor = redactor("1234567890", false);
    let inner = json!({"deep": "x 1234567890 y"}).to_string();
    let input = json!({"1234567890": [1_234_567_890, inner], "n": 12}).to_string();
    let activity = Activity::Unknown {
        name: None,
        data: Foreign::Json {
            raw: Cow::Owned(RawValue::from_string(input).unwrap()),
            lossy: false,
        },
    };
    let line: Value = serde_json::from_str(&line(&mut redactor, &activity)).unwrap();
    let inner = json!({"deep": format!("x {PLAIN} y")}).to_string();
    assert_eq!(line["data"], json!({PLAIN: [PLAIN, inner], "n": 12}));
}

#[test]
fn a_piece_of_a_value_is_hidden_where_a_text_was_cut() {
    let redactor = redactor(KEY, false);
    let long = "x ".repeat(200);
    let said = redactor.text(&format!("{}…", &KEY[..12])).into_owned();
    assert_eq!(said, format!("{PLAIN}…"));
    let said = format!("{long}{}", &KEY[..12]);
    assert_eq!(redactor.text(&said), format!("{long}{PLAIN}"));
    let said = format!("{}{long}", &KEY[12..]);
    assert_eq!(redactor.text(&said), format!("{PLAIN}{long}"));
    // Not cut: what stands there is what was said.
    assert_eq!(redactor.text(&KEY[..12]), &KEY[..12]);
    let mut redactor = redactor;
    let msg = Text {
        truncated_bytes: 5,
        ..text(&KEY[..15])
    };
    let stream = Stream::Stderr;
    let shown = line(&mut redactor, &Activity::Output { stream, msg });
    assert!(shown.contains(PLAIN), "{shown}");
}

#[test]
fn a_text_of_beginnings_alone_takes_as_long_as_it_is() {
    for (secret, beginning, shown) in [
        (KEY, "sk-ant-", "[redacted]"),
        (KEY, "-eyJ-eyJ", "-[redacted]"),
        (KEY, "AIza-", "[redacted]"),
        (KEY, "-----BEGIN PRIVATE KEY-----", "[redacted][redacted]"),
        (KEY, "-----BEGIN PRIVATE KEY----- -----END ", "[redacted]"),
        (KEY, "Bearer ", "Bearer Bearer "),
    ] {
        let redactor = redactor(secret, false);
        let many = beginning.repeat((1 << 17) / beginning.len());
        let said = redactor.text(&many);
        assert!(said.starts_with(shown), "{}", &said[..80]);
        let json = RawValue::from_string(format!("[\"{many}\"]")).unwrap();
        assert!(redactor.json(&json).is_some() || beginning == "Bearer ");
    }
    let redactor = redactor(KEY, false);
    let negative = format!("{} ", "-eyJ".repeat(1 << 15));
    assert_eq!(redactor.text(&negative), negative);
    let ends = format!("{}-----END ", "-----BEGIN PRIVATE KEY-----".repeat(1000));
    let ends = format!("{ends}{}", "x ".repeat(1 << 16));
    assert!(redactor.text(&ends).ends_with("x x "));
}

#[test]
fn what_begins_in_a_token_and_goes_on_behind_it_is_hidden_too() {
    let redactor = Redactor::of_shapes();
    let a = "a1B2".repeat(10);
    let said = format!("sk-ant-{a}-eyJ{a}.eyJ{a}.{a} xoxb-{a}-ghp_{a} end");
    assert_eq!(redactor.text(&said), "[redacted] [redacted] end");
}

#[test]
fn an_escape_sequence_is_no_part_of_a_word() {
    let redactor = Redactor::of_shapes();
    let token = format!("sk-ant-{}", "a1B2".repeat(10));
    for before in [
        "\x1b[31m",
        "\x1b[K",
        "\x1b[1;38:5;9m",
        "\x1b[?25h",
        "\x1b(B",
        "\x1bM",
        "\u{9b}1m",
        "[31m",
        "\\x1b[m",
        "\\033[1m",
        "\\e[K",
        "^[[m",
    ] {
        let said = format!("x{before}{token}\x1b[0m");
        assert_eq!(redactor.text(&said), format!("x{before}[redacted]\x1b[0m"));
        let json = serde_json::to_string(&said).unwrap();
        assert!(!redactor.text(&json).contains("sk-ant"), "{json}");
    }
    for before in ["m", "[m", "[x", "\x1b[31mx", "0x1", "3 1m", "x1b[m"] {
        let said = format!("{before}{token}");
        assert_eq!(redactor.text(&said), said);
    }
}

#[test]
fn what_an_address_or_an_object_begins_with_is_no_piece_of_a_secret() {
    let address = "https://deploy:s3cr3t-pass-w0rd@packages.example.com/simple";
    let object =
        r#"{"type":"service_account","project_id":"p","private_key":"0123456789abcdef-key"}"#;
    let header = "Authorization: Bearer abcdefghijklmnop1";
    let short = "postgres://me:pw@db.example.com/app";
    for (value, begins, ends, piece) in [
        (
            address,
            "https://docs.rs ",
            " see packages.example.com/simple",
            "s3cr3t-pass",
        ),
        (
            object,
            r#"{"type":"assistant"} "#,
            r#" "service_account""#,
            "89abcdef-key",
        ),
        (
            header,
            "Authorization: none ",
            " Authorization: Bearer",
            "abcdefghijk",
        ),
        (short, "postgres is up ", " db.example.com/app", ""),
    ] {
        let redactor = redactor(value, false);
        let said = format!("{begins}{}{ends}", "x ".repeat(200));
        assert_eq!(redactor.text(&said), said);
        let json = serde_json::to_string(&json!({ "a": said })).unwrap();
        let json = RawValue::from_string(json).unwrap();
        assert!(redactor.json(&json).is_none(), "{json}");
        assert_eq!(redactor.text(&format!("<{value}>")), format!("<{PLAIN}>"));
        if !piece.is_empty() {
            let said = format!("{}{piece}", "x ".repeat(200));
            assert!(redactor.text(&said).ends_with(PLAIN), "{piece}");
        }
    }
}

#[test]
fn json_shows_no_piece_where_a_string_of_it_was_cut() {
    let redactor = redactor(KEY, false);
    let long = "x ".repeat(200);
    let json =
        |text: String| RawValue::from_string(json!({"n": 1, "a": text, "b": "c"}).to_string());
    let said = redactor.json(&json(format!("{long}{}", &KEY[..12])).unwrap());
    assert_eq!(
        said.unwrap().get(),
        json(format!("{long}{PLAIN}")).unwrap().get()
    );
    let said = redactor.json(&json(format!("x{}… y", &KEY[..12])).unwrap());
    assert_eq!(
        said.unwrap().get(),
        json(format!("x{PLAIN}… y")).unwrap().get()
    );
    for kept in [KEY[..12].to_owned(), long, "… x".to_owned()] {
        assert!(redactor.json(&json(kept).unwrap()).is_none());
    }
}

#[test]
fn further_variables_and_patterns_are_those_of_the_specification() {
    let env = vec![
        ("CORP_LOGIN".to_owned(), "jane.doe.4711".to_owned()),
        ("OTHER".to_owned(), "not so secret".to_owned()),
    ];
    let further = ["CORP_*".to_owned()];
    let redaction = Redaction::of(&env, &further, &[r"corp-\d{4,}".to_owned()]);
    assert_eq!(redaction.variables, ["CORP_LOGIN"]);
    let redactor = Redactor::new(&redaction, &env, false);
    assert_eq!(
        redactor.text("jane.doe.4711 has corp-123456, not so secret"),
        "[redacted CORP_LOGIN] has [redacted], not so secret"
    );
    assert!(check_pattern(r"corp-\d{4,}").is_ok());
    for bad in ["(", "a*", "(?:a{1000}){1000}"] {
        let reason = check_pattern(bad).unwrap_err();
        assert!(!reason.contains('\n') && !reason.is_empty(), "{reason}");
    }
}

#[test]
fn nothing_of_a_redactor_is_shown_for_debugging() {
    assert!(!format!("{:?}", redactor(KEY, false)).contains("sesame"));
}

#[test]
fn evidence_is_redacted_as_what_it_is_and_then_cut() {
    let redactor = redactor(KEY, false);
    // Within JSON a slash may be escaped, and what is cut off must not have hidden the rest.
    let escaped = KEY.replace('/', "\\/");
    let event = format!(r#"{{"a":"{escaped}","b":"{}"}}"#, "x".repeat(10_000));
    let mut verdict = crate::judge::judge(
        &crate::parser::Exit::default(),
        crate::judge::Findings {
            event: Some(event),
            ..Default::default()
        },
    )
    .verdict(None);
    verdict.evidence.stderr = vec![format!("no: {KEY}")];
    redactor.verdict(&mut verdict);
    let event = verdict.evidence.final_event.unwrap();
    assert!(
        event.starts_with(&format!(r#"{{"a":"{PLAIN}","b":"xxx"#)),
        "{event}"
    );
    assert!(event.ends_with(" more bytes]"), "{event}");
    assert_eq!(verdict.evidence.stderr, [format!("no: {PLAIN}")]);
}
