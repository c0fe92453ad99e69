use super::*;

fn run(project: &str, name: &str, tokens: u64) -> Run {
    Run {
        project: PathBuf::from(project),
        name: name.to_owned(),
        tokens,
        cost_usd: 0.5,
        is_open: false,
    }
}

fn open(project: &str, name: &str, tokens: u64) -> Run {
    Run {
        is_open: true,
        ..run(project, name, tokens)
    }
}

#[test]
fn each_run_counts_once_wherever_its_row_is() {
    let known = || vec![run("/a", "1", 300), run("/b", "2", 400), run("/b", "3", 5)];
    let of = |there| {
        let day = Day::of(there, Vec::new(), known());
        (day.total().all_tokens(), day.away.len())
    };
    // All away, two of them of one path.
    assert_eq!(of(Vec::new()), (705, 3));
    // Swapped.
    let swapped = vec![run("/b", "1", 300), run("/a", "2", 400), run("/a", "3", 5)];
    assert_eq!(of(swapped), (705, 0));
    // Another project has the path of one that is away.
    assert_eq!(of(vec![run("/a", "2", 400), run("/a", "3", 5)]), (705, 1));
    // Made anew, with more, and one of its rows back with what it has used by now.
    assert_eq!(of(vec![run("/a", "9", 1), run("/a", "1", 310)]), (716, 2));
    // In a copy, too.
    let copied = [known(), vec![run("/copy", "1", 300)]].concat();
    assert_eq!(of(copied), (705, 0));
}

#[test]
fn one_that_runs_counts_as_much_as_was_ever_known_of_it_until_it_has_ended() {
    let total = |ended, running| {
        let day = Day::of(ended, running, vec![open("/a", "1", 150)]);
        (day.total().all_tokens(), day.total().cost_usd)
    };
    assert_eq!(total(vec![], vec![open("/a", "1", 20)]), (150, 0.5));
    assert_eq!(total(vec![], vec![open("/moved", "1", 170)]), (170, 0.5));
    assert_eq!(total(vec![], vec![]), (150, 0.5));
    let ended = vec![run("/a", "1", 140)];
    assert_eq!(total(ended, vec![open("/a", "1", 170)]), (140, 0.5));
}

#[test]
fn what_an_older_daemon_has_written_is_read_and_what_it_needs_is_written() {
    let older = r#"{"day":7,"used":[{"project":"/a","uuid":"u","tokens":5,"costUsd":0.5}]}"#;
    let contents: Contents = serde_json::from_str(older).unwrap();
    assert_eq!((contents.used[0].tokens, contents.runs.len()), (5, 0));
    let written = serde_json::to_value(Contents::default()).unwrap();
    assert_eq!(written["used"], serde_json::json!([]));
}
