//! Which environment variables are secret, by their names, and what of their values is looked for.

use std::ops::Range;

use serde_json::Value;

/// Shorter values would be found in any text.
const LEAST: usize = 8;

/// A line of a longer value stands for itself only if nothing else is likely to look like it.
const LEAST_LINE: usize = 16;

/// A variable with one of these in its name is secret.
const TELLING: &[&str] = &[
    "PASSWORD",
    "PASSWD",
    "PASSPHRASE",
    "SECRET",
    "CREDENTIAL",
    "APIKEY",
    "PRIVATE_KEY",
    "ACCESS_KEY",
    "AUTHORIZATION",
    "COOKIE",
    "CONNECTION_STRING",
    "CUSTOM_HEADERS",
];

/// As is one that has one of these between underscores,
const WORDS: &[&str] = &["TOKEN", "PASS", "PWD", "JWT"];

/// or ends with one of these,
const ENDINGS: &[&str] = &["KEY", "KEYS", "TOKEN", "_AUTH", "_PAT", "_DSN", "_BEARER"];

/// unless it ends with one of these: then its value says where a secret is, or what it is called.
const HARMLESS: &[&str] = &[
    "_FILE",
    "_PATH",
    "_DIR",
    "_SOCK",
    "_ID",
    "_NAME",
    "_TYPE",
    "_TTL",
    "_TTL_MS",
    "_HELPER",
    "_COMMAND",
    "_ENABLED",
    "_URL",
    "_URI",
    "_ENDPOINT",
    "_LIMIT",
];

/// Of a shell, and no password at all.
const FOLDERS: &[&str] = &["PWD", "OLDPWD"];

/// Values that say that there is none.
const NO_SECRETS: &[&str] = &[
    "disabled",
    "undefined",
    "required",
    "optional",
    "not-needed",
    "anonymous",
    "keychain",
    "unlimited",
];

/// Where absolute paths begin. Base64 may begin with a slash too, but hardly so.
const ROOTS: &[&str] = &[
    "/home/", "/root/", "/etc/", "/usr/", "/var/", "/tmp/", "/run/", "/opt/", "/srv/", "/mnt/",
    "/proc/", "/dev/", "/Users/", "~/", "./", "../",
];

/// Whether the value of a variable of this name is a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_uppercase().replace('-', "_");
    if FOLDERS.contains(&name.as_str()) {
        return false;
    }
    // The second of several keys is one, too.
    let name = name.trim_end_matches(|c: char| c.is_ascii_digit());
    let name = name.trim_end_matches('_');
    if name.contains("PUBLIC") || HARMLESS.iter().any(|ending| name.ends_with(ending)) {
        return false;
    }
    TELLING.iter().any(|word| name.contains(word))
        || name.split('_').any(|word| WORDS.contains(&word))
        || ENDINGS.iter().any(|ending| name.ends_with(ending))
}

/// Whether a value is an address with a password in it, whatever its variable is called.
pub(super) fn has_password(value: &str) -> bool {
    password(value).is_some_and(is_worth_hiding)
}

/// A text that must not be shown.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) text: String,
    /// Where in it the secret itself is. Pieces of that alone are secret too: what an address or
    /// an object has around it stands in many a text.
    pub(super) core: Option<Range<usize>>,
}

/// What of a variable's value must not be shown.
pub(super) fn parts(value: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let value = value.trim();
    let json = serde_json::from_str(value).ok().filter(Value::is_object);
    let is_alone = value.lines().count() == 1;
    // Pieces of an object stand in many a text: of one, those of its secret members count.
    let core_of = |line| core(line).filter(|_| json.is_none());
    add(
        &mut parts,
        value,
        LEAST,
        core_of(value).filter(|_| is_alone),
    );
    if let Some(json) = &json {
        leaves(&mut parts, json, false);
    }
    for line in value.lines() {
        if !is_alone && !line.trim_start().starts_with("-----") {
            add(&mut parts, line, LEAST_LINE, core_of(line));
        }
        if let Some(password) = password(line) {
            add_whole(&mut parts, password, LEAST);
        }
        if let Some(header) = value_of_header(line) {
            add(&mut parts, header, LEAST_LINE, core_of(header));
            if let Some(token) = token_of_scheme(header) {
                add_whole(&mut parts, token, LEAST_LINE);
            }
        }
    }
    parts
}

