//! The route table as it is sent, and as the file keeps it.
//!
//! What a newer server adds to a route is passed over where this version can assign without it; a
//! server that cannot be assigned for without it gives its table another format.

use super::admission::{AdmissionWire, admission};
use super::table::{Entry, Forced, Table, TableError};
use crate::assignment::bucket::{Purpose, SECRET_BYTES, SplitKey, SplitSalt};
use crate::assignment::forced::DIGEST_BYTES;
use crate::assignment::line::Line;
use crate::assignment::{Admission, Idle, Route, Served, Treatment};
use crate::ids::{Exposure, Generation, InvalidId, Label, PolicyName, PromptName, Salt, Scheme, Version};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::collections::HashSet;
use std::sync::Arc;

/// The form that this version reads.
pub(super) const FORMAT: &str = "serin/route-table/v1";

#[derive(Debug, Deserialize)]
struct TableWire<'t> {
    format: String,
    /// Each by itself, so that one that cannot be read is one alone.
    #[serde(borrow)]
    routes: Vec<&'t RawValue>,
}

#[derive(Debug, Deserialize)]
struct NameWire {
    policy: String,
}

#[derive(Debug, Deserialize)]
struct RouteWire {
    policy: String,
    prompt: String,
    control: ServedWire,
    idle: String,
    treatment: Option<TreatmentWire>,
}

#[derive(Debug, Deserialize)]
struct ServedWire {
    label: String,
    version: Option<u32>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TreatmentWire {
    label: String,
    version: Option<u32>,
    exposure_ppm: u32,
    holdback_ppm: u32,
    rollout: String,
    generation: u64,
    line: LineWire,
    #[serde(default)]
    restricted: bool,
    /// None of a server that says no more than whether it is restricted.
    admission: Option<AdmissionWire>,
    forced: ForcedWire,
}

#[derive(Debug, Deserialize)]
struct LineWire {
    scheme: String,
    key: Option<String>,
    salt: Option<String>,
}

#[derive(Debug, Deserialize)]
struct ForcedWire {
    treatment: Vec<String>,
    control: Vec<String>,
}

/// What the file of a client holds.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct KeptWire<'t> {
    pub(super) server: String,
    pub(super) tag: String,
    #[serde(borrow)]
    pub(super) table: &'t RawValue,
}

