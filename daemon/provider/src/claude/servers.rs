//! The MCP servers that a run has to do without. `init` alone tells of them: an agent that lacks
//! their tools looks like one that has no use for them.

use crate::activity::Text;
use crate::bounds::{one_line, short_id};
use crate::json::Object;
use crate::text::whole;

/// So many are named.
const NAMED: usize = 10;

/// `MCP servers without which it runs: github (failed), linear (needs-auth)`. One that is still
/// being connected may come, and one that was switched off is not missed.
pub(super) fn missing(init: &Object<'_>) -> Option<Text<'static>> {
    let mut named = Vec::new();
    let mut more = 0;
    init.each_object("mcp_servers", |server| {
        let status = server.str("status").unwrap_or_default();
        if !matches!(&*status, "failed" | "needs-auth") {
            return;
        }
        if named.len() == NAMED {
            more += 1;
            return;
        }
        let name = server.str("name").unwrap_or_default();
        named.push(format!("{} ({status})", one_line(short_id(&name))));
    });
    if named.is_empty() {
        return None;
    }
    let named = named.join(", ");
    let more = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Some(whole(format!(
        "MCP servers without which it runs: {named}{more}"
    )))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::activity::{Activity, Level, Stamp, Stream};
    use crate::decoder::Decoder;
    use crate::kind::{Format, Kind};

    /// The notices of a session that begins twice over with these servers.
    fn notices(servers: &Value) -> Vec<(Level, String)> {
        let mut decoder = Decoder::new(Kind::Claude, Format::Json);
        let mut notices = Vec::new();
        let mut sink = |_: Stamp, activity: &Activity<'_>| {
            if let Activity::Notice { level, msg } = activity {
                notices.push((*level, msg.text.to_string()));
            }
        };
        let init =
            json!({"type": "system", "subtype": "init", "session_id": "s", "mcp_servers": servers});
        let line = format!("{init}\n{init}\n");
        decoder.feed(Stream::Stdout, Stamp::default(), line.as_bytes(), &mut sink);
        notices
    }

    #[test]
    fn servers_that_failed_or_want_a_login_are_named_once() {
        let servers = json!([
            {"name": "files", "status": "connected"},
            {"name": "github", "status": "failed"},
            {"name": "slow", "status": "pending"},
            {"name": "off", "status": "disabled"},
            {"name": "claude.ai\nLinear", "status": "needs-auth", "source": "user"},
            "odd",
            {"status": 5},
        ]);
        let msg =
            "MCP servers without which it runs: github (failed), claude.ai Linear (needs-auth)";
        assert_eq!(notices(&servers), [(Level::Warn, msg.to_owned())]);
    }

    #[test]
    fn many_are_counted_and_none_is_no_notice() {
        let failed = |number: usize| json!({"name": format!("s{number}"), "status": "failed"});
        let many = notices(&(0..13).map(failed).collect());
        let [(Level::Warn, msg)] = &*many else {
            panic!("one notice: {many:?}");
        };
        assert!(msg.ends_with(", s9 (failed) and 3 more"), "{msg}");
        for none in [json!([]), json!({"name": "x"}), Value::Null] {
            assert_eq!(notices(&none), [], "{none}");
        }
    }
}
