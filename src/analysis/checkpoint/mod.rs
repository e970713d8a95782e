//! An engine's state as bytes, so that a restart goes on bit for bit.
//!
//! ```text
//! format            1 byte   4; 3 lacks what is held; 2 also has four odds ratios, without their number,
//!                            and no bets on health; 1 also lacks the clipped values, what a metric is compared with besides
//!                            control and limit, and everything after the metrics
//! through           optional tick
//! failed            varint   0 for none, else the blamed metric's position + 1, then what it is worse
//!                            than (1 byte: 0 control, 1 limit, 2 the past)
//! metrics           varint
//! per metric        name (varint length, bytes), control and treatment seen,
//!                   comparison (1 byte: 0 none, 1 of values, 2 of quantiles), limit (flag byte, sums),
//!                   past (flag byte, optional tick, how many varint, per limit: limit and centre, edge
//!                   (flag byte, number), sums), held (optional tick, and then tallies of both arms)
//! sample ratios     of users, then of those of whom something was left out: counts by share, and
//!                   since when they are proved to be wrong, optional tick
//! lines left out    counts per arm: fallbacks, values out of range
//! checksum          8 bytes  the first of SHA-256 over everything before
//!
//! seen              count varint, sum 8 bytes, clipped varint, last tick optional
//! of values         sums of a contrast
//! bets              how many varint, and what each has won
//! of quantiles      how many varint; per quantile: sums of a contrast, and of that which proves
//!                   health (flag byte); bins of control and of treatment (how many varint, bins)
//! optional tick     flag byte, then the second, 8 bytes
//! sums of an arm    count varint, sum, used varint, three sums, clusters varint,
//!                   per cluster: count varint, and its residual where the count is not 0
//! ```
//!
//! Varints, floats and bins are those of [`codec`](super::codec), counts those of a
//! [`Headcount`](super::Headcount). Settings are not written: they follow
//! from the policy's revision, under which a rollout goes on to its end.

mod bets;
mod past;
mod stratum;

use super::Versus;
use super::bernoulli::BernoulliProcess;
use super::bins::Sketch;
use super::codec::{CodecError, Reader, Writer};
use super::contrast::{Contrast, ContrastSums};
use super::engine::Engine;
use super::limit::{Limit, LimitSums};
use super::metric::{Compared, MetricEngine, Seen};
use super::quantile::{QuantileTest, Quantiles};
use super::sample_ratio::SampleRatio;
use super::settings::{ContrastPlan, ContrastSettings, EnginePlan, LimitSettings, QuantileSettings};
use super::variance::ArmSums;
use crate::ids::Tick;
use crate::policy::Policy;
use bets::{COUNTED_BETS_FORMAT, read_bets, write_bets};
use past::{read_past, write_past};
use sha2::{Digest as _, Sha256};
use stratum::{read_stratum, write_stratum};

/// Format of encoded engines that this build writes and reads.
const ENGINE_FORMAT: u8 = 4;

/// The oldest format that it reads.
const ENGINE_FORMAT_OLDEST: u8 = 1;
/// The first with clipped values, sample ratios and what was left out.
const CLIPPED_FORMAT: u8 = 2;

/// Comparisons by the byte that stands before them.
const NO_COMPARISON: u8 = 0;
const OF_VALUES: u8 = 1;
const OF_QUANTILES: u8 = 2;

/// Length of the checksum, in bytes.
const CHECKSUM_BYTES: usize = 8;

