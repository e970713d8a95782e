//! An engine's state as bytes, so that a restart goes on bit for bit.
//!
//! ```text
//! format            1 byte   1
//! through           optional tick
//! failed            varint   0 for none, else the blamed metric's position + 1
//! metrics           varint
//! per metric        name (varint length, bytes), control and treatment seen,
//!                   contrast (flag byte, sums), limit (flag byte, sums)
//! checksum          8 bytes  the first of SHA-256 over everything before
//!
//! seen              count varint, sum 8 bytes, last tick optional
//! optional tick     flag byte, then the second, 8 bytes
//! sums of an arm    count varint, sum, used varint, three sums, clusters varint,
//!                   per cluster: count varint, and its residual where the count is not 0
//! ```
//!
//! Varints and floats are those of [`codec`](super::codec). Settings are not written: they follow
//! from the policy's revision, under which a rollout goes on to its end.

use super::bernoulli::BernoulliProcess;
use super::codec::{CodecError, Reader, Writer};
use super::contrast::{Contrast, ContrastSums};
use super::engine::Engine;
use super::limit::{Limit, LimitSums};
use super::metric::{MetricEngine, Seen};
use super::settings::EnginePlan;
use super::variance::ArmSums;
use crate::ids::Tick;
use crate::policy::Policy;
use sha2::{Digest as _, Sha256};

/// Format of encoded engines that this build writes and reads.
const ENGINE_FORMAT: u8 = 1;

/// Length of the checksum, in bytes.
const CHECKSUM_BYTES: usize = 8;

impl Engine {
    /// Writes the state, with a format number and a checksum, so that [`decode`](Self::decode) goes on
    /// bit for bit.
    pub fn encode(&self) -> Vec<u8> {
        let mut writer = Writer::default();
        writer.byte(ENGINE_FORMAT);
        write_tick(&mut writer, self.through);
        writer.varint(self.failed.map_or(0, |index| index as u64 + 1));
        writer.varint(self.metrics.len() as u64);
        for metric in &self.metrics {
            write_metric(&mut writer, metric);
        }
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
        reader.format(ENGINE_FORMAT)?;
        if checksum(body) != *checked {
            return Err(CodecError::Checksum);
        }
        let mut engine = Self::from_plan(plan);
        engine.through = read_tick(&mut reader)?;
        let failed = reader.varint("the blamed metric")?;
        if reader.varint("the number of metrics")? != engine.metrics.len() as u64 {
            return Err(CodecError::OtherMetrics);
        }
        for metric in &mut engine.metrics {
            read_metric(&mut reader, metric)?;
        }
        reader.end()?;
        let position = failed.checked_sub(1).map(usize::try_from).transpose();
        engine.failed = position.map_err(|_| CodecError::OtherMetrics)?;
        if engine.failed.is_some_and(|index| index >= engine.metrics.len()) {
            return Err(CodecError::OtherMetrics);
        }
        Ok(engine)
    }
}

fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let digest = Sha256::digest(bytes);
    std::array::from_fn(|index| digest[index])
}

fn write_metric(writer: &mut Writer, metric: &MetricEngine) {
    let name = metric.plan.name.as_str().as_bytes();
    writer.varint(name.len() as u64);
    name.iter().for_each(|&byte| writer.byte(byte));
    write_seen(writer, metric.control);
    write_seen(writer, metric.treatment);
    writer.byte(u8::from(metric.contrast.is_some()));
    if let Some(contrast) = &metric.contrast {
        let sums = &contrast.sums;
        [sums.sum, sums.weight, sums.control_sum]
            .into_iter()
            .for_each(|sum| writer.float(sum));
        sums.process.logs.into_iter().for_each(|log| writer.float(log));
        write_arm(writer, &sums.treatment);
        write_arm(writer, &sums.control);
    }
    writer.byte(u8::from(metric.limit.is_some()));
    if let Some(limit) = &metric.limit {
        let sums = &limit.sums;
        [sums.sum, sums.weight]
            .into_iter()
            .for_each(|sum| writer.float(sum));
        sums.process.logs.into_iter().for_each(|log| writer.float(log));
        write_arm(writer, &sums.treatment);
    }
}

fn read_metric(reader: &mut Reader<'_>, metric: &mut MetricEngine) -> Result<(), CodecError> {
    let name = metric.plan.name.as_str().as_bytes();
    if reader.varint("the length of a name")? != name.len() as u64 {
        return Err(CodecError::OtherMetrics);
    }
    for &expected in name {
        if reader.byte("a name")? != expected {
            return Err(CodecError::OtherMetrics);
        }
    }
    metric.control = read_seen(reader)?;
    metric.treatment = read_seen(reader)?;
    if read_flag(reader)? != metric.contrast.is_some() {
        return Err(CodecError::OtherMetrics);
    }
    if let (Some(settings), Some(contrast)) = (metric.plan.contrast, &mut metric.contrast) {
        let [sum, weight, control_sum] = read_floats(reader)?;
        let process = BernoulliProcess::resume(settings.test.odds_ratios, read_floats(reader)?);
        let treatment = read_arm(reader, settings.test.clusters)?;
        let control = read_arm(reader, settings.test.clusters)?;
        let sums = ContrastSums {
            treatment,
            control,
            sum,
            weight,
            control_sum,
            process,
        };
        *contrast = Contrast::resume(settings, sums);
    }
    if read_flag(reader)? != metric.limit.is_some() {
        return Err(CodecError::OtherMetrics);
    }
    if let (Some(settings), Some(limit)) = (metric.plan.limit, &mut metric.limit) {
        let [sum, weight] = read_floats(reader)?;
        let process = BernoulliProcess::resume(settings.test.odds_ratios, read_floats(reader)?);
        let treatment = read_arm(reader, settings.test.clusters)?;
        *limit = Limit::resume(
            settings,
            LimitSums {
                treatment,
                sum,
                weight,
                process,
            },
        );
    }
    Ok(())
}

fn write_seen(writer: &mut Writer, seen: Seen) {
    writer.varint(seen.count);
    writer.float(seen.sum);
    write_tick(writer, seen.last);
}

fn read_seen(reader: &mut Reader<'_>) -> Result<Seen, CodecError> {
    Ok(Seen {
        count: reader.varint("an arm's count")?,
        sum: reader.float("an arm's sum")?,
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
