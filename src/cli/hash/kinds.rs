//! What the rows of each scheme ask for, and the `expect_…` fields that answer them.

use super::row::{Row, RowError};
use crate::assignment::flagd::Message;
use crate::assignment::growthbook::{self, Edge, HashVersion};
use crate::assignment::{eppo, flagd, launchdarkly, optimizely, statsig, unleash};
use crate::ids::Scheme;
use serde_json::{Value, json};

/// The fields that a row is written back with.
pub(super) type Expected = Vec<(&'static str, Value)>;

type Answer = fn(Scheme, &Row) -> Result<Expected, RowError>;

/// A kind of row, and how it is answered; none where that takes more than a hash.
struct Kind {
    name: &'static str,
    answer: Result<Answer, &'static str>,
}

const fn answered(name: &'static str, answer: Answer) -> Kind {
    Kind {
        name,
        answer: Ok(answer),
    }
}

const fn beyond(name: &'static str, why: &'static str) -> Kind {
    Kind {
        name,
        answer: Err(why),
    }
}

const GROWTHBOOK: &[Kind] = &[
    answered("hash", growthbook_hash),
    answered("range", growthbook_range),
    answered("rollout", growthbook_rollout),
    answered("rollout-boundary", growthbook_boundary),
    answered("variation", growthbook_choice),
    answered("namespace", growthbook_namespace),
    beyond("ranges", "how an experiment cuts the line into ranges"),
    beyond("choose", "which range of an experiment holds a number"),
];
const UNLEASH: &[Kind] = &[
    answered("bucket", unleash_bucket),
    answered("rollout", unleash_rollout),
    answered("variant", unleash_choice),
    beyond("spec", "what a feature's strategies and constraints come to"),
];
const LAUNCHDARKLY: &[Kind] = &[answered("bucket", launchdarkly_bucket)];
const FLAGD: &[Kind] = &[
    answered("shorthand", flagd_shorthand),
    answered("explicit", flagd_explicit),
];
const EPPO: &[Kind] = &[
    answered("shard", eppo_shard),
    beyond("ufc", "what a flag's allocations and rules come to"),
];
const OPTIMIZELY: &[Kind] = &[answered("bucket", optimizely_bucket)];
const STATSIG: &[Kind] = &[answered("pass", statsig_pass)];

fn kinds(scheme: Scheme) -> &'static [Kind] {
    match scheme {
        Scheme::Serin => &[],
        Scheme::GrowthBookV1 | Scheme::GrowthBookV2 => GROWTHBOOK,
        Scheme::Unleash => UNLEASH,
        Scheme::LaunchDarkly => LAUNCHDARKLY,
        Scheme::FlagdV2 | Scheme::FlagdV3 => FLAGD,
        Scheme::Eppo => EPPO,
        Scheme::Optimizely => OPTIMIZELY,
        Scheme::Statsig => STATSIG,
    }
}

/// The answer to `row` by `scheme`.
pub(super) fn answer(scheme: Scheme, row: &Row) -> Result<Expected, RowError> {
    if let Some(named) = row.0.get("scheme")
        && named.as_str() != Some(scheme.as_str())
    {
        return Err(RowError::new(format!(
            "`scheme` must be `{scheme}`, as `--scheme` says"
        )));
    }
    let kinds = kinds(scheme);
    let name = row.text("kind")?;
    let Some(kind) = kinds.iter().find(|kind| kind.name == name) else {
        let known = kinds.iter().filter(|kind| kind.answer.is_ok());
        return Err(RowError::unknown("kind", name, known.map(|kind| kind.name)));
    };
    match kind.answer {
        Ok(answer) => answer(scheme, row),
        Err(asks) => Err(RowError::new(format!(
            "`kind` is `{name}`, which asks {asks}: that takes the evaluation of a feature, and this verb \
             hashes only"
        ))),
    }
}

fn hash_version(scheme: Scheme) -> HashVersion {
    if scheme == Scheme::GrowthBookV1 {
        HashVersion::V1
    } else {
        HashVersion::V2
    }
}

