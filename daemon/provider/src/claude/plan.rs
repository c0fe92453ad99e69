//! The plan, as the todo tools leave it: `TodoWrite` gives all of it each time, `TaskCreate` and
//! `TaskUpdate` change one item. An item's number is known only from the result of its creation.

use crate::activity::{PlanItem, PlanStatus};
use crate::json::Object;

/// Items that are kept; a plan is for reading.
const LIMIT: usize = 500;

/// Of an item's text, how much is kept.
const TEXT_LIMIT: usize = 2000;

#[derive(Debug)]
struct Entry {
    call: String,
    number: Option<String>,
    item: PlanItem,
}

/// The plan.
#[derive(Debug, Default)]
pub(super) struct Plan {
    entries: Vec<Entry>,
}

impl Plan {
    /// Takes a call that changes the plan; false if this is none.
    pub(super) fn call(&mut self, name: &str, call: &str, input: &Object<'_>) -> bool {
        match name {
            "TodoWrite" => self.replace(input),
            "TaskCreate" => self.create(call, input),
            "TaskUpdate" => self.update(input),
            _ => false,
        }
    }

    /// Takes the result of such a call. True if it changed the plan again.
    pub(super) fn result(&mut self, call: &str, ok: bool, result: &Object<'_>) -> bool {
        let Some(index) = self.entries.iter().position(|entry| entry.call == call) else {
            return false;
        };
        if !ok {
            self.entries.remove(index);
            return true;
        }
        let number = result.object("task").and_then(|task| task.str("id"));
        self.entries[index].number = number.map(|number| short(&number));
        self.entries[index].call.clear();
        false
    }

    /// All items.
    pub(super) fn items(&self) -> Vec<PlanItem> {
        self.entries
            .iter()
            .map(|entry| entry.item.clone())
            .collect()
    }

    fn replace(&mut self, input: &Object<'_>) -> bool {
        let mut entries = Vec::new();
        let is_list = input.each_object("todos", |todo| {
            if entries.len() < LIMIT {
                let text = todo.str("content").or_else(|| todo.str("subject"));
                entries.push(Entry {
                    call: String::new(),
                    number: None,
                    item: PlanItem {
                        text: short(&text.unwrap_or_default()),
                        status: status(&todo).unwrap_or(PlanStatus::Pending),
                    },
                });
            }
        });
        if is_list {
            self.entries = entries;
        }
        is_list
    }

    fn create(&mut self, call: &str, input: &Object<'_>) -> bool {
        let Some(subject) = input.str("subject") else {
            return false;
        };
        if self.entries.len() < LIMIT {
            self.entries.push(Entry {
                call: call.to_owned(),
                number: None,
                item: PlanItem {
                    text: short(&subject),
                    status: PlanStatus::Pending,
                },
            });
        }
        true
    }

    fn update(&mut self, input: &Object<'_>) -> bool {
        let Some(number) = input.str("taskId") else {
            return false;
        };
        let index = self
            .entries
            .iter()
            .position(|entry| entry.number.as_deref() == Some(&*number));
        if input.str("status").as_deref() == Some("deleted") {
            index.map(|index| self.entries.remove(index));
            return true;
        }
        let index = match index {
            Some(index) => index,
            None if self.entries.len() == LIMIT => return true,
            // Created in an earlier run of the session.
            None => {
                self.entries.push(Entry {
                    call: String::new(),
                    number: Some(short(&number)),
                    item: PlanItem {
                        text: format!("task #{}", short(&number)),
                        status: PlanStatus::Pending,
                    },
                });
                self.entries.len() - 1
            }
        };
        let item = &mut self.entries[index].item;
        if let Some(subject) = input.str("subject") {
            item.text = short(&subject);
        }
        if let Some(status) = status(input) {
            item.status = status;
        }
        true
    }
}

fn status(object: &Object<'_>) -> Option<PlanStatus> {
    match &*object.str("status")? {
        "pending" => Some(PlanStatus::Pending),
        "in_progress" => Some(PlanStatus::InProgress),
        "completed" => Some(PlanStatus::Completed),
        _ => None,
    }
}

fn short(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT_LIMIT)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(json: &str) -> Object<'_> {
        Object::parse(serde_json::from_str(json).unwrap(), false).unwrap()
    }

    fn shown(plan: &Plan) -> Vec<(String, PlanStatus)> {
        let items = plan.items().into_iter();
        items.map(|item| (item.text, item.status)).collect()
    }

    #[test]
    fn an_item_is_found_by_the_number_its_creation_gave_it() {
        let mut plan = Plan::default();
        assert!(plan.call("TaskCreate", "c1", &object(r#"{"subject":"a"}"#)));
        assert!(plan.call("TaskCreate", "c2", &object(r#"{"subject":"b"}"#)));
        assert!(!plan.result("c2", true, &object(r#"{"task":{"id":"2"}}"#)));
        assert!(plan.call(
            "TaskUpdate",
            "c3",
            &object(r#"{"taskId":"2","status":"completed"}"#)
        ));
        assert!(plan.result("c1", false, &Object::default()));
        assert_eq!(shown(&plan), [("b".to_owned(), PlanStatus::Completed)]);
        assert!(plan.call(
            "TaskUpdate",
            "c4",
            &object(r#"{"taskId":"7","status":"in_progress"}"#)
        ));
        assert!(plan.call(
            "TaskUpdate",
            "c5",
            &object(r#"{"taskId":"2","status":"deleted"}"#)
        ));
        assert_eq!(
            shown(&plan),
            [("task #7".to_owned(), PlanStatus::InProgress)]
        );
    }

    #[test]
    fn a_list_replaces_the_plan_and_anything_else_is_no_plan() {
        let mut plan = Plan::default();
        let todos = r#"{"todos":[{"content":"x","status":"in_progress"},7,{"status":"odd"}]}"#;
        assert!(plan.call("TodoWrite", "c", &object(todos)));
        assert_eq!(
            shown(&plan),
            [
                ("x".to_owned(), PlanStatus::InProgress),
                (String::new(), PlanStatus::Pending)
            ]
        );
        assert!(!plan.call("TodoWrite", "c", &object(r#"{"todos":"none"}"#)));
        assert!(!plan.call("TaskCreate", "c", &object("{}")));
        assert!(!plan.call("Bash", "c", &object("{}")));
    }
}
