//! The service of the fake daemon itself.

use steroids_proto::v1;
use tonic::{Request, Response};

use super::Shared;
use super::service::Answer;

#[tonic::async_trait]
impl v1::daemon_server::Daemon for Shared {
    async fn status(&self, _: Request<v1::StatusRequest>) -> Answer<v1::StatusResponse> {
        self.refused("status")?;
        Ok(Response::new(self.world().status.clone()))
    }

    async fn wakeup(&self, _: Request<v1::WakeupRequest>) -> Answer<v1::WakeupResponse> {
        self.refused("wakeup")?;
        Ok(Response::new(v1::WakeupResponse {
            reconciled: 1,
            logs_removed: 2,
            bytes_removed: 4096,
            spools_removed: 3,
            spool_bytes_removed: 8192,
            ..Default::default()
        }))
    }

    async fn list_hooks(&self, _: Request<v1::ListHooksRequest>) -> Answer<v1::ListHooksResponse> {
        Ok(Response::new(v1::ListHooksResponse::default()))
    }

    async fn test_hook(&self, _: Request<v1::TestHookRequest>) -> Answer<v1::TestHookResponse> {
        Ok(Response::new(v1::TestHookResponse::default()))
    }

    async fn reload(&self, _: Request<v1::ReloadRequest>) -> Answer<v1::ReloadResponse> {
        self.refused("reload")?;
        Ok(Response::new(v1::ReloadResponse::default()))
    }

    async fn drain(&self, _: Request<v1::DrainRequest>) -> Answer<v1::DrainResponse> {
        Ok(Response::new(v1::DrainResponse { running: 0 }))
    }

    async fn get_config(&self, _: Request<v1::GetConfigRequest>) -> Answer<v1::GetConfigResponse> {
        Ok(Response::new(v1::GetConfigResponse::default()))
    }

    async fn list_holds(&self, _: Request<v1::ListHoldsRequest>) -> Answer<v1::ListHoldsResponse> {
        let holds = self.world().status.holds.clone();
        Ok(Response::new(v1::ListHoldsResponse { holds }))
    }

    async fn set_hold(&self, request: Request<v1::SetHoldRequest>) -> Answer<v1::SetHoldResponse> {
        let v1::SetHoldRequest { provider, until_ms } = request.into_inner();
        let hold = v1::Hold {
            provider,
            until_ms,
            reason: "by hand".to_owned(),
            ..Default::default()
        };
        Ok(Response::new(v1::SetHoldResponse { holds: vec![hold] }))
    }

    async fn lift_hold(&self, _: Request<v1::LiftHoldRequest>) -> Answer<v1::LiftHoldResponse> {
        Ok(Response::new(v1::LiftHoldResponse { lifted: true }))
    }

    async fn shutdown(&self, _: Request<v1::ShutdownRequest>) -> Answer<v1::ShutdownResponse> {
        Ok(Response::new(v1::ShutdownResponse { stopped: 0 }))
    }
}
