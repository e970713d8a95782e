//! Scores that were sent, read again: `/api/public/v3/scores`, `/api/public/v2/scores`.

use super::access::Keys;
use super::prompt_view::PageView;
use super::refusal::Refusal;
use super::request::Params;
use super::score_view::{self, Groups};
use crate::api::App;
use crate::api::access::Read;
use crate::store::{Comparison, ScoreFilter, ScoreKind, ScorePage, ScoreSource};
use axum::Json;
use axum::extract::{Path, State};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Most entries of a list in a query.
const LIST_MAX: usize = 500;

/// `GET /api/public/v3/scores`, newest first, from cursor to cursor.
pub(super) async fn v3(
    State(app): State<Arc<App>>,
    _: Keys<Read>,
    params: Params,
) -> Result<Json<Value>, Refusal> {
    let limit = params.limit()?;
    let groups = groups(&params)?;
    let mut filter = filter(&params)?;
    filter.ids = list(&params, "id")?;
    filter.dataset_runs = list(&params, "experimentId")?;
    values(&params, &mut filter)?;
    let kinds = [&filter.traces, &filter.sessions, &filter.dataset_runs];
    if kinds.iter().filter(|kind| !kind.is_empty()).count() > 1 {
        return Err(Refusal::data(
            "traceId",
            "goes without `sessionId` and `experimentId`",
        ));
    }
    if !filter.observations.is_empty() && filter.traces.is_empty() {
        return Err(Refusal::data("observationId", "needs `traceId`"));
    }
    let page = ScorePage {
        before: params.get("cursor").map(before).transpose()?,
        skip: 0,
        limit: limit + 1,
    };
    let mut scores = app.store.scores(filter, page).await?;
    let is_last = scores.len() <= limit;
    scores.truncate(limit);
    let mut meta = json!({"limit": limit});
    if let Some((place, _)) = scores.last().filter(|_| !is_last) {
        meta["cursor"] = json!(URL_SAFE_NO_PAD.encode(place.to_string()));
    }
    let data: Vec<Value> = scores
        .iter()
        .map(|(_, score)| score_view::v3(score, groups))
        .collect();
    Ok(Json(json!({"data": data, "meta": meta})))
}

fn before(cursor: &str) -> Result<u64, Refusal> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor.trim_end_matches('=')).ok();
    let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
    text.and_then(|text| text.parse().ok())
        .filter(|place| i64::try_from(*place).is_ok())
        .ok_or_else(|| Refusal::data("cursor", "must be the cursor of an earlier page"))
}

fn groups(params: &Params) -> Result<Groups, Refusal> {
    let mut groups = Groups::default();
    for group in list(params, "fields")? {
        match group.as_str() {
            "core" => {}
            "details" => groups.details = true,
            "subject" => groups.subject = true,
            "annotation" => groups.annotation = true,
            _ => {
                return Err(Refusal::data(
                    "fields",
                    "must be of `details`, `subject` and `annotation`",
                ));
            }
        }
    }
    Ok(groups)
}

/// `GET /api/public/v2/scores`, newest first, in numbered pages.
pub(super) async fn v2(
    State(app): State<Arc<App>>,
    _: Keys<Read>,
    params: Params,
) -> Result<Json<PageView<Value>>, Refusal> {
    for unknown in ["userId", "traceTags", "filter"] {
        if params.get(unknown).is_some() {
            return Err(Refusal::data(unknown, "Serin keeps nothing to filter by it"));
        }
    }
    let (number, limit) = (params.page()?, params.limit()?);
    let mut filter = filter(&params)?;
    filter.ids = list(&params, "scoreIds")?;
    filter.dataset_runs = list(&params, "datasetRunId")?;
    if let Some(operator) = params.get("operator") {
        let comparison = Comparison::ALL.into_iter().find(|it| it.as_str() == operator);
        let comparison =
            comparison.ok_or_else(|| Refusal::data("operator", "must be one of < > <= >= != ="))?;
        let value = params.number("value")?;
        let value = value.ok_or_else(|| Refusal::data("value", "goes with `operator`"))?;
        filter.numbers.push((comparison, value));
    }
    let page = ScorePage {
        before: None,
        skip: limit.saturating_mul(number - 1),
        limit,
    };
    let total = app.store.count_scores(filter.clone()).await?;
    let scores = app.store.scores(filter, page).await?;
    let data = scores.iter().map(|(_, score)| score_view::v2(score)).collect();
    Ok(Json(PageView::new(data, number, limit, total)))
}