impl Engine {
    /// Writes the state, with a format number and a checksum, so that [`decode`](Self::decode) goes on
    /// bit for bit.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.byte(ENGINE_FORMAT);
        write_tick(&mut writer, self.through);
        writer.varint(self.failed.map_or(0, |(index, _)| index as u64 + 1));
        if let Some((_, versus)) = self.failed {
            writer.byte(versus_byte(versus));
        }
        writer.varint(self.metrics.len() as u64);
        for metric in &self.metrics {
            write_metric(&mut writer, metric);
        }
        for ratio in [&self.users, &self.excluded] {
            writer.by_share(&ratio.users);
            write_tick(&mut writer, ratio.since);
        }
        writer.per_arm(self.fallback);
        writer.per_arm(self.out_of_range);
        let mut bytes = writer.finish();
        let checksum = checksum(&bytes);
        bytes.extend_from_slice(&checksum);
        bytes
    }

    /// Reads what an engine for the same policy wrote.
    ///
    /// # Errors
    ///
    /// Any [`CodecError`]: bytes that were cut, changed, written by another build, or for a policy
    /// with other metrics. Nothing is repaired; the ticks can be folded again.
    pub fn decode(policy: &Policy, bytes: &[u8]) -> Result<Self, CodecError> {
        Self::decode_plan(EnginePlan::of(policy), bytes)
    }

    /// Reads what an engine for the same plan wrote; see [`decode`](Self::decode).
    pub fn decode_plan(plan: EnginePlan, bytes: &[u8]) -> Result<Self, CodecError> {
        let (body, checked) = bytes
            .split_last_chunk()
            .ok_or(CodecError::Truncated("the checksum"))?;
        let mut reader = Reader::new(body);
        let format = reader.format(ENGINE_FORMAT_OLDEST, ENGINE_FORMAT)?;
        if checksum(body) != *checked {
            return Err(CodecError::Checksum);
        }
        let mut engine = Self::from_plan(plan);
        engine.through = read_tick(&mut reader)?;
        engine.failed = read_failed(&mut reader, format)?;
        if reader.varint("the number of metrics")? != engine.metrics.len() as u64 {
            return Err(CodecError::OtherMetrics);
        }
        for metric in &mut engine.metrics {
            read_metric(&mut reader, metric, format)?;
        }
        if format >= CLIPPED_FORMAT {
            engine.users = read_ratio(&mut reader)?;
            engine.excluded = read_ratio(&mut reader)?;
            engine.fallback = reader.per_arm()?;
            engine.out_of_range = reader.per_arm()?;
        }
        reader.end()?;
        if engine
            .failed
            .is_some_and(|(index, _)| index >= engine.metrics.len())
        {
            return Err(CodecError::OtherMetrics);
        }
        Ok(engine)
    }
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let digest = Sha256::digest(bytes);
    std::array::from_fn(|index| digest[index])
}

fn read_failed(reader: &mut Reader<'_>, format: u8) -> Result<Option<(usize, Versus)>, CodecError> {
    let Some(index) = reader.varint("the blamed metric")?.checked_sub(1) else {
        return Ok(None);
    };
    let index = usize::try_from(index).map_err(|_| CodecError::OtherMetrics)?;
    let versus = if format >= CLIPPED_FORMAT {
        read_versus(reader)?
    } else {
        Versus::Control
    };
    Ok(Some((index, versus)))
}

fn versus_byte(versus: Versus) -> u8 {
    match versus {
        Versus::Control => 0,
        Versus::Limit => 1,
        Versus::Past => 2,
    }
}

fn read_versus(reader: &mut Reader<'_>) -> Result<Versus, CodecError> {
    let byte = reader.byte("what a metric is worse than")?;
    [Versus::Control, Versus::Limit, Versus::Past]
        .into_iter()
        .find(|&versus| versus_byte(versus) == byte)
        .ok_or(CodecError::Malformed("a metric is worse than something unknown"))
}

fn write_metric(writer: &mut Writer, metric: &MetricEngine) {
    let name = metric.plan.name.as_str().as_bytes();
    writer.varint(name.len() as u64);
    name.iter().for_each(|&byte| writer.byte(byte));
    write_seen(writer, metric.control);
    write_seen(writer, metric.treatment);
    match &metric.contrast {
        None => writer.byte(NO_COMPARISON),
        Some(Compared::Values(contrast)) => {
            writer.byte(OF_VALUES);
            write_contrast(writer, contrast);
        }
        Some(Compared::Quantiles(quantiles)) => {
            writer.byte(OF_QUANTILES);
            write_quantiles(writer, quantiles);
        }
    }
    writer.byte(u8::from(metric.limit.is_some()));
    if let Some(limit) = &metric.limit {
        write_limit(writer, &limit.sums);
    }
    writer.byte(u8::from(metric.past.is_some()));
    if let Some(past) = &metric.past {
        write_past(writer, past);
    }
    write_stratum(writer, &metric.stratum);
}