/// Where in one line the secret itself is, if not only in a part of it that is one by itself.
fn core(line: &str) -> Option<Range<usize>> {
    let whole = || value_of_header(line).is_none().then_some(0..line.len());
    core_of_address(line).or_else(whole)
}

fn add(parts: &mut Vec<Part>, part: &str, least: usize, core: Option<Range<usize>>) {
    let begins = part.len() - part.trim_start().len();
    let part = part.trim();
    if part.len() >= least && is_worth_hiding(part) {
        let within = |at: usize| at.saturating_sub(begins).min(part.len());
        parts.push(Part {
            text: part.to_owned(),
            core: core.map(|core| within(core.start)..within(core.end)),
        });
    }
}

fn add_whole(parts: &mut Vec<Part>, part: &str, least: usize) {
    add(parts, part, least, Some(0..part.len()));
}

/// What comes after the name in `Authorization: Bearer …`, or the whole of `Bearer …`.
fn value_of_header(line: &str) -> Option<&str> {
    let after_name = line.split_once(": ").map(|(_, value)| value);
    after_name.or_else(|| token_of_scheme(line).map(|_| line))
}

/// What comes after the scheme in `Bearer …`.
fn token_of_scheme(text: &str) -> Option<&str> {
    let (word, after) = text.split_once(' ')?;
    let schemes = ["bearer", "basic", "token"];
    schemes
        .contains(&&*word.to_ascii_lowercase())
        .then_some(after)
}

/// False for what is too short, or stands in many a text that has nothing to do with it.
fn is_worth_hiding(value: &str) -> bool {
    let mut seen = [false; 256];
    value
        .bytes()
        .for_each(|byte| seen[usize::from(byte)] = true);
    let distinct = seen.iter().filter(|seen| **seen).count();
    let is_path = ROOTS.iter().any(|root| value.starts_with(root));
    value.len() >= LEAST
        && distinct > 2
        && !is_path
        && !NO_SECRETS.contains(&&*value.to_ascii_lowercase())
}

/// The password of `scheme://user:password@host`.
fn password(value: &str) -> Option<&str> {
    let (_, rest) = value.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let (user, _) = authority.rsplit_once('@')?;
    user.split_once(':').map(|(_, password)| password)
}

/// Where in an address the secret is: the password; without one, from the user on, which may be a
/// token, to the end, where a password may stand as well; or what comes after the host.
fn core_of_address(value: &str) -> Option<Range<usize>> {
    let (scheme, rest) = value.split_once("://")?;
    let start = scheme.len() + "://".len();
    let authority = rest.split(['/', '?', '#']).next()?;
    Some(match authority.rsplit_once('@') {
        Some((user, _)) => match user.split_once(':') {
            Some((name, _)) => start + name.len() + 1..start + user.len(),
            None => start..value.len(),
        },
        None => start + authority.len()..value.len(),
    })
}

