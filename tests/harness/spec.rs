//! A specification that nobody starts anything by: for what is decoded from a spool alone.

use std::path::Path;

use steroids_provider::kind::{Format, Kind};
use steroids_shim::spec::{Life, Limits, PROTOCOL, Resources, Spec, Turn};

/// Of invocation 1 in a project; no limits, no mapping, and only what is redacted everywhere.
pub fn plain_spec(project: &Path, kind: Kind, format: Format) -> Spec {
    Spec {
        redaction: None,
        mapping: None,
        zone: None,
        proto: PROTOCOL,
        uuid: "5d0e3c1a-0000-4000-8000-000000000001".into(),
        invocation: 1,
        project: project.into(),
        project_folder: None,
        task: "t".into(),
        role: "coder".into(),
        provider: kind.as_str().into(),
        kind,
        format,
        model: String::new(),
        resume: None,
        request_id: "r".into(),
        request_hash: String::new(),
        argv: vec!["/bin/true".into()],
        env: Vec::new(),
        cwd: "/nowhere/at/all".into(),
        prompt: String::new(),
        interactive: false,
        leave_background: false,
        limits: Limits {
            silence_ms: None,
            tool_silence_ms: None,
            wall_ms: None,
            post_result_ms: None,
            grace_ms: 1,
            life: Life::default(),
        },
        budget: None,
        resources: Resources::default(),
        created_ms: 1_700_000_000_000,
        boot_id: String::new(),
        socket: "/nowhere".into(),
        turn: Turn::default(),
        requested: None,
    }
}