fn read_metric(reader: &mut Reader<'_>, metric: &mut MetricEngine, format: u8) -> Result<(), CodecError> {
    let name = metric.plan.name.as_str().as_bytes();
    if reader.varint("the length of a name")? != name.len() as u64 {
        return Err(CodecError::OtherMetrics);
    }
    for &expected in name {
        if reader.byte("a name")? != expected {
            return Err(CodecError::OtherMetrics);
        }
    }
    metric.control = read_seen(reader, format)?;
    metric.treatment = read_seen(reader, format)?;
    metric.contrast = match (reader.byte("a comparison")?, &metric.plan.contrast) {
        (NO_COMPARISON, None) => None,
        (OF_VALUES, Some(ContrastPlan::Values(settings))) => Some(Compared::Values(Box::new(read_contrast(
            reader, *settings, format,
        )?))),
        (OF_QUANTILES, Some(ContrastPlan::Quantiles(settings))) => {
            Some(Compared::Quantiles(read_quantiles(reader, settings, format)?))
        }
        (_, _) => return Err(CodecError::OtherMetrics),
    };
    if read_flag(reader)? != metric.limit.is_some() {
        return Err(CodecError::OtherMetrics);
    }
    if let (Some(settings), Some(limit)) = (metric.plan.limit, &mut metric.limit) {
        *limit = read_limit(reader, settings, format)?;
    }
    if format >= CLIPPED_FORMAT && read_flag(reader)? {
        metric.past = Some(read_past(reader, metric, format)?);
    }
    metric.stratum = read_stratum(reader, format)?;
    Ok(())
}

fn write_limit(writer: &mut Writer, sums: &LimitSums) {
    [sums.sum, sums.weight]
        .into_iter()
        .for_each(|sum| writer.float(sum));
    write_bets(writer, &sums.process);
    write_arm(writer, &sums.treatment);
}

fn read_limit(reader: &mut Reader<'_>, settings: LimitSettings, format: u8) -> Result<Limit, CodecError> {
    let [sum, weight] = read_floats(reader)?;
    let process = read_bets(reader, settings.test.odds_ratios, format)?;
    let treatment = read_arm(reader, settings.test.clusters)?;
    let sums = LimitSums {
        treatment,
        sum,
        weight,
        process,
    };
    Ok(Limit::resume(settings, sums))
}

fn write_contrast(writer: &mut Writer, contrast: &Contrast) {
    let sums = &contrast.sums;
    [sums.sum, sums.weight, sums.control_sum]
        .into_iter()
        .for_each(|sum| writer.float(sum));
    write_bets(writer, &sums.process);
    writer.byte(u8::from(sums.health.is_some()));
    if let Some(health) = &sums.health {
        write_bets(writer, health);
    }
    write_arm(writer, &sums.treatment);
    write_arm(writer, &sums.control);
}

fn read_contrast(
    reader: &mut Reader<'_>,
    settings: ContrastSettings,
    format: u8,
) -> Result<Contrast, CodecError> {
    let [sum, weight, control_sum] = read_floats(reader)?;
    let process = read_bets(reader, settings.test.odds_ratios, format)?;
    let health = match settings.health {
        // Older formats did not bet on health, so that it is proved anew.
        health if format < COUNTED_BETS_FORMAT => health.map(BernoulliProcess::new),
        health if read_flag(reader)? != health.is_some() => return Err(CodecError::OtherMetrics),
        health => health.map(|on| read_bets(reader, on, format)).transpose()?,
    };
    let sums = ContrastSums {
        treatment: read_arm(reader, settings.test.clusters)?,
        control: read_arm(reader, settings.test.clusters)?,
        sum,
        weight,
        control_sum,
        process,
        health,
    };
    Ok(Contrast::resume(settings, sums))
}

fn write_quantiles(writer: &mut Writer, quantiles: &Quantiles) {
    writer.varint(quantiles.tests.len() as u64);
    for test in &quantiles.tests {
        write_contrast(writer, &test.exceedance);
        writer.byte(u8::from(test.health.is_some()));
        if let Some(health) = &test.health {
            write_contrast(writer, health);
        }
    }
    for sketch in [&quantiles.control, &quantiles.treatment] {
        writer.varint(sketch.counts().len() as u64);
        writer.bins(sketch.counts());
    }
}

