//! Numbered lines, counted exactly and as cheaply as can be, since the counting runs on the machine
//! that is measured.

use memchr::memmem;

/// How many came, and how many not as they should.
#[derive(Debug)]
pub(crate) struct Count {
    seen: Vec<u64>,
    highest: u64,
    last: u64,
    /// Different numbers that came.
    pub(crate) good: u64,
    pub(crate) repeated: u64,
    /// For the first time, but behind a higher number.
    pub(crate) disordered: u64,
}

impl Count {
    /// Of lines numbered from 1 to `last`.
    pub(crate) fn up_to(last: u64) -> Count {
        Count {
            seen: vec![0; last as usize / 64 + 1],
            highest: 0,
            last,
            good: 0,
            repeated: 0,
            disordered: 0,
        }
    }

    /// A line of this number has come.
    pub(crate) fn take(&mut self, number: u64) {
        let bit = 1 << (number % 64);
        let seen = self.seen.get_mut(number as usize / 64);
        match seen {
            Some(seen) if number >= 1 && number <= self.last && *seen & bit == 0 => {
                *seen |= bit;
                self.good += 1;
                self.disordered += u64::from(number < self.highest);
                self.highest = self.highest.max(number);
            }
            // One beyond the last was never printed: it is no event of this log.
            _ => self.repeated += 1,
        }
    }

    /// True once all have come.
    pub(crate) fn is_whole(&self) -> bool {
        self.good == self.last
    }

    pub(crate) fn lost(&self) -> u64 {
        self.last - self.good
    }

    /// All that is not as it should be.
    pub(crate) fn wrong(&self) -> u64 {
        self.lost() + self.repeated + self.disordered
    }
}

/// The number, and the stamp if there is one, in `…"msg":"n NUMBER …` or `…"msg":"t NUMBER NANOS…`.
pub(crate) fn number(line: &[u8]) -> Option<(u64, Option<u64>)> {
    const MARK: &[u8] = b"\"msg\":\"";
    // It stands near the beginning, whatever the line's length.
    let head = &line[..line.len().min(300)];
    let at = memmem::find(head, MARK)? + MARK.len();
    let (kind, rest) = (head.get(at)?, head.get(at + 2..)?);
    let (number, rest) = digits(rest)?;
    match kind {
        b'n' => Some((number, None)),
        b't' => Some((number, Some(digits(rest.get(1..)?)?.0))),
        _ => None,
    }
}

fn digits(text: &[u8]) -> Option<(u64, &[u8])> {
    let end = text.iter().position(|byte| !byte.is_ascii_digit())?;
    let (digits, rest) = text.split_at(end);
    let number = digits
        .iter()
        .fold(0_u64, |number, digit| number * 10 + u64::from(digit - b'0'));
    (end > 0).then_some((number, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(last: u64, numbers: &[u64]) -> (u64, u64, u64) {
        let mut count = Count::up_to(last);
        numbers.iter().for_each(|number| count.take(*number));
        (count.lost(), count.repeated, count.disordered)
    }

    #[test]
    fn what_is_missing_twice_there_or_late_is_counted_as_just_that() {
        assert_eq!(counted(4, &[1, 2, 3, 4]), (0, 0, 0));
        assert_eq!(counted(4, &[1, 3, 4]), (1, 0, 0));
        assert_eq!(counted(4, &[1, 2, 2, 3, 4, 1]), (0, 2, 0));
        assert_eq!(counted(4, &[1, 3, 2, 4]), (0, 0, 1));
        assert_eq!(counted(4, &[]), (4, 0, 0));
        assert_eq!(counted(64, &(1..=64).collect::<Vec<_>>()), (0, 0, 0));
    }

    #[test]
    fn a_number_that_was_never_printed_makes_up_for_no_loss() {
        assert_eq!(counted(2, &[1, 3, 0]), (1, 2, 0));
    }

    #[test]
    fn numbers_and_stamps_are_found_in_lines_of_a_log_and_of_a_stream() {
        let numbered =
            br#"{"ts":1,"type":"output","raw":2,"stream":"stdout","msg":"n 000042 xxx"}"#;
        assert_eq!(number(numbered), Some((42, None)));
        let stamped = br#"data: {"invocationId":1,"ts":1,"type":"output","msg":"t 7 1700 xx"}"#;
        assert_eq!(number(stamped), Some((7, Some(1700))));
        for other in [
            &br#"{"ts":1,"type":"start","role":"coder"}"#[..],
            br#"data: {"msg":"t 7"#,
            br#"data: {"msg":"n 7"#,
            br#"{"msg":"no number"}"#,
            br#"{"msg":""}"#,
        ] {
            assert_eq!(number(other), None);
        }
    }
}
