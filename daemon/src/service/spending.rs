//! `Usage`: which sums are asked for, and the sums onto the wire.

use std::cmp::Ordering;

use prost::Message as _;
use steroids_proto::v1;
use tonic::Status;

use super::refusal::invalid;
use super::{Service, convert};
use crate::domain::{SpendGroup, SpendKey, SpendQuery, Spent, Zone, day_text};
use crate::projects::AtHand;
use crate::supervise::Account;

const GROUPS_DEFAULT: usize = 1000;
const GROUPS_MAX: usize = 10_000;
/// Of a message, with room for what is not the groups.
const BYTES_MAX: usize = super::MESSAGE_MAX - (512 << 10);
/// There are seven keys.
const KEYS_MAX: usize = 16;

pub(super) async fn usage(
    service: &Service,
    request: v1::UsageRequest,
) -> Result<v1::UsageResponse, Status> {
    let query = query(&request)?;
    let most = match usize::try_from(request.max_groups) {
        Ok(0) => GROUPS_DEFAULT,
        Ok(most) => most.min(GROUPS_MAX),
        Err(_) => return Err(invalid("max_groups", "must not be negative")),
    };
    let zone = zone(request.zone).await?;
    let name = zone.clone().unwrap_or_else(|| service.supervisor.zone());
    let name = name.name();
    let name = name.to_owned();
    let AtHand { projects, away } = service.projects_at(&request.project).await?;
    let account = service.supervisor.account(&projects, &query, zone).await;
    let mut answer = answer(account, most);
    let away = away.iter().map(|(path, _)| convert::text(path));
    answer.unread.extend(away);
    answer.zone = name;
    Ok(answer)
}

fn query(request: &v1::UsageRequest) -> Result<SpendQuery, Status> {
    if request.by.len() > KEYS_MAX {
        return Err(invalid("by", format!("must not be over {KEYS_MAX}")));
    }
    let mut by = Vec::new();
    for key in &request.by {
        let key = match v1::UsageKey::try_from(*key) {
            Ok(v1::UsageKey::Invocation) => SpendKey::Invocation,
            Ok(v1::UsageKey::Task) => SpendKey::Task,
            Ok(v1::UsageKey::Project) => SpendKey::Project,
            Ok(v1::UsageKey::Provider) => SpendKey::Provider,
            Ok(v1::UsageKey::Model) => SpendKey::Model,
            Ok(v1::UsageKey::Day) => SpendKey::Day,
            Ok(v1::UsageKey::Role) => SpendKey::Role,
            Ok(v1::UsageKey::Unspecified) | Err(_) => {
                let known = "knows invocation, task, project, provider, model, day and role";
                return Err(invalid("by", known));
            }
        };
        if !by.contains(&key) {
            by.push(key);
        }
    }
    let given = |text: &str, field| -> Result<Option<String>, Status> {
        let text = convert::name(text.to_owned(), field)?;
        Ok(Some(text).filter(|text| !text.is_empty()))
    };
    let model = request.model.clone();
    Ok(SpendQuery {
        since_ms: request.since_ms,
        until_ms: request.until_ms,
        task: given(&request.task_id, "task_id")?,
        provider: given(&request.provider, "provider")?,
        model: model
            .map(|model| convert::name(model, "model"))
            .transpose()?,
        by,
        own_only: false,
    })
}

async fn zone(name: String) -> Result<Option<Zone>, Status> {
    if name.is_empty() {
        return Ok(None);
    }
    let name = convert::name(name, "zone")?;
    let named = tokio::task::spawn_blocking(move || Zone::named(&name)).await;
    // Only a panic, or the runtime's end, gives no answer.
    match named.ok().flatten() {
        Some(zone) => Ok(Some(zone)),
        None => Err(invalid(
            "zone",
            "is no zone's name, such as Europe/Berlin, and no rule, such as CET-1CEST,M3.5.0,M10.5.0/3",
        )),
    }
}