/// Where the row's user lies; a rule is skipped for an empty one.
fn growthbook_place(scheme: Scheme, row: &Row) -> Result<Option<f64>, RowError> {
    let (seed, user) = (row.text("seed")?, row.user("id")?);
    Ok((!user.is_empty()).then(|| hash_version(scheme).place(seed, &user)))
}

fn growthbook_hash(scheme: Scheme, row: &Row) -> Result<Expected, RowError> {
    let place = hash_version(scheme).place(row.text("seed")?, &row.user("id")?);
    Ok(vec![("expect_bucket", json!(place))])
}

fn growthbook_range(scheme: Scheme, row: &Row) -> Result<Expected, RowError> {
    let range = row.range("range")?;
    let place = growthbook_place(scheme, row)?;
    let is_in = place.is_some_and(|place| growthbook::is_in_range(place, range));
    Ok(vec![("expect_in", json!(is_in))])
}

fn growthbook_rollout(scheme: Scheme, row: &Row) -> Result<Expected, RowError> {
    let coverage = row.number("coverage")?;
    let place = growthbook_place(scheme, row)?;
    let is_in = place.is_some_and(|place| growthbook::is_covered(place, coverage, Edge::Outside));
    Ok(vec![("expect_in", json!(is_in))])
}

fn growthbook_boundary(scheme: Scheme, row: &Row) -> Result<Expected, RowError> {
    let coverage = row.number("coverage")?;
    let place = growthbook_place(scheme, row)?;
    let is_in = |edge| place.is_some_and(|place| growthbook::is_covered(place, coverage, edge));
    Ok(vec![
        ("expect_bucket", json!(place)),
        ("expect_in_js_1.8.0", json!(is_in(Edge::Inside))),
        ("expect_in_python_4.0.0_rust_0.4.0", json!(is_in(Edge::Outside))),
    ])
}

fn growthbook_choice(scheme: Scheme, row: &Row) -> Result<Expected, RowError> {
    let weights: Option<Vec<f64>> = row.list("weights")?.iter().map(Value::as_f64).collect();
    let weights = weights.ok_or_else(|| RowError::new("`weights` must be a list of numbers"))?;
    let ranges = growthbook::ranges(weights.len(), row.number("coverage")?, Some(&weights));
    let place = growthbook_place(scheme, row)?;
    let chosen = place.and_then(|place| growthbook::choose(place, &ranges));
    // The SDKs' number for "in no variation".
    let index = chosen.map_or(json!(-1), |index| json!(index));
    Ok(vec![("expect_index", index), ("expect_bucket", json!(place))])
}

fn growthbook_namespace(_: Scheme, row: &Row) -> Result<Expected, RowError> {
    let namespace = match row.list("namespace")? {
        [name, from, to] => name.as_str().zip(from.as_f64().zip(to.as_f64())),
        _ => None,
    };
    let rule = "`namespace` must be a name and two numbers";
    let (name, (from, to)) = namespace.ok_or_else(|| RowError::new(rule))?;
    let place = growthbook::place_in_namespace(name, &row.user("id")?);
    let is_in = growthbook::is_in_range(place, [from, to]);
    Ok(vec![("expect_in", json!(is_in))])
}

fn unleash_bucket(_: Scheme, row: &Row) -> Result<Expected, RowError> {
    let percentage = unleash::percentage(row.text("group")?, &row.user("id")?);
    Ok(vec![("expect_bucket", json!(percentage))])
}

fn unleash_rollout(_: Scheme, row: &Row) -> Result<Expected, RowError> {
    let is_on = unleash::is_on(row.text("group")?, &row.user("id")?, row.count("rollout")?);
    Ok(vec![("expect_in", json!(is_on))])
}

fn unleash_choice(_: Scheme, row: &Row) -> Result<Expected, RowError> {
    let variants = row.weighted("variants")?;
    let weights: Option<Vec<u32>> = variants
        .iter()
        .map(|(_, weight)| u32::try_from(*weight).ok())
        .collect();
    let weights = weights.ok_or_else(|| RowError::new("`variants` must have weights from 0"))?;
    let chosen = unleash::variant(row.text("group")?, &row.user("id")?, &weights);
    Ok(vec![("expect_variant", named(&variants, chosen))])
}