/// `GET /api/public/v2/scores/{id}`.
pub(super) async fn one(
    State(app): State<Arc<App>>,
    _: Keys<Read>,
    Path(id): Path<String>,
) -> Result<Json<Value>, Refusal> {
    let filter = ScoreFilter {
        ids: [id].into(),
        ..ScoreFilter::default()
    };
    let page = ScorePage {
        before: None,
        skip: 0,
        limit: 1,
    };
    let scores = app.store.scores(filter, page).await?;
    let (_, score) = scores
        .first()
        .ok_or_else(|| Refusal::not_found("Score not found within authorized project"))?;
    Ok(Json(score_view::v2(score)))
}

/// What both versions filter by.
fn filter(params: &Params) -> Result<ScoreFilter, Refusal> {
    Ok(ScoreFilter {
        names: list(params, "name")?,
        sources: words(params, "source", &ScoreSource::ALL, ScoreSource::as_str)?,
        kinds: words(params, "dataType", &ScoreKind::ALL, ScoreKind::as_str)?,
        environments: list(params, "environment")?,
        configs: list(params, "configId")?,
        queues: list(params, "queueId")?,
        traces: list(params, "traceId")?,
        observations: list(params, "observationId")?,
        sessions: list(params, "sessionId")?,
        from: params.moment("fromTimestamp")?,
        to: params.moment("toTimestamp")?,
        ..ScoreFilter::default()
    })
}

/// Values of version 3, which need one data type.
fn values(params: &Params, filter: &mut ScoreFilter) -> Result<(), Refusal> {
    let only = |kind: ScoreKind| filter.kinds.len() == 1 && filter.kinds.contains(&kind);
    let (numeric, boolean, categorical) = (
        only(ScoreKind::Numeric),
        only(ScoreKind::Boolean),
        only(ScoreKind::Categorical),
    );
    for (name, comparison) in [
        ("valueMin", Comparison::AtLeast),
        ("valueMax", Comparison::AtMost),
    ] {
        if let Some(bound) = params.number(name)? {
            if !numeric {
                return Err(Refusal::data(name, "needs `dataType=NUMERIC`"));
            }
            filter.numbers.push((comparison, bound));
        }
    }
    let Some(value) = params.get("value") else {
        return Ok(());
    };
    if categorical {
        filter.words = list(params, "value")?;
        return Ok(());
    }
    let refused = || {
        Refusal::data(
            "value",
            "must be one value of the one `dataType` that goes with it",
        )
    };
    let number = match value {
        "true" if boolean => 1.0,
        "false" if boolean => 0.0,
        _ if numeric => params.number("value")?.ok_or_else(refused)?,
        _ => return Err(refused()),
    };
    filter.numbers.push((Comparison::Equal, number));
    Ok(())
}

/// The entries of lists with commas, of every time that the parameter is given.
fn list(params: &Params, name: &str) -> Result<BTreeSet<String>, Refusal> {
    let entries = params.all(name).flat_map(|list| list.split(','));
    let entries: BTreeSet<String> = entries
        .map(str::trim)
        .filter(|entry| !entry.is_empty())
        .map(str::to_owned)
        .collect();
    if entries.len() > LIST_MAX {
        return Err(Refusal::data(
            name,
            format!("must have at most {LIST_MAX} entries"),
        ));
    }
    Ok(entries)
}

/// Words of a closed set, in any case.
fn words<T: Copy + Ord>(
    params: &Params,
    name: &str,
    all: &[T],
    as_str: fn(T) -> &'static str,
) -> Result<BTreeSet<T>, Refusal> {
    let word = |text: String| {
        let found = all.iter().find(|item| as_str(**item).eq_ignore_ascii_case(&text));
        found
            .copied()
            .ok_or_else(|| Refusal::data(name, "has a word that is not one of its words"))
    };
    list(params, name)?.into_iter().map(word).collect()
}
