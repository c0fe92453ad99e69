//! The part of the service `Projects` that deletes what is old, on request and as a preview.

use steroids_proto::v1;
use tonic::Status;

use super::refusal::invalid;
use super::{Service, convert};
use crate::retention::policy::{LogLimits, SpoolLimits};
use crate::retention::sweep::{self, Item};

impl Service {
    /// Deletes logs by what is configured, or those older than the days that were asked for.
    pub(super) async fn clean_logs(
        &self,
        request: v1::CleanupLogsRequest,
    ) -> Result<v1::CleanupLogsResponse, Status> {
        let days = days(request.days)?;
        let ages = self.wakeups.ages().await;
        let known = ages.are_known();
        let limits = match days {
            // By age alone: who names days means these.
            Some(0) => of_days(0),
            Some(days) if known => of_days(days),
            Some(_) => LogLimits::default(),
            None => self.wakeups.settings().retention.of_logs(known),
        };
        let is_by_age = days.map_or(
            self.wakeups.settings().retention.log_days.is_some(),
            |days| days > 0,
        );
        let limits = match request.project.is_empty() {
            true => limits,
            // What all projects may have says nothing of one.
            false => LogLimits {
                max_bytes: None,
                max_count: None,
                ..limits
            },
        };
        let projects = match request.project.is_empty() {
            true => self.projects.answering().await,
            false => vec![self.project_at(&request.project).await?],
        };
        let alone = self.projects.upkeep().await;
        let now = steroids_failpoint::wall_clock();
        let mut swept = sweep::logs(&projects, &alone, &limits, request.dry_run, now).await;
        swept.failures.extend(ages.trouble().filter(|_| is_by_age));
        Ok(v1::CleanupLogsResponse {
            files: count(swept.files),
            bytes: count(swept.bytes),
            kept_running: count(swept.kept_running),
            failures: swept.failures,
            items: swept.items.into_iter().map(shown).collect(),
        })
    }

    /// Deletes state folders by what is configured, or those older than the days that were asked for.
    pub(super) async fn clean_spools(
        &self,
        request: v1::CleanupSpoolsRequest,
    ) -> Result<v1::CleanupSpoolsResponse, Status> {
        let days = days(request.days)?;
        let ages = self.wakeups.ages().await;
        let known = ages.are_known();
        let limits = match days {
            Some(days) => SpoolLimits {
                days: Some(days).filter(|days| known || *days == 0),
                max_bytes: None,
            },
            None => self.wakeups.settings().retention.of_spools(known),
        };
        let alone = self.projects.upkeep().await;
        let projects = self.projects.answering().await;
        let now = steroids_failpoint::wall_clock();
        let state_dir = self.supervisor.state_dir();
        let swept = sweep::spools(state_dir, &projects, &alone, limits, request.dry_run, now).await;
        let mut swept = swept.map_err(|error| {
            tracing::warn!(%error, "state folders cannot be swept");
            Status::internal("the state folders cannot be listed")
        })?;
        swept
            .failures
            .extend(ages.trouble().filter(|_| days != Some(0)));
        Ok(v1::CleanupSpoolsResponse {
            folders: count(swept.files),
            bytes: count(swept.bytes),
            kept_running: count(swept.kept_running),
            failures: swept.failures,
            items: swept.items.into_iter().map(shown).collect(),
        })
    }
}

fn days(days: Option<i32>) -> Result<Option<u32>, Status> {
    let days = days.map(u32::try_from).transpose();
    days.map_err(|_| invalid("days", "must not be negative"))
}

fn of_days(days: u32) -> LogLimits {
    LogLimits {
        days: Some(days),
        ..LogLimits::default()
    }
}

fn shown(item: Item) -> v1::CleanedItem {
    v1::CleanedItem {
        project: item
            .project
            .as_deref()
            .map(convert::text)
            .unwrap_or_default(),
        name: item.name,
        bytes: count(item.bytes),
        reason: item.why.as_str().to_owned(),
    }
}

fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
