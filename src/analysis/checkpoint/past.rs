//! What treatment is compared with while nobody is in control.

use super::super::bins::LogBin;
use super::super::codec::{CodecError, Reader, Writer};
use super::super::limit::Limit;
use super::super::metric::MetricEngine;
use super::super::past::{Frozen, Past};
use super::super::settings::{ContrastPlan, LimitSettings, TestSettings};
use super::{read_flag, read_floats, read_limit, read_tick, write_limit, write_tick};

pub(super) fn write_past(writer: &mut Writer, past: &Past) {
    write_tick(writer, past.since);
    writer.varint(past.limits.len() as u64);
    for limit in &past.limits {
        let LimitSettings {
            test,
            limit: number,
            edge,
        } = *limit.settings();
        [number, test.prior_centre]
            .into_iter()
            .for_each(|number| writer.float(number));
        writer.byte(u8::from(edge.is_some()));
        if let Some(edge) = edge {
            writer.integer(i64::from(edge.number()));
        }
        write_limit(writer, &limit.sums);
    }
}

pub(super) fn read_past(
    reader: &mut Reader<'_>,
    metric: &MetricEngine,
    format: u8,
) -> Result<Past, CodecError> {
    let since = read_tick(reader)?;
    let tests: Vec<TestSettings> = match &metric.plan.contrast {
        None => Vec::new(),
        Some(ContrastPlan::Values(settings)) => vec![settings.test],
        Some(ContrastPlan::Quantiles(settings)) => {
            settings.iter().map(|settings| settings.exceedance.test).collect()
        }
    };
    if tests.is_empty() || reader.varint("the number of frozen limits")? != tests.len() as u64 {
        return Err(CodecError::OtherMetrics);
    }
    let limits: Result<Vec<Limit>, CodecError> = tests
        .into_iter()
        .map(|test| {
            let frozen = read_frozen(reader)?;
            read_limit(reader, Past::settings(test, frozen), format)
        })
        .collect();
    Ok(Past {
        since,
        limits: limits?,
    })
}

fn read_frozen(reader: &mut Reader<'_>) -> Result<Frozen, CodecError> {
    let [limit, centre] = read_floats(reader)?;
    let edge = if read_flag(reader)? {
        let number = i16::try_from(reader.integer("a frozen edge")?).ok();
        let edge = number.and_then(LogBin::new);
        Some(edge.ok_or(CodecError::Malformed("a frozen edge is not that of a bin"))?)
    } else {
        None
    };
    Ok(Frozen { limit, centre, edge })
}
