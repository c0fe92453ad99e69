use super::*;
use crate::domain::Offset;

fn shows(line: &str, text: &str) -> bool {
    Sought::new(text).unwrap().is_in(&Seen {
        bytes: line.as_bytes(),
        first: Offset::START,
        next: Offset::START,
    })
}

#[derive(Deserialize)]
struct Case {
    line: String,
    found: Vec<String>,
    absent: Vec<String>,
}

#[test]
fn what_is_shown_is_found_and_nothing_else() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("../tests/shown.json")).unwrap();
    assert!(cases.len() > 20);
    for Case {
        line,
        found,
        absent,
    } in cases
    {
        for text in found {
            assert!(shows(&line, &text), "{text:?} in {line}");
        }
        for text in absent {
            assert!(!shows(&line, &text), "no {text:?} in {line}");
        }
    }
}

#[test]
fn a_line_that_is_no_object_is_shown_as_it_stands() {
    for line in ["no JSON with a word", "[\"a word\"]", "{\"torn\": \"a word"] {
        assert!(shows(line, "A WORD") && !shows(line, "words"), "{line}");
    }
}

#[test]
fn a_cheap_look_tells_what_a_look_does() {
    use proptest::prelude::*;

    let characters = "(\u{1b}\\[[0-9;]{0,3}m|[abUu{}208$n /\\\\\"\n\r\t\u{1b}\\[m\u{7f}\u{85}\u{a0}\u{200b}\u{2500}\u{feff}\u{61c}\u{e4}é]){0,12}";
    let texts = (characters, "[abUu{}208$n /\\\\\"éä]{1,2}", any::<bool>());
    let mut runner = proptest::test_runner::TestRunner::default();
    runner
        .run(&texts, |(msg, text, is_foreign)| {
            let mut written = Value::from(msg.as_str()).to_string();
            if is_foreign {
                written = written.replace('/', "\\/").replace('é', "\\u00e9");
            }
            let line = format!(
                "{{\"ts\":1,\"type\":\"output\",\"stream\":\"stdout\",\"msg\":{written},\"raw\":1}}"
            );
            let sought = Sought::new(&text).unwrap();
            prop_assert_eq!(
                shows(&line, &text),
                sought.is_in_text(&msg),
                "{:?} in {}",
                text,
                line
            );
            Ok(())
        })
        .unwrap();
}
