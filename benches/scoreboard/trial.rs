//! One stream past Serin and all peers.

use crate::cells::Cell;
use crate::peers::{Peer, Peers};
use crate::verdicts::{ALPHAS, Verdicts};
use serin::sim::stream::Stream;

/// What came of one stream; numbers are treated observations at that moment.
#[derive(Debug, Clone)]
pub(crate) struct Trial {
    /// When Serin rolled back, by alpha.
    pub(crate) rolled_back: [Option<u64>; ALPHAS.len()],
    /// When Serin first found the candidate healthy, rolled back or not.
    pub(crate) healthy: Option<u64>,
    /// When each peer rolled back.
    pub(crate) peers: [Option<u64>; Peer::ALL.len()],
    /// Until the end of the stream.
    pub(crate) treated: u64,
}

/// Who looks on, and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Watch {
    /// Everybody, to the end of the steps.
    ToTheEnd,
    /// Everybody, until all who look more than once have rolled back.
    UntilAllStop,
    /// Serin alone, until it rolls back.
    UntilRollback,
    /// Serin alone, until it finds health.
    UntilHealth,
}

impl Watch {
    fn peers_look(self) -> bool {
        match self {
            Self::ToTheEnd | Self::UntilAllStop => true,
            Self::UntilRollback | Self::UntilHealth => false,
        }
    }
}

/// The stream of one seed.
pub(crate) fn trial(cell: &Cell, watch: Watch, seed: u64) -> Trial {
    let mut stream = Stream::new(&cell.design, &cell.policy.name, seed);
    let mut serin = Verdicts::new(&cell.policy);
    let mut peers = Peers::new(cell.measure.harm());
    let mut treated = 0;
    while let Some(observed) = stream.next_tick() {
        treated += observed.treatment.len() as u64;
        serin.absorb(observed);
        if watch.peers_look() {
            peers.absorb(observed);
        }
        let over = match watch {
            Watch::ToTheEnd => false,
            Watch::UntilAllStop => serin.rolled_back[0].is_some() && peers.have_stopped(),
            Watch::UntilRollback => serin.rolled_back[0].is_some(),
            Watch::UntilHealth => serin.healthy.is_some(),
        };
        if over {
            break;
        }
    }
    Trial {
        rolled_back: serin.rolled_back,
        healthy: serin.healthy,
        peers: peers.finish(),
        treated,
    }
}
