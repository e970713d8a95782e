//! What bets have won, in every format that there was.

use super::super::bernoulli::BernoulliProcess;
use super::super::codec::{CodecError, Reader, Writer};
use super::super::settings::{Bets, MixturePoint};
use super::read_floats;

/// The first that says how many odds ratios were bet on.
pub(super) const COUNTED_BETS_FORMAT: u8 = 3;

/// The odds ratios that all tests bet on before [`COUNTED_BETS_FORMAT`], but for proofs of a quantile's
/// health, which bet on four of their own.
const UNCOUNTED_BETS: [f64; 4] = [1.3, 1.8, 3.0, 6.0];

pub(super) fn write_bets(writer: &mut Writer, process: &BernoulliProcess) {
    writer.varint(process.logs().len() as u64);
    process.logs().iter().for_each(|log| writer.float(*log));
}

/// What bets have won. An odds ratio that an older format did not bet on begins with nothing: bets may
/// begin at any time.
pub(super) fn read_bets(
    reader: &mut Reader<'_>,
    odds_ratios: Bets,
    format: u8,
) -> Result<BernoulliProcess, CodecError> {
    let points = odds_ratios.as_slice();
    if format < COUNTED_BETS_FORMAT {
        let won: [f64; UNCOUNTED_BETS.len()] = read_floats(reader)?;
        if points.len() == won.len() {
            return Ok(BernoulliProcess::resume(odds_ratios, &won));
        }
        let of_point = |point: &MixturePoint| {
            let mut before = UNCOUNTED_BETS.into_iter().zip(won);
            before.find_map(|(size, won)| (size.to_bits() == point.size.to_bits()).then_some(won))
        };
        let won: Vec<f64> = points
            .iter()
            .map(|point| of_point(point).unwrap_or(0.0))
            .collect();
        return Ok(BernoulliProcess::resume(odds_ratios, &won));
    }
    if reader.varint("the number of odds ratios")? != points.len() as u64 {
        return Err(CodecError::OtherMetrics);
    }
    let mut won = [0.0; Bets::COUNT_MAX];
    for won in won.iter_mut().take(points.len()) {
        *won = reader.float("what a bet has won")?;
    }
    Ok(BernoulliProcess::resume(odds_ratios, &won))
}
