//! `--resume-of ID`: the session of an invocation, for whoever knows that rather than the session.

use steroids_client::{Client, v1};

use crate::command::show;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::format;

/// Has a request go on with the session of an invocation; by its provider, where none is named.
pub(super) async fn of(
    id: i64,
    client: &Client,
    request: &mut v1::StartRequest,
) -> Result<(), Failure> {
    let before = show::get(client, &request.project, id).await?;
    request.resume = session(&before, &request.provider)?;
    request.provider = before.provider;
    Ok(())
}

/// The session to go on with.
fn session(before: &v1::Invocation, provider: &str) -> Result<String, Failure> {
    let (id, its) = (before.id, &before.provider);
    let refused = |said: String| Err(Failure::new(Exit::Refused, "nothing_to_resume", said));
    if !provider.is_empty() && provider != its {
        return refused(format!(
            "invocation {id} was run by {its}: {provider} does not know its session"
        ));
    }
    if format::is_open(before) {
        return refused(format!("invocation {id} has not ended"));
    }
    if before.session_id.is_empty() {
        return refused(format!("invocation {id} has told no session to resume"));
    }
    Ok(before.session_id.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_session_that_its_own_provider_can_go_on_with_is_taken() {
        let ended = v1::Invocation {
            id: 7,
            provider: "claude".to_owned(),
            state: v1::State::Completed.into(),
            session_id: "s-1".to_owned(),
            ..Default::default()
        };
        assert_eq!(session(&ended, "").unwrap(), "s-1");
        assert_eq!(session(&ended, "claude").unwrap(), "s-1");
        let refused = |invocation: &v1::Invocation, provider: &str| {
            let failure = session(invocation, provider).unwrap_err();
            assert!(matches!(failure.exit(), Exit::Refused));
            failure.message().to_owned()
        };
        assert!(refused(&ended, "codex").contains("was run by claude"));
        let untold = v1::Invocation {
            session_id: String::new(),
            ..ended.clone()
        };
        assert!(refused(&untold, "").contains("no session"));
        let running = v1::Invocation {
            state: v1::State::Running.into(),
            ..ended
        };
        assert!(refused(&running, "").contains("has not ended"));
    }
}