fn read_quantiles(
    reader: &mut Reader<'_>,
    settings: &[QuantileSettings],
    format: u8,
) -> Result<Quantiles, CodecError> {
    if reader.varint("the number of quantiles")? != settings.len() as u64 {
        return Err(CodecError::OtherMetrics);
    }
    let mut tests = Vec::with_capacity(settings.len());
    for settings in settings {
        let exceedance = read_contrast(reader, settings.exceedance, format)?;
        let health = match (read_flag(reader)?, settings.moved) {
            (true, Some(moved)) => Some(read_contrast(reader, moved.test, format)?),
            (false, None) => None,
            (true, None) | (false, Some(_)) => return Err(CodecError::OtherMetrics),
        };
        tests.push(QuantileTest {
            settings: *settings,
            exceedance,
            health,
        });
    }
    let [control, treatment] = [read_sketch(reader)?, read_sketch(reader)?];
    Ok(Quantiles::resume(tests, control, treatment))
}

fn read_sketch(reader: &mut Reader<'_>) -> Result<Sketch, CodecError> {
    let how_many = reader.varint("the number of bins")?;
    Ok(Sketch::resume(reader.bins(how_many)?))
}

fn read_ratio(reader: &mut Reader<'_>) -> Result<SampleRatio, CodecError> {
    Ok(SampleRatio {
        users: reader.by_share()?,
        since: read_tick(reader)?,
    })
}

fn write_seen(writer: &mut Writer, seen: Seen) {
    writer.varint(seen.count);
    writer.float(seen.sum);
    writer.varint(seen.clipped);
    write_tick(writer, seen.last);
}

fn read_seen(reader: &mut Reader<'_>, format: u8) -> Result<Seen, CodecError> {
    Ok(Seen {
        count: reader.varint("an arm's count")?,
        sum: reader.float("an arm's sum")?,
        clipped: if format >= CLIPPED_FORMAT {
            reader.varint("an arm's clipped values")?
        } else {
            0
        },
        last: read_tick(reader)?,
    })
}

fn write_tick(writer: &mut Writer, tick: Option<Tick>) {
    writer.byte(u8::from(tick.is_some()));
    if let Some(tick) = tick {
        writer.integer(tick.second());
    }
}

fn read_tick(reader: &mut Reader<'_>) -> Result<Option<Tick>, CodecError> {
    if read_flag(reader)? {
        Ok(Some(Tick::new(reader.integer("a tick")?)))
    } else {
        Ok(None)
    }
}

fn read_flag(reader: &mut Reader<'_>) -> Result<bool, CodecError> {
    match reader.byte("a flag")? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(CodecError::Malformed("a flag is neither 0 nor 1")),
    }
}

fn read_floats<const N: usize>(reader: &mut Reader<'_>) -> Result<[f64; N], CodecError> {
    let mut floats = [0.0; N];
    for float in &mut floats {
        *float = reader.float("the sums of a test")?;
    }
    Ok(floats)
}

fn write_arm(writer: &mut Writer, arm: &ArmSums) {
    writer.varint(arm.count);
    writer.float(arm.sum);
    writer.varint(arm.used);
    [arm.squares_around_centre, arm.squares, arm.squared_weights]
        .into_iter()
        .for_each(|sum| writer.float(sum));
    writer.varint(arm.counts.len() as u64);
    for (&count, &residual) in arm.counts.iter().zip(&arm.residuals) {
        writer.varint(count);
        if count > 0 {
            writer.float(residual);
        }
    }
}

fn read_arm(reader: &mut Reader<'_>, clusters: usize) -> Result<ArmSums, CodecError> {
    let mut arm = ArmSums::new(clusters);
    arm.count = reader.varint("an arm's count")?;
    arm.sum = reader.float("an arm's sum")?;
    arm.used = reader.varint("an arm's used count")?;
    [arm.squares_around_centre, arm.squares, arm.squared_weights] = read_floats(reader)?;
    if reader.varint("an arm's number of clusters")? != arm.counts.len() as u64 {
        return Err(CodecError::OtherMetrics);
    }
    for (count, residual) in arm.counts.iter_mut().zip(&mut arm.residuals) {
        *count = reader.varint("a cluster's count")?;
        if *count > 0 {
            *residual = reader.float("a cluster's residual")?;
        }
    }
    Ok(arm)
}
