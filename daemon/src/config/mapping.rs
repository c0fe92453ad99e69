//! What the lines of a provider of kind `jsonl` mean: `[[providers.NAME.events]]`, a rule each, and
//! `[providers.NAME.errors]`.

use std::collections::BTreeMap;

use steroids_provider::kind::Kind;
use steroids_provider::mapping::{
    CHOICE_LIMIT, Field, Flag, Is, Mapping, Pointer, RULE_LIMIT, Rule,
};
use toml::de::DeValue;

use super::error::ConfigError;
use super::section::{Section, text, texts, yes};

/// Shortest phrase that says something.
const PHRASE_MIN: usize = 4;

/// Reads the mapping of a provider; another kind has none.
pub(super) fn read(
    provider: &Section<'_>,
    kind: Kind,
    at: usize,
) -> Result<Option<Mapping>, ConfigError> {
    let mut mapping = Mapping::default();
    for (at, section) in provider.list("events") {
        let rule = rule(&section);
        let checked = rule
            .check()
            .map_err(|error| section.refuse(error.key, at, error.reason.to_owned()));
        section.keep(checked);
        mapping.events.push(rule);
    }
    let outcomes = Mapping::OUTCOMES.map(|outcome| outcome.as_str());
    if let Some(errors) = provider.section("errors") {
        for outcome in outcomes {
            if let Some(phrases) = errors.get(outcome, phrases) {
                mapping.errors.insert(outcome.to_owned(), phrases);
            }
        }
    }
    let refuse = |key: &str, reason: String| Err(provider.refuse(key, at, reason));
    if mapping.events.len() > RULE_LIMIT {
        return refuse("events", format!("at most {RULE_LIMIT} rules"));
    }
    if kind == Kind::Jsonl {
        if mapping.events.is_empty() {
            let reason = "not set; without a rule no line has a meaning: that is kind `command`";
            return refuse("events", reason.to_owned());
        }
        return Ok(Some(mapping));
    }
    for (key, is_given) in [
        ("events", !mapping.events.is_empty()),
        ("errors", !mapping.errors.is_empty()),
    ] {
        if is_given {
            return refuse(key, format!("only for kind `jsonl`, not `{kind}`"));
        }
    }
    Ok(None)
}

fn rule(section: &Section<'_>) -> Rule {
    let mut fields = BTreeMap::new();
    for field in Field::ALL {
        if let Some(places) = section.get(field.as_str(), places) {
            fields.insert(field, places);
        }
    }
    let is = |key: &str| section.get(key, yes).unwrap_or_default();
    Rule {
        when: section.get("when", conditions).unwrap_or_default(),
        each: section.get("each", |value| place(&text(value)?)),
        fields,
        is_error: section.get("is_error", flag),
        is_final: is("final"),
        is_delta: is("delta"),
        is_total: is("total"),
        is_input_with_cached: is("input_with_cached"),
        is_ignored: is("ignore"),
    }
}

fn place(text: &str) -> Result<Pointer, String> {
    text.parse()
        .map_err(|error: steroids_provider::mapping::PointerError| error.to_string())
}

/// One place, or several in the order in which they are looked at.
fn places(value: &DeValue<'_>) -> Result<Vec<Pointer>, String> {
    let places = match value {
        DeValue::Array(_) => texts(value)?,
        _ => vec![text(value)?],
    };
    few(places.len())?;
    places.iter().map(|text| place(text)).collect()
}

fn few(count: usize) -> Result<(), String> {
    match count {
        0 => Err("must not be an empty list".to_owned()),
        count if count > CHOICE_LIMIT => Err(format!("at most {CHOICE_LIMIT} of them")),
        _ => Ok(()),
    }
}

fn flag(value: &DeValue<'_>) -> Result<Flag, String> {
    match value.as_bool() {
        Some(always) => Ok(Flag::Always(always)),
        None => places(value).map(Flag::At),
    }
}

fn conditions(value: &DeValue<'_>) -> Result<BTreeMap<Pointer, Vec<Is>>, String> {
    let table = value.as_table().ok_or_else(|| {
        format!(
            "must be a table such as {{ \"/type\" = \"message\" }}, not {}",
            value.type_str()
        )
    })?;
    few(table.len())?;
    let mut conditions = BTreeMap::new();
    for (key, value) in table {
        let wanted = match value.get_ref() {
            DeValue::Array(list) => list.iter().map(|item| is(item.get_ref())).collect(),
            single => is(single).map(|is| vec![is]),
        };
        let wanted: Vec<Is> = wanted?;
        few(wanted.len())?;
        conditions.insert(place(key.get_ref())?, wanted);
    }
    Ok(conditions)
}

fn is(value: &DeValue<'_>) -> Result<Is, String> {
    let wrong = || {
        let kind = value.type_str();
        format!("a condition is a text, a whole number, true or false, not {kind}")
    };
    match value {
        DeValue::Boolean(is) => Ok(Is::Bool(*is)),
        DeValue::String(is) => Ok(Is::Text(is.clone().into_owned())),
        DeValue::Integer(is) => i64::from_str_radix(is.as_str(), is.radix())
            .map(Is::Number)
            .map_err(|_| wrong()),
        _ => Err(wrong()),
    }
}

