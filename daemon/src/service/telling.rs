//! The stream of `Timeline`: a task's story, in messages of a bounded size.

use bytes::Bytes;
use steroids_proto::v1;
use tonic::Status;

use super::refusal::invalid;
use super::stream::Source;
use super::{Service, convert, status};
use crate::timeline;

/// As large as a batch of the log.
const BATCH: usize = 256 << 10;
const SAMPLE_DEFAULT: u32 = 10;

/// One teller, and an entry that did not fit before.
pub(super) struct Telling {
    entries: timeline::Telling,
    held: Option<Bytes>,
}

impl Telling {
    pub(super) async fn open(
        service: &Service,
        request: v1::TimelineRequest,
    ) -> Result<Telling, Status> {
        let sample = match u32::try_from(request.sample) {
            Ok(0) => SAMPLE_DEFAULT,
            Ok(sample) => sample,
            Err(_) => return Err(invalid("sample", "must not be negative")),
        };
        let task = convert::task(&request.task_id)?;
        let project = service.project_at(&request.project).await?;
        let entries = timeline::of_task(&project, &task, sample).await;
        Ok(Telling {
            entries: entries.map_err(status::project)?,
            held: None,
        })
    }

    async fn entry(&mut self) -> Result<Option<Bytes>, Status> {
        match self.held.take() {
            Some(entry) => Ok(Some(entry)),
            None => self.entries.next().await.map_err(status::project),
        }
    }
}

impl Source for Telling {
    type Batch = v1::TimelineResponse;

    fn size(batch: &v1::TimelineResponse) -> usize {
        batch.entries.iter().map(|entry| entry.len()).sum()
    }

    async fn next(&mut self) -> Result<Option<v1::TimelineResponse>, Status> {
        let (mut entries, mut bytes) = (Vec::new(), 0);
        while let Some(entry) = self.entry().await? {
            bytes += entry.len();
            if bytes > BATCH && !entries.is_empty() {
                self.held = Some(entry);
                break;
            }
            entries.push(entry);
        }
        Ok((!entries.is_empty()).then_some(v1::TimelineResponse { entries }))
    }
}
