//! The rehearsal as the judge of lines sees it: a board and a snapshot, as a server would publish them.

use crate::assignment::bucket::SECRET_BYTES;
use crate::assignment::receipt::ReceiptKey;
use crate::assignment::snapshot::Snapshot;
use crate::controller::{Board, PolicyStatus, RolloutStatus};
use crate::ids::Tick;
use crate::rehearsal::Rehearsal;
use crate::rollout::aftermath::Aftermath;
use crate::rollout::route::route;
use crate::source::ingest;
use std::sync::Arc;

/// What a server whose only rollout is this one would show.
#[derive(Debug)]
pub(super) struct World {
    board: Board,
    snapshot: Snapshot,
    receipts: ReceiptKey,
}

impl World {
    /// The world until the rehearsal moves.
    pub(super) fn of(rehearsal: &Rehearsal, secret: &[u8; SECRET_BYTES]) -> Self {
        let (policy, state, labels) = (rehearsal.policy(), rehearsal.state(), rehearsal.labels());
        let rollout = RolloutStatus {
            policy: Arc::clone(policy),
            state: state.clone(),
            exposure: rehearsal.exposure(),
            stay: rehearsal.stay().clone(),
            assessment: None,
            through: rehearsal.through(),
            moves_unconfirmed: 0,
            aftermath: Aftermath::of(&policy.clients, false),
        };
        let status = PolicyStatus {
            policy: Arc::clone(policy),
            labels: Some(labels.clone()),
            registry_error: None,
            rollout: Some(Arc::new(rollout)),
            warnings: Vec::new(),
            removed: false,
        };
        Self {
            board: Board {
                policies: [(policy.name.clone(), Arc::new(status))].into(),
                ..Board::default()
            },
            snapshot: Snapshot::new(1, [Arc::new(route(policy, Some(state), Some(labels), secret))]),
            receipts: ReceiptKey::derive(secret),
        }
    }

    /// The world as it is while observations arrive in `tick`.
    pub(super) fn at(&mut self, tick: Tick) -> ingest::World<'_> {
        self.board.ticked_at = Some(tick.begins());
        ingest::World {
            board: &self.board,
            snapshot: &self.snapshot,
            receipts: &self.receipts,
        }
    }
}