/// How texts begin that mean an outcome.
fn phrases(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let phrases = texts(value)?;
    few(phrases.len())?;
    match phrases
        .iter()
        .find(|phrase| phrase.trim().len() < PHRASE_MIN)
    {
        Some(phrase) => Err(format!(
            "`{phrase}` is too short; write how a message begins, or a whole code"
        )),
        None => Ok(phrases),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Config, ConfigError, Flags, Places};
    use super::*;

    const HEAD: &str = "[providers.x]\nkind = \"jsonl\"\ncommand = \"x\"\n";

    fn resolve(text: &str) -> Result<Config, ConfigError> {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("config.toml"), text).unwrap();
        let places = Places {
            config: vec![home.path().into()],
            state: "/state".into(),
            runtime: None,
        };
        Config::resolve(&Flags::default(), Some(&places))
    }

    /// What is said of the rule with these lines, without the file.
    fn complaint(rule: &str) -> String {
        let text = format!("{HEAD}[[providers.x.events]]\n{rule}\n");
        let error = resolve(&text).expect_err(rule).to_string();
        let (_, said) = error.split_once("/config.toml:").unwrap();
        said.replace("providers.x.", "")
    }

    #[test]
    fn a_mapping_is_read() {
        let text = format!(
            r#"{HEAD}
            args = ["--model", "{{model}}", "--resume", "{{session}}", "--json"]
            [[providers.x.events]]
            session = "/id"
            [[providers.x.events]]
            when = {{ "/type" = ["call", "tool"], "/n" = 1, "/ok" = true }}
            each = "/calls"
            tool = "/name"
            command = ["/input/command", "/input/path"]
            call = "/id"
            [[providers.x.events]]
            when = {{ "/type" = "end" }}
            final = true
            is_error = "/failed"
            [providers.x.errors]
            auth = ["Bad key"]
            "#
        );
        let config = resolve(&text).unwrap();
        let settings = &config.providers["x"].settings;
        assert_eq!(settings.kind, Kind::Jsonl);
        let mapping = settings.mapping.as_ref().unwrap();
        assert_eq!(mapping.events.len(), 3);
        let rule = &mapping.events[1];
        assert_eq!(rule.fields[&Field::Command].len(), 2);
        assert_eq!(rule.when.len(), 3);
        assert!(mapping.events[2].is_final);
        assert_eq!(mapping.errors["auth"], ["Bad key"]);
        assert!(config.providers["claude"].settings.mapping.is_none());
    }

    #[test]
    fn a_bad_mapping_is_refused_with_key_and_reason() {
        let cases = [
            ("txt = \"/a\"", "5: `events[0].txt`: unknown key; "),
            (
                "text = \"a\"",
                "5: `events[0].text`: `a` is no JSON pointer; it begins with `/`",
            ),
            (
                "text = 7",
                "5: `events[0].text`: must be a text in quotes, not integer",
            ),
            (
                "text = []",
                "5: `events[0].text`: must not be an empty list",
            ),
            (
                "text = \"/~\"",
                "5: `events[0].text`: `/~`: after `~` comes 0",
            ),
            (
                "\nwhen = { \"type\" = \"x\" }",
                "6: `events[0].when`: `type` is no JSON pointer",
            ),
            (
                "when = { \"/type\" = 1.5 }",
                "5: `events[0].when`: a condition is a text",
            ),
            (
                "when = \"x\"",
                "5: `events[0].when`: must be a table such as",
            ),
            ("result = \"/r\"", "5: `events[0].result`: needs `call`"),
            (
                "ignore = true",
                "5: `events[0].ignore`: without `when` it would ignore everything",
            ),
            ("", "4: `events[0].text`: maps nothing"),
            (
                "text = \"/t\"\n[providers.x.errors]\nfailed = [\"it is so\"]",
                "7: `errors.failed`: unknown key; [errors] has rate_limited, ",
            ),
            (
                "text = \"/t\"\n[providers.x.errors]\nauth = [\"401\"]",
                "7: `errors.auth`: `401` is too short",
            ),
        ];
        for (rule, expected) in cases {
            let said = complaint(rule);
            assert!(said.starts_with(expected), "{rule}: {said}");
        }
    }

    #[test]
    fn a_mapping_belongs_to_its_kind() {
        let said = |text: &str| resolve(text).expect_err(text).to_string();
        let no_rule = said(HEAD);
        assert!(
            no_rule.contains("`providers.x.events`: not set; "),
            "{no_rule}"
        );
        let rule = "\n[[providers.claude.events]]\ntext = \"/t\"\n";
        let other = said(&format!("[providers.claude]{rule}"));
        assert!(
            other.ends_with("`providers.claude.events`: only for kind `jsonl`, not `claude`"),
            "{other}"
        );
        let nameless = said("[providers.x]\nkind = \"jsonl\"\n");
        assert!(
            nameless.contains("`providers.x.command`: not set; "),
            "{nameless}"
        );
        let text = said(&format!("{HEAD}events = [\"/t\"]\n"));
        assert!(
            text.contains("`providers.x.events[0]`: must be a table"),
            "{text}"
        );
    }
}