/// The secret strings of a credential that is a JSON object.
fn leaves(parts: &mut Vec<Part>, json: &Value, is_secret: bool) {
    match json {
        Value::String(text) if is_secret => {
            parts.extend(self::parts(text));
        }
        Value::Array(items) => items.iter().for_each(|item| leaves(parts, item, is_secret)),
        Value::Object(fields) => {
            for (key, value) in fields {
                // `clientSecret` as `client_secret`.
                let mut name = String::new();
                for c in key.chars() {
                    if c.is_ascii_uppercase() && !name.is_empty() {
                        name.push('_');
                    }
                    name.push(c);
                }
                leaves(parts, value, is_secret || is_secret_name(&name));
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_what_is_secret() {
        for name in [
            "ANTHROPIC_API_KEY",
            "ANTHROPIC_AUTH_TOKEN",
            "CLAUDE_CODE_OAUTH_TOKEN",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_BEARER_TOKEN_BEDROCK",
            "OPENAI_API_KEY_2",
            "GEMINI_API_KEY",
            "GOOGLE_CREDENTIALS",
            "PGPASSWORD",
            "MY_PASS",
            "DB_PWD",
            "PWD2",
            "PWD_1",
            "PWD_OF_DB",
            "npm_config_auth_token",
            "GH_TOKEN",
            "GITHUB_PAT",
            "SENTRY_DSN",
            "ANTHROPIC_CUSTOM_HEADERS",
        ] {
            assert!(is_secret_name(name), "{name}");
        }
        for name in [
            "PATH",
            "HOME",
            "PWD",
            "OLDPWD",
            "SSH_AUTH_SOCK",
            "MAX_THINKING_TOKENS",
            "AWS_ACCESS_KEY_ID",
            "AWS_SHARED_CREDENTIALS_FILE",
            "SSH_PUBLIC_KEY",
            "ANTHROPIC_BASE_URL",
            "ANTHROPIC_MODEL",
            "CLAUDE_CODE_API_KEY_HELPER_TTL_MS",
            "TOKEN_ENDPOINT",
            "TERM",
            "LANG",
        ] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn what_is_no_secret_is_not_looked_for() {
        for value in [
            "",
            "true",
            "1234567",
            "disabled",
            "--------",
            "/home/me/.config/key.json",
            "~/.ssh/id_ed25519",
        ] {
            assert!(parts(value).is_empty(), "{value}");
        }
    }

    fn texts(value: &str) -> Vec<String> {
        parts(value).into_iter().map(|part| part.text).collect()
    }

    #[test]
    fn parts_of_a_value_are_secret_by_themselves() {
        let header = texts("Authorization: Bearer abcdefghijklmnop1");
        assert!(header.contains(&"abcdefghijklmnop1".to_owned()));
        let address = texts("postgres://me:hunter2hunter2@db/x");
        assert!(address.contains(&"hunter2hunter2".to_owned()));
        let json = r#"{"type":"service_account","private_key":"-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\n-----END PRIVATE KEY-----\n","clientSecret":"0123456789ab"}"#;
        let json = texts(json);
        assert!(json.contains(&"MIIEvQIBADANBgkqhkiG9w0B".to_owned()));
        assert!(json.contains(&"0123456789ab".to_owned()));
        assert!(!json.contains(&"service_account".to_owned()));
    }

    #[test]
    fn lines_and_addresses_within_an_object_are_secret_too() {
        let services = texts(r#"{"uri":"postgres://me:hunter2hunter2@db/x"}"#);
        assert!(services.contains(&"hunter2hunter2".to_owned()));
        let value = "{\n  \"auth\": \"dXNlcjpwYXNzd29yZA==\"\n}";
        let lines = texts(value);
        assert!(lines.contains(&r#""auth": "dXNlcjpwYXNzd29yZA==""#.to_owned()));
        assert!(lines.contains(&r#""dXNlcjpwYXNzd29yZA==""#.to_owned()));
        // What an object has around its secrets is in no piece of them.
        assert!(parts(value).iter().all(|part| part.core.is_none()));
    }

    #[test]
    fn the_secret_itself_is_told_from_what_is_around_it() {
        for (value, cores) in [
            ("hunter2hunter2", &["hunter2hunter2"][..]),
            ("https://me:hunter2hunter2@db/x", &["hunter2hunter2"; 2]),
            (
                "https://0123456789@sentry.io/1",
                &["0123456789@sentry.io/1"],
            ),
            (
                "postgres://me@db/x?password=hunter2hunter2",
                &["me@db/x?password=hunter2hunter2"],
            ),
            ("https://hooks.example.com/T0/B0", &["/T0/B0"]),
            (
                "Authorization: Bearer abcdefghijklmnop1",
                &["abcdefghijklmnop1"],
            ),
            ("Bearer abcdefghijklmnop1", &["abcdefghijklmnop1"]),
            ("X-Key: abcdefghijklmnop1", &["abcdefghijklmnop1"]),
            (
                r#"{"type":"x","client_secret":"0123456789ab"}"#,
                &["0123456789ab"],
            ),
            (
                "-----BEGIN X-----\n  MIIEvQIBADANBgkq\n",
                &["MIIEvQIBADANBgkq"],
            ),
        ] {
            let parts = parts(value);
            let found = parts
                .iter()
                .filter_map(|part| Some(&part.text[part.core.clone()?]));
            assert_eq!(found.collect::<Vec<_>>(), cores, "{value}");
        }
    }

    #[test]
    fn an_address_with_a_password_is_secret_whatever_it_is_called() {
        assert!(has_password("http://proxy:s3cr3tpw@10.0.0.1:3128"));
        assert!(!has_password("http://10.0.0.1:3128/a:b@c"));
        assert!(!has_password("no address"));
    }
}
