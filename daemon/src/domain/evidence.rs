//! What an end was judged by, as a row keeps it and `show` tells it.

use serde::{Deserialize, Serialize};

/// Evidence of an end. Bounded where it is made: an event of some 4 KiB, a line or two.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Evidence {
    /// Why we ended it, where we did: stop, wall, silence, `post_result`, shutdown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_by: Option<String>,
    /// The signal that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
    /// The provider's own final event, as it was printed, but for its secrets.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub final_event: Option<String>,
    /// The lines of stderr that decided.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stderr: Vec<String>,
}

impl Evidence {
    /// As a column holds it; `None` if there is none.
    pub fn to_column(&self) -> Option<String> {
        (*self != Evidence::default())
            .then(|| serde_json::to_string(self).ok())
            .flatten()
    }

    /// As a column holds it; what does not read is none.
    pub fn of_column(text: &str) -> Option<Evidence> {
        serde_json::from_str(text).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_reads_back_and_what_a_later_release_adds_is_passed_over() {
        let evidence = Evidence {
            signal: Some("SIGKILL".to_owned()),
            stderr: vec!["gone".to_owned()],
            ..Evidence::default()
        };
        let column = evidence.to_column().unwrap();
        assert_eq!(column, r#"{"signal":"SIGKILL","stderr":["gone"]}"#);
        assert_eq!(Evidence::of_column(&column), Some(evidence));
        assert!(Evidence::of_column(r#"{"stderr":[],"new":1}"#).is_some());
        assert_eq!(Evidence::of_column("nonsense"), None);
        assert_eq!(Evidence::default().to_column(), None);
    }
}
