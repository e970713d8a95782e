//! What bets have won, in every format that there was.

use super::super::bernoulli::BernoulliProcess;
use super::super::codec::{CodecError, Reader, Writer};
use super::super::settings::Bets;
use super::read_floats;

/// The first that says how many odds ratios were bet on.
pub(super) const COUNTED_BETS_FORMAT: u8 = 3;

/// How many odds ratios all tests bet on before [`COUNTED_BETS_FORMAT`].
const UNCOUNTED_BETS: usize = 4;

pub(super) fn write_bets(writer: &mut Writer, process: &BernoulliProcess) {
    writer.varint(process.logs().len() as u64);
    process.logs().iter().for_each(|log| writer.float(*log));
}

/// What bets have won. A bet may change what it is on from one tick to the next, and begin at any time:
/// what the four of an older format have won goes to the greatest four.
pub(super) fn read_bets(
    reader: &mut Reader<'_>,
    odds_ratios: Bets,
    format: u8,
) -> Result<BernoulliProcess, CodecError> {
    let points = odds_ratios.as_slice();
    if format < COUNTED_BETS_FORMAT {
        let mut won = vec![0.0; points.len().saturating_sub(UNCOUNTED_BETS)];
        won.extend(read_floats::<UNCOUNTED_BETS>(reader)?);
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
