//! Which environment variables are secret, by their names, and what of their values is looked for.

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

/// What of a variable's value must not be shown.
pub(super) fn parts(value: &str) -> Vec<String> {
    let mut parts = Vec::new();
    let value = value.trim();
    add(&mut parts, value, LEAST);
    if let Some(password) = password(value) {
        add(&mut parts, password, LEAST);
    }
    if let Ok(json @ Value::Object(_)) = serde_json::from_str(value) {
        leaves(&mut parts, &json, false);
    }
    let lines: Vec<&str> = value.lines().collect();
    for line in &lines {
        let is_alone = lines.len() == 1;
        if !is_alone && !line.trim_start().starts_with("-----") {
            add(&mut parts, line, LEAST_LINE);
        }
        // `Authorization: Bearer …`, and what comes after either word.
        let after_name = line.split_once(": ").map(|(_, value)| value);
        if let Some(after) = after_name {
            add(&mut parts, after, LEAST_LINE);
        }
        let (word, after) = after_name
            .unwrap_or(line)
            .split_once(' ')
            .unwrap_or_default();
        if ["bearer", "basic", "token"].contains(&&*word.to_ascii_lowercase()) {
            add(&mut parts, after, LEAST_LINE);
        }
    }
    parts
}

fn add(parts: &mut Vec<String>, part: &str, least: usize) {
    let part = part.trim();
    if part.len() >= least && is_worth_hiding(part) && !parts.iter().any(|known| known == part) {
        parts.push(part.to_owned());
    }
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

/// The secret strings of a credential that is a JSON object.
fn leaves(parts: &mut Vec<String>, json: &Value, is_secret: bool) {
    match json {
        Value::String(text) if is_secret => {
            for part in self::parts(text) {
                add(parts, &part, LEAST);
            }
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
            "PWD_IS",
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
            assert!(!is_secret_name(name) || name == "PWD_IS", "{name}");
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

    #[test]
    fn parts_of_a_value_are_secret_by_themselves() {
        let header = parts("Authorization: Bearer abcdefghijklmnop1");
        assert!(header.contains(&"abcdefghijklmnop1".to_owned()));
        let address = parts("postgres://me:hunter2hunter2@db/x");
        assert!(address.contains(&"hunter2hunter2".to_owned()));
        let json = r#"{"type":"service_account","private_key":"-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0B\n-----END PRIVATE KEY-----\n","clientSecret":"0123456789ab"}"#;
        let json = parts(json);
        assert!(json.contains(&"MIIEvQIBADANBgkqhkiG9w0B".to_owned()));
        assert!(json.contains(&"0123456789ab".to_owned()));
        assert!(!json.contains(&"service_account".to_owned()));
    }

    #[test]
    fn an_address_with_a_password_is_secret_whatever_it_is_called() {
        assert!(has_password("http://proxy:s3cr3tpw@10.0.0.1:3128"));
        assert!(!has_password("http://10.0.0.1:3128/a:b@c"));
        assert!(!has_password("no address"));
    }
}
