//! What is under way: tool calls without their result, and background tasks without their end.
//! Durations and the time limits live on it.

use crate::bounds::short_id;
use crate::parser::Vitals;

/// Calls and tasks that are remembered. More than a few dozen at a time were never seen; a CLI
/// that never answers for its calls must not fill the memory.
const LIMIT: usize = 1024;

/// What a call's result means for the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Does something: has a tool line, and gets a result line.
    Work,
    /// Changes the plan: has a plan line.
    Plan,
}

/// A call without its result.
#[derive(Debug)]
pub(super) struct Call {
    id: String,
    parent: Option<String>,
    /// Monotonic time at which it began.
    pub(super) began_ms: u64,
    /// What its result means for the log.
    pub(super) purpose: Purpose,
    /// It was asked to go on by itself after its result.
    pub(super) in_background: bool,
    prompt_seen: bool,
}

#[derive(Debug)]
struct Task {
    id: String,
    call: Option<String>,
}

/// Everything that is under way.
#[derive(Debug, Default)]
pub(super) struct Calls {
    open: Vec<Call>,
    tasks: Vec<Task>,
}

// === impl Calls ===

impl Calls {
    /// A call began.
    pub(super) fn begin(
        &mut self,
        id: &str,
        parent: Option<&str>,
        began_ms: u64,
        purpose: Purpose,
        in_background: bool,
    ) {
        if self.open.len() == LIMIT {
            self.open.remove(0);
        }
        self.open.push(Call {
            id: short_id(id).to_owned(),
            parent: parent.map(|parent| short_id(parent).to_owned()),
            began_ms,
            purpose,
            in_background,
            prompt_seen: false,
        });
    }

    /// A call ended. The task of one that did not go into the background ended with it.
    pub(super) fn end(&mut self, id: &str, went_on: bool) -> Option<Call> {
        let id = short_id(id);
        let index = self.open.iter().position(|call| call.id == id)?;
        let call = self.open.remove(index);
        if !went_on && !call.in_background {
            self.tasks.retain(|task| task.call.as_deref() != Some(id));
            self.drop_children(id);
        }
        Some(call)
    }

    /// Whether the result of this call is still to come.
    pub(super) fn is_open(&self, id: &str) -> bool {
        self.open.iter().any(|call| call.id == short_id(id))
    }

    /// Whether it is a call of the main agent's that is open.
    pub(super) fn is_main(&self, id: &str) -> bool {
        let is_it = |call: &&Call| call.id == short_id(id);
        let call = self.open.iter().find(is_it);
        call.is_some_and(|call| call.parent.is_none())
    }

    /// True the first time it is asked for a call that is open: the first text in a subagent is
    /// its prompt.
    pub(super) fn is_prompt(&mut self, id: &str) -> bool {
        self.open
            .iter_mut()
            .find(|call| call.id == short_id(id))
            .is_some_and(|call| !std::mem::replace(&mut call.prompt_seen, true))
    }

    /// A background task began.
    pub(super) fn begin_task(&mut self, id: &str, call: Option<&str>) {
        let id = short_id(id);
        if self.tasks.iter().any(|task| task.id == id) {
            return;
        }
        if self.tasks.len() == LIMIT {
            self.tasks.remove(0);
        }
        self.tasks.push(Task {
            id: id.to_owned(),
            call: call.map(|call| short_id(call).to_owned()),
        });
    }

    /// Whether this task was begun by this call, and has not ended.
    pub(super) fn is_task_of(&self, id: &str, call: &str) -> bool {
        self.tasks
            .iter()
            .any(|task| task.id == short_id(id) && task.call.as_deref() == Some(short_id(call)))
    }

    /// A background task ended, and with it what it had called.
    pub(super) fn end_task(&mut self, id: &str) {
        let Some(index) = self.tasks.iter().position(|task| task.id == short_id(id)) else {
            return;
        };
        if let Some(call) = self.tasks.remove(index).call {
            self.drop_children(&call);
        }
    }

    /// The turn is over: what the main agent had called has no result to come.
    pub(super) fn end_turn(&mut self) {
        self.open.retain(|call| call.parent.is_some());
    }

    /// What the time limits need to know, but for the result.
    pub(super) fn vitals(&self) -> Vitals {
        Vitals {
            open_tools: count(self.open.len()),
            background: count(self.tasks.len()),
            result_seen: false,
        }
    }

    fn drop_children(&mut self, parent: &str) {
        self.open
            .retain(|call| call.parent.as_deref() != Some(parent));
    }
}

fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_ends_with_its_call_unless_it_went_on() {
        let mut calls = Calls::default();
        calls.begin("a", None, 1, Purpose::Work, false);
        calls.begin_task("t", Some("a"));
        calls.begin("inner", Some("a"), 2, Purpose::Work, false);
        assert_eq!(calls.vitals().open_tools, 2);
        assert_eq!(calls.end("a", false).unwrap().began_ms, 1);
        assert_eq!(calls.vitals(), Vitals::default());

        calls.begin("b", None, 1, Purpose::Work, true);
        calls.begin_task("u", Some("b"));
        assert!(calls.end("b", false).is_some());
        assert_eq!(calls.vitals().background, 1);
        calls.end_task("u");
        calls.end_task("u");
        assert_eq!(calls.vitals(), Vitals::default());
    }

    #[test]
    fn a_turn_ends_the_main_agents_calls_only() {
        let mut calls = Calls::default();
        calls.begin("a", None, 1, Purpose::Work, false);
        calls.begin("b", Some("x"), 1, Purpose::Work, false);
        calls.end_turn();
        assert!(!calls.is_open("a") && calls.is_open("b"));
    }

    #[test]
    fn calls_that_never_end_are_forgotten_in_time() {
        let mut calls = Calls::default();
        for i in 0..5000 {
            calls.begin(&i.to_string(), None, 0, Purpose::Work, false);
            calls.begin_task(&i.to_string(), None);
        }
        assert_eq!(calls.vitals().open_tools as usize, LIMIT);
        assert!(calls.end("4999", false).is_some() && calls.end("0", false).is_none());
    }
}