/// The name of the chosen one; null for none.
fn named(variants: &[(&Value, i64)], chosen: Option<usize>) -> Value {
    chosen
        .and_then(|index| variants.get(index))
        .map_or(Value::Null, |(name, _)| (*name).clone())
}

fn launchdarkly_bucket(_: Scheme, row: &Row) -> Result<Expected, RowError> {
    let prefix = match row.0.get("seed") {
        None | Some(Value::Null) => format!("{}.{}", row.text("key")?, row.text("salt")?),
        Some(seed) if seed.is_i64() || seed.is_u64() => seed.to_string(),
        Some(_) => return Err(RowError::new("`seed` must be a whole number or null")),
    };
    // An attribute that cannot be hashed lies at 0; so the SDKs have it.
    let user = row
        .user("id")
        .ok()
        .filter(|_| row.0.get("id") != Some(&Value::Null));
    row.field("id")?;
    let place = user
        .as_ref()
        .map_or(0.0, |user| launchdarkly::place(&prefix, user));
    if !row.0.contains_key("weights") {
        let place_f32 = user
            .as_ref()
            .map_or(0.0, |user| launchdarkly::place_f32(&prefix, user));
        let rounded = (f64::from(place_f32) * 1e7).round() / 1e7;
        return Ok(vec![
            ("expect_bucket", json!(place)),
            ("expect_bucket_f32_1e-7", json!(rounded)),
        ]);
    }
    let variations = row.weighted("weights")?;
    #[expect(clippy::cast_precision_loss, reason = "the SDKs weigh in floating point, too")]
    let weights: Vec<f64> = variations.iter().map(|(_, weight)| *weight as f64).collect();
    let chosen = launchdarkly::variation(place, &weights);
    Ok(vec![
        ("expect_bucket", json!(place)),
        ("expect_variation", named(&variations, chosen)),
    ])
}

fn flagd_shorthand(scheme: Scheme, row: &Row) -> Result<Expected, RowError> {
    let (flag, user) = (row.text("flag")?, row.user("id")?);
    let hash = if scheme == Scheme::FlagdV3 {
        flagd::hash_of_pair(flag, &user)
    } else {
        flagd::hash_of_text(flag, &user)
    };
    flagd_choice(row, (!user.is_empty()).then_some(hash))
}

fn flagd_explicit(scheme: Scheme, row: &Row) -> Result<Expected, RowError> {
    let text = row.user("bucket_by")?;
    let hash = if scheme == Scheme::FlagdV3 {
        Message::Text("".into()).hash(&text)
    } else {
        flagd::hash_of_text("", &text)
    };
    flagd_choice(row, (!text.is_empty()).then_some(hash))
}

fn flagd_choice(row: &Row, hash: Option<u32>) -> Result<Expected, RowError> {
    let variants = row.weighted("dist")?;
    let weights: Vec<i64> = variants.iter().map(|(_, weight)| *weight).collect();
    let chosen = hash.and_then(|hash| flagd::variant(hash, &weights));
    Ok(vec![("expect_variant", named(&variants, chosen))])
}

fn eppo_shard(_: Scheme, row: &Row) -> Result<Expected, RowError> {
    let shard = eppo::shard(row.text("salt")?, &row.user("id")?, row.count("total")?);
    let shard = shard.ok_or_else(|| RowError::new("`total` must be at least 1"))?;
    Ok(vec![("expect_shard", json!(shard))])
}

fn optimizely_bucket(_: Scheme, row: &Row) -> Result<Expected, RowError> {
    let place = optimizely::place(row.text("parent")?, &row.user("id")?);
    Ok(vec![("expect_bucket", json!(place))])
}

fn statsig_pass(_: Scheme, row: &Row) -> Result<Expected, RowError> {
    let prefix = format!("{}.{}", row.text("spec_salt")?, row.text("rule_salt")?);
    let place = statsig::place(&prefix, &row.user("id")?);
    let passes = statsig::passes(place, row.number("pct")?);
    Ok(vec![("expect_in", json!(passes))])
}