fn answer(account: Account, most: usize) -> v1::UsageResponse {
    let total = account.total();
    let Account { spending, unread } = account;
    let mut groups = spending.groups;
    groups.sort_by(dearest);
    let mut answer = v1::UsageResponse {
        unread: unread.iter().map(|path| convert::text(path)).collect(),
        total: Some(shown(&total)),
        ..v1::UsageResponse::default()
    };
    let (mut rest, mut rest_groups, mut bytes) = (spending.rest, spending.rest_groups, 0);
    for (group, spent) in groups {
        let is_full = rest_groups > spending.rest_groups || answer.groups.len() >= most;
        let group = (!is_full).then(|| on_the_wire(group, &spent));
        // Beside its own bytes each has a tag and a length.
        bytes += group.as_ref().map_or(0, |group| group.encoded_len() + 8);
        match group.filter(|_| bytes <= BYTES_MAX) {
            Some(group) => answer.groups.push(group),
            None => {
                rest.add(&spent);
                rest_groups += 1;
            }
        }
    }
    answer.rest = (rest_groups > 0).then(|| shown(&rest));
    answer.rest_groups = wire(rest_groups);
    answer
}

/// By day, and of one day the dearest first.
fn dearest((a, one): &(SpendGroup, Spent), (b, other): &(SpendGroup, Spent)) -> Ordering {
    let by_day = a.day.cmp(&b.day);
    let by_cost = other.cost_usd.total_cmp(&one.cost_usd);
    let by_tokens = other.all_tokens().cmp(&one.all_tokens());
    by_day.then(by_cost).then(by_tokens).then_with(|| a.cmp(b))
}

fn on_the_wire(group: SpendGroup, spent: &Spent) -> v1::UsageGroup {
    v1::UsageGroup {
        project: group.project.unwrap_or_default(),
        invocation_id: group.invocation.map_or(0, |id| id.get()),
        task_id: group.task.unwrap_or_default(),
        provider: group.provider.unwrap_or_default(),
        model: group.model.unwrap_or_default(),
        role: group.role.unwrap_or_default(),
        day: group.day.map(day_text).unwrap_or_default(),
        spent: Some(shown(spent)),
    }
}

fn shown(spent: &Spent) -> v1::Spent {
    v1::Spent {
        invocations: wire(spent.invocations),
        running: wire(spent.running),
        without_usage: wire(spent.without_usage),
        without_cost: wire(spent.without_cost),
        estimated: wire(spent.estimated),
        cumulative: wire(spent.cumulative),
        input_tokens: spent.input_tokens,
        output_tokens: spent.output_tokens,
        cached_input_tokens: spent.cached_input_tokens,
        cache_creation_tokens: spent.cache_creation_tokens,
        cost_usd: spent.cost_usd,
        estimated_usd: spent.estimated_usd,
    }
}

fn wire(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Spending;

    fn account(groups: u64) -> Account {
        let group = |n: u64| {
            let group = SpendGroup {
                task: Some(format!("T-{n}")),
                ..SpendGroup::default()
            };
            let spent = Spent {
                invocations: 1,
                input_tokens: n,
                cost_usd: if n == 2 { 1.0 } else { 0.0 },
                ..Spent::default()
            };
            (group, spent)
        };
        Account {
            spending: Spending {
                groups: (1..=groups).map(group).collect(),
                ..Spending::default()
            },
            unread: Vec::new(),
        }
    }

    #[test]
    fn the_dearest_come_first_and_nothing_is_lost_of_the_rest() {
        let answer = answer(account(5), 2);
        let tasks: Vec<_> = answer.groups.iter().map(|it| it.task_id.as_str()).collect();
        assert_eq!(tasks, ["T-2", "T-5"]);
        let (rest, total) = (answer.rest.unwrap(), answer.total.unwrap());
        assert_eq!((answer.rest_groups, rest.input_tokens), (3, 8));
        assert_eq!((total.invocations, total.input_tokens), (5, 15));
    }

    #[test]
    fn an_answer_fits_a_message_however_long_the_names_are() {
        let mut account = account(2000);
        for (group, _) in &mut account.spending.groups {
            group.project = Some("p".repeat(4096));
        }
        let answer = answer(account, GROUPS_MAX);
        assert!(answer.encoded_len() < super::super::MESSAGE_MAX);
        assert!(answer.rest_groups > 0 && !answer.groups.is_empty());
        assert_eq!(answer.rest_groups + answer.groups.len() as i64, 2000);
        assert_eq!(answer.total.unwrap().invocations, 2000);
    }
}
