//! Numbered lines, counted as cheaply as can be, since the counting runs on the machine measured.

use std::io::BufRead;

use steroids_proto::v1;
use steroids_proto::v1::follow_request::Selector;
use steroids_tests::Rpc;

/// How many came as they should.
#[derive(Debug, Default)]
pub(crate) struct Count {
    /// Lines with the next number.
    pub(crate) good: u64,
    /// Lines with any other: repeated, or behind a loss.
    pub(crate) wrong: u64,
}

impl Count {
    /// Looks at a line of a log; one without a number counts for nothing.
    pub(crate) fn line(&mut self, line: &[u8]) {
        match number(line) {
            Some(number) if number == self.good + self.wrong + 1 => self.good += 1,
            Some(_) => self.wrong += 1,
            None => {}
        }
    }

    /// How many of so many are missing or not in their place.
    pub(crate) fn lost(&self, all: u64) -> u64 {
        all.saturating_sub(self.good) + self.wrong
    }
}

/// The number in `…"msg":"n 000001 …`.
fn number(line: &[u8]) -> Option<u64> {
    const MARK: &[u8] = b"\"msg\":\"n ";
    // It stands near the beginning, whatever the line's length.
    let head = &line[..line.len().min(120)];
    let at = head.windows(MARK.len()).position(|here| here == MARK)? + MARK.len();
    let digits = head[at..].iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |number, digit| number * 10 + u64::from(digit - b'0')))
}

/// Counts the lines of a log.
pub(crate) fn in_log(log: impl BufRead) -> Count {
    let mut count = Count::default();
    for line in log.split(b'\n') {
        count.line(&line.expect("a log can be read"));
    }
    count
}

/// Follows to the end and counts.
pub(crate) async fn followed(rpc: &Rpc, selector: Selector) -> Count {
    let request = v1::FollowRequest {
        selector: Some(selector),
        after: String::new(),
        follow: true,
        skip_ended: false,
    };
    let answer = rpc.invocations().follow(request).await;
    let mut batches = answer.expect("Follow is served").into_inner();
    let mut count = Count::default();
    while let Some(batch) = batches.message().await.expect("the stream does not break") {
        for event in &batch.events {
            count.line(&event.line);
        }
    }
    count
}
