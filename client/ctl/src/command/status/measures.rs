//! What an operator asks first, in lines for a person. A daemon that is too old for it tells nothing.

use steroids_client::v1;

use crate::format;

/// A word, and what there is to say about it.
pub(super) type Line = (&'static str, String);

/// How far behind things are, how much room they take and what was done so far.
pub(super) fn lines(status: &v1::StatusResponse) -> Vec<Line> {
    let lines = [
        status.projection_lag.as_ref().map(projection_lag),
        status
            .stored
            .as_ref()
            .map(|it| stored(it, format::now_ms())),
        status.commits.as_ref().map(commits),
        hooks(&status.hook_queues),
        status.export.as_ref().map(export),
        status.counts.as_ref().map(counts),
    ];
    lines.into_iter().flatten().collect()
}

/// Those that run, and whether somebody should look after them.
pub(super) fn running(status: &v1::StatusResponse) -> String {
    let mut said = format!("{} of at most {}", status.running, status.max_running);
    // As `top` counts them, who calls both so.
    let stalled = match (status.stalled, status.alarmed) {
        (0, 0) => None,
        (1, 0) => Some("1 stalled: a limit is about to end it".to_owned()),
        (0, 1) => Some("1 stalled: something is wrong with it".to_owned()),
        (near, 0) => Some(format!("{near} stalled: a limit is about to end them")),
        (0, wrong) => Some(format!("{wrong} stalled: something is wrong with them")),
        (near, wrong) => Some(format!(
            "{} stalled: a limit is about to end {near}, something is wrong with {wrong}",
            near + wrong
        )),
    };
    let asking = match status.asking {
        0 => None,
        1 => Some("1 waits for a person".to_owned()),
        asking => Some(format!("{asking} wait for a person")),
    };
    for part in [stalled, asking].into_iter().flatten() {
        said.push_str("; ");
        said.push_str(&part);
    }
    said
}

/// Those that wait.
pub(super) fn queued(status: &v1::StatusResponse) -> String {
    let queued = format!("{} of at most {}", status.queued, status.max_queued);
    match status.held {
        0 => queued,
        1 => format!("{queued}; 1 held with its provider"),
        held => format!("{queued}; {held} held with their providers"),
    }
}

/// The open streams, and how far they are behind.
pub(super) fn streams(status: &v1::StatusResponse) -> String {
    let open = status.subscribers.to_string();
    match &status.subscriber_lag {
        Some(lag) if lag.streams > 0 => {
            let bytes = format::bytes(lag.bytes);
            let worst = format::bytes(lag.worst_bytes);
            format!("{open}; {} behind by {bytes}, at most {worst}", lag.streams)
        }
        _ => open,
    }
}

fn projection_lag(lag: &v1::ProjectionLag) -> Line {
    let said = match lag.invocations {
        0 => "up to date with what agents print".to_owned(),
        invocations => format!(
            "{invocations} behind by {}, for {} at most; most: invocation {} of {}",
            format::bytes(lag.bytes),
            format::duration(lag.worst_age_ms),
            lag.worst_invocation,
            lag.worst_project,
        ),
    };
    ("logs", said)
}

fn stored(it: &v1::Stored, now_ms: i64) -> Line {
    let said = format!(
        "{} of transcripts ({}), {} of logs ({}); measured {}",
        format::bytes(it.spool_bytes),
        it.spools,
        format::bytes(it.log_bytes),
        it.logs,
        format::ago(it.measured_at_ms, now_ms),
    );
    ("stored", said)
}

fn commits(it: &v1::CommitLatency) -> Line {
    let said = match it.count {
        0 => "nothing written yet".to_owned(),
        _ => {
            let last = millis(it.last_us);
            let minutes = it.window_seconds / 60;
            let worst = match it.worst_us {
                0 => format!("none in the last {minutes} min"),
                worst => format!("at most {} in the last {minutes} min", millis(worst)),
            };
            format!("last commit {last}, {worst}")
        }
    };
    ("database", said)
}

fn millis(us: i64) -> String {
    if us < 10_000 {
        let tenths = us / 100;
        format!("{}.{} ms", tenths / 10, tenths % 10)
    } else {
        format!("{} ms", us / 1000)
    }
}

/// Those that have nothing to do are not worth a line.
fn hooks(all: &[v1::HookQueue]) -> Option<Line> {
    let busy = all.iter().filter(|it| it.waiting > 0);
    let busy: Vec<_> = busy
        .map(|it| format!("{} ({}): {} waiting", it.name, it.state, it.waiting))
        .collect();
    (!busy.is_empty()).then(|| ("hooks", busy.join("; ")))
}

fn export(it: &v1::Export) -> Line {
    let mut said = format!("{}, spans: {} sent", it.endpoint, it.spans_sent);
    if it.spans_dropped > 0 {
        said.push_str(&format!(", {} dropped", it.spans_dropped));
    }
    if it.failures > 0 {
        said.push_str(&format!("; it {}", it.last_error));
    }
    ("otlp", said)
}

fn counts(it: &v1::Counts) -> Line {
    let started: i64 = it.started.iter().map(|it| it.count).sum();
    let ended: i64 = it.ended.iter().map(|it| it.count).sum();
    let is_good = |it: &&v1::EndedCount| it.outcome == "success";
    let good: i64 = it.ended.iter().filter(is_good).map(|it| it.count).sum();
    let stated: f64 = it.used.iter().map(|it| it.cost_usd).sum();
    let estimated: f64 = it.used.iter().map(|it| it.estimated_usd).sum();
    let mut said = format!("{started} started, {ended} ended ({good} well)");
    if it.adopted > 0 {
        said.push_str(&format!(", {} taken over", it.adopted));
    }
    if stated + estimated > 0.0 {
        let cost = format::cost_of(stated + estimated, estimated > 0.0);
        said.push_str(&format!(", {cost}"));
    }
    ("so far", said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_behind_is_named_and_what_is_not_is_short() {
        let mut lag = v1::ProjectionLag::default();
        assert_eq!(projection_lag(&lag).1, "up to date with what agents print");
        lag.invocations = 2;
        lag.bytes = 3 << 20;
        lag.worst_age_ms = 4000;
        (lag.worst_invocation, lag.worst_project) = (7, "/p".to_owned());
        let (_, said) = projection_lag(&lag);
        assert_eq!(
            said,
            "2 behind by 3.0 MiB, for 4.0 s at most; most: invocation 7 of /p"
        );
    }

    #[test]
    fn one_that_is_held_is_one() {
        let said = |held| {
            queued(&v1::StatusResponse {
                queued: 2,
                max_queued: 9,
                held,
                ..v1::StatusResponse::default()
            })
        };
        assert_eq!(said(0), "2 of at most 9");
        assert_eq!(said(1), "2 of at most 9; 1 held with its provider");
        assert_eq!(said(2), "2 of at most 9; 2 held with their providers");
    }

    #[test]
    fn who_wants_to_be_looked_at_is_counted_by_what_is_the_matter() {
        let said = |stalled, alarmed, asking| {
            let status = v1::StatusResponse {
                running: 5,
                max_running: 8,
                stalled,
                alarmed,
                asking,
                ..v1::StatusResponse::default()
            };
            let said = running(&status);
            said.strip_prefix("5 of at most 8").unwrap().to_owned()
        };
        assert_eq!(said(0, 0, 0), "");
        assert_eq!(said(1, 0, 0), "; 1 stalled: a limit is about to end it");
        assert_eq!(said(0, 2, 0), "; 2 stalled: something is wrong with them");
        assert_eq!(
            said(1, 2, 1),
            "; 3 stalled: a limit is about to end 1, something is wrong with 2; 1 waits for a person"
        );
        assert_eq!(said(0, 0, 2), "; 2 wait for a person");
    }

    #[test]
    fn commits_read_well_at_every_speed() {
        let mut it = v1::CommitLatency {
            window_seconds: 300,
            ..Default::default()
        };
        assert_eq!(commits(&it).1, "nothing written yet");
        (it.count, it.last_us, it.worst_us) = (3, 840, 1_203_000);
        let (_, said) = commits(&it);
        assert_eq!(
            said,
            "last commit 0.8 ms, at most 1203 ms in the last 5 min"
        );
        it.worst_us = 0;
        let (_, said) = commits(&it);
        assert_eq!(said, "last commit 0.8 ms, none in the last 5 min");
    }
}
