//! What waits for its other arm.

use super::super::codec::{CodecError, Reader, Writer};
use super::super::stratum::{Held, OpenStratum};
use super::{read_tick, write_tick};

/// The first format with observations that are held; before it, each tick was compared by itself.
const HELD_FORMAT: u8 = 4;

pub(super) fn write_stratum(writer: &mut Writer, stratum: &OpenStratum) {
    write_tick(writer, stratum.held().map(|held| held.first));
    if let Some(held) = stratum.held() {
        writer.arms(&held.tallies);
    }
}

pub(super) fn read_stratum(reader: &mut Reader<'_>, format: u8) -> Result<OpenStratum, CodecError> {
    if format < HELD_FORMAT {
        return Ok(OpenStratum::default());
    }
    let held = match read_tick(reader)? {
        Some(first) => Some(Held {
            first,
            tallies: reader.arms()?,
        }),
        None => None,
    };
    Ok(OpenStratum::resume(held))
}