/// Why one route cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    #[error(transparent)]
    Invalid(#[from] InvalidId),
    #[error("its form is unknown ({0})")]
    Form(#[from] serde_json::Error),
    #[error("`{0}` is an unknown reason")]
    Idle(String),
    #[error("`{0}` is an unknown hash, or has no key or salt of its own")]
    Line(String),
    #[error("its rollout is for some users only, whom the server alone can tell")]
    Restricted,
    #[error("it has more conditions or comparisons than can be, or a condition without any")]
    Conditions,
    #[error("`{0}` is no name of an attribute")]
    Attribute(String),
    #[error("`{0}` is no operator, number or version that attributes are compared with")]
    Operand(String),
    #[error("a key or digest has not {0} bytes of base64url")]
    Bytes(usize),
}

/// The table in this text.
///
/// # Errors
///
/// It is no table, or has another format. A route that cannot be read is one that cannot be assigned by.
pub(super) fn table(text: &[u8]) -> Result<Table, TableError> {
    let wire: TableWire<'_> = serde_json::from_slice(text).map_err(TableError::NotUnderstood)?;
    if wire.format != FORMAT {
        return Err(TableError::OtherFormat(wire.format));
    }
    let mut table = Table::default();
    for route in wire.routes {
        match entry(route) {
            Ok(entry) => table.add(entry),
            Err(why) => {
                let name: NameWire = serde_json::from_str(route.get()).map_err(TableError::NotUnderstood)?;
                tracing::warn!(policy = %name.policy, why = %why, "a policy cannot be read");
                table.add_unread(name.policy, why.to_string());
            }
        }
    }
    Ok(table)
}

fn entry(route: &RawValue) -> Result<Entry, Unread> {
    let wire: RouteWire = serde_json::from_str(route.get())?;
    let policy = PolicyName::new(&wire.policy)?;
    let forced = match &wire.treatment {
        Some(treatment) => forced(&treatment.forced)?,
        None => Forced::default(),
    };
    let treatment = wire.treatment.map(|wire| treatment(&policy, wire)).transpose()?;
    let route = Route {
        prompt: PromptName::new(&wire.prompt)?,
        control: served(&wire.control.label, wire.control.version)?,
        idle: idle(&wire.idle)?,
        policy,
        treatment,
    };
    Ok(Entry { route, forced })
}

fn treatment(policy: &PolicyName, wire: TreatmentWire) -> Result<Treatment, Unread> {
    let admission = match wire.admission {
        Some(wire) => admission(wire)?,
        None if wire.restricted => return Err(Unread::Restricted),
        None => Admission::default(),
    };
    Ok(Treatment {
        served: served(&wire.label, wire.version)?,
        exposure: Exposure::from_ppm(wire.exposure_ppm)?,
        holdback: Exposure::from_ppm(wire.holdback_ppm)?,
        rollout: wire.rollout.parse()?,
        generation: Generation::new(wire.generation),
        line: line(policy, wire.line)?,
        cluster_key: no_clusters(policy),
        admission,
        // They are known by digest alone.
        forced_treatment: Arc::default(),
        forced_control: Arc::default(),
    })
}

/// Clusters are the server's own, whose key it gives to nobody; an `Assignment` has none.
fn no_clusters(policy: &PolicyName) -> SplitKey {
    let salt = SplitSalt::of(None, policy, Version::FIRST);
    SplitKey::derive(&[0; SECRET_BYTES], Purpose::Cluster, &salt)
}

fn served(label: &str, version: Option<u32>) -> Result<Served, Unread> {
    Ok(Served {
        label: Label::new(label)?,
        version: version.map(Version::new).transpose()?,
    })
}

fn idle(word: &str) -> Result<Idle, Unread> {
    match word {
        "no_rollout" => Ok(Idle::NoRollout),
        "pending" => Ok(Idle::Pending),
        "rolled_back" => Ok(Idle::RolledBack),
        "promoted" => Ok(Idle::Promoted),
        _ => Err(Unread::Idle(word.to_owned())),
    }
}

fn line(policy: &PolicyName, wire: LineWire) -> Result<Line, Unread> {
    let scheme: Scheme = wire.scheme.parse()?;
    if let (Scheme::Serin, Some(key)) = (scheme, &wire.key) {
        return Ok(Line::Serin(SplitKey::from_bytes(bytes(key)?)));
    }
    let salt = wire.salt.as_deref().map(Salt::new).transpose()?;
    let line = salt.and_then(|salt| Line::open(scheme, Some(policy), &SplitSalt::Declared(&salt)));
    line.ok_or(Unread::Line(wire.scheme))
}

fn forced(wire: &ForcedWire) -> Result<Forced, Unread> {
    let digests = |texts: &[String]| -> Result<HashSet<[u8; DIGEST_BYTES]>, Unread> {
        texts.iter().map(|text| bytes(text)).collect()
    };
    Ok(Forced {
        treatment: digests(&wire.treatment)?,
        control: digests(&wire.control)?,
    })
}

pub(super) fn bytes<const N: usize>(text: &str) -> Result<[u8; N], Unread> {
    let decoded = URL_SAFE_NO_PAD.decode(text).ok();
    let bytes = decoded.and_then(|bytes| bytes.try_into().ok());
    bytes.ok_or(Unread::Bytes(N))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::AssignError;

    fn text(line: &str) -> String {
        format!(
            r#"{{"format":"serin/route-table/v1","later":1,"routes":[
                {{"policy":"old","prompt":"old","control":{{"label":"production","version":1}},"idle":"promoted","treatment":null}},
                {{"policy":"new","prompt":"new","control":{{"label":"production","version":1}},"idle":"no_rollout","treatment":{{
                    "label":"canary","version":2,"exposurePpm":1000000,"holdbackPpm":0,"rollout":"r1","generation":1,
                    "line":{line},"forced":{{"treatment":[],"control":[]}}}}}}]}}"#
        )
    }

    #[test]
    fn a_route_that_cannot_be_read_is_one_alone() {
        for (line, why) in [
            (r#"{"scheme":"tomorrow","key":null,"salt":"s"}"#, "`tomorrow`"),
            (r#"{"scheme":"unleash","key":null,"salt":null}"#, "`unleash`"),
            (r#"{"scheme":"serin","key":null,"salt":null}"#, "`serin`"),
            (r#"{"scheme":"serin","key":"AAAA","salt":null}"#, "16 bytes"),
            (r#"{"key":null}"#, "missing field `scheme`"),
        ] {
            let table = table(text(line).as_bytes()).unwrap();
            assert_eq!(
                table.assign("old", "anna").unwrap().served.label.as_str(),
                "production"
            );
            let error = table.assign("new", "anna").unwrap_err();
            assert!(matches!(error, AssignError::Unread { .. }), "{error}");
            assert!(error.to_string().contains(why), "{error}");
        }
    }

    #[test]
    fn a_rollout_for_users_whom_the_table_does_not_tell_is_left_to_the_server() {
        let line = r#"{"scheme":"unleash","key":null,"salt":"s"},"restricted":true"#;
        let table = table(text(line).as_bytes()).unwrap();
        let error = table.assign("new", "anna").unwrap_err().to_string();
        assert!(error.contains("ask the server"), "{error}");
    }

    #[test]
    fn conditions_that_are_unknown_are_left_to_the_server() {
        const NOBODY: &str = r#"{"reserve":null,"group":null,"segment":null,"conditions":[]"#;
        let with = |condition: &str| NOBODY.replace("[]", &format!("[{condition}]"));
        for (admission, why) in [
            (format!("{NOBODY},\"weather\":null}}"), "`weather`"),
            (with(r#"{"attribute":"a","test":{"like":"x"}}"#) + "}", "`like`"),
            (
                with(r#"{"attribute":"a","test":{"number":[]}}"#) + "}",
                "without any",
            ),
            (
                with(r#"{"attribute":"a b","test":{"oneOf":{"texts":[]}}}"#) + "}",
                "`a b`",
            ),
            (
                with(r#"{"attribute":"a","test":{"number":[{"operator":"~","operand":1}]}}"#) + "}",
                "`~`",
            ),
            (
                with(r#"{"attribute":"a","test":{"version":[{"operator":">","operand":"1"}]}}"#) + "}",
                "`1`",
            ),
        ] {
            let line = format!(
                r#"{{"scheme":"unleash","key":null,"salt":"s"}},"restricted":true,"admission":{admission}"#
            );
            let table = table(text(&line).as_bytes()).unwrap();
            let error = table.assign("new", "anna").unwrap_err().to_string();
            assert!(error.contains(why) && error.contains("ask the server"), "{error}");
        }
    }

    #[test]
    fn what_is_there_is_assigned() {
        let table = table(text(r#"{"scheme":"unleash","key":null,"salt":"s"}"#).as_bytes()).unwrap();
        assert_eq!(
            table.assign("new", "anna").unwrap().served.label.as_str(),
            "canary"
        );
        let unknown = AssignError::UnknownPolicy {
            policy: "other".to_owned(),
        };
        assert_eq!(table.assign("other", "anna"), Err(unknown));
        for user in [String::new(), "x".repeat(257)] {
            assert!(matches!(
                table.assign("new", &user),
                Err(AssignError::BadUser { .. })
            ));
        }
    }

    #[test]
    fn another_format_is_refused_as_a_whole() {
        let text = text("{}").replace("route-table/v1", "route-table/v2");
        assert!(matches!(table(text.as_bytes()), Err(TableError::OtherFormat(_))));
        assert!(matches!(table(b"<html>"), Err(TableError::NotUnderstood(_))));
    }
}
