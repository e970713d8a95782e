//! A recorded stream of observations through a rehearsal: what a policy would have done, and when.
//!
//! Lines take the way that they take through a server: [`Reorder`](reorder) puts them in order of time,
//! [`source`](crate::source) judges those of each tick by the state that the rehearsal is in, [`fold`] adds
//! them up, and the [`Rehearsal`] decides. Nothing here reads a file or the clock, and memory is bounded
//! however long the stream is.
//!
//! What was served is taken from the record: a receipt, a version, a label or an arm. A line that names a
//! user alone is split by the policy's hash at the exposure of that moment, and only with the secret of the
//! server that was asked then; that is right as long as the rehearsal goes the way that the rollout went.
//! For the same reason the split of users is held against a plan only where somebody says which.

use crate::analysis::PerArm;
use crate::assignment::bucket::SECRET_BYTES;
use crate::ids::{Exposure, RolloutId, Tick, Version};
use crate::policy::Policy;
use crate::rehearsal::{Approvals, Rehearsal};
use crate::rollout::{RolloutState, Transition};
use crate::source::ingest::{self, Format, Ingested};
use crate::source::refusal::{Ignored, RefusalCode};
use fold::Fold;
use head::Head;
use jiff::{SignedDuration, Timestamp};
use reorder::{Reorder, TickLines};
use std::collections::BTreeMap;
use std::sync::Arc;
use world::World;

pub use reorder::WAITING_BYTES_MAX;
pub use seen::{IDS_REMEMBERED, USERS_MAX};

mod fold;
mod head;
mod reorder;
mod seen;
#[cfg(test)]
mod tests;
mod world;

/// Longest line, in bytes.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// Users are spread over clusters by this where the server's secret is not known.
const NO_SECRET: [u8; SECRET_BYTES] = [0; SECRET_BYTES];

/// What a stream is replayed under.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The policy.
    pub policy: Arc<Policy>,
    /// The stable version and the candidate, where versions tell the arms apart.
    pub versions: Option<(Version, Version)>,
    /// The secret of the server that the users were assigned by.
    pub secret: Option<[u8; SECRET_BYTES]>,
    /// The number of the rollout that receipts are of.
    pub rollout: Option<RolloutId>,
    /// What the split of users is held against.
    pub planned: Planned,
    /// What happens where the policy asks for approval.
    pub approvals: Approvals,
    /// How long after a line with a later time a line may come.
    pub disorder: SignedDuration,
    /// When the rollout begins; none for the first line that counts. What was before is passed over.
    pub from: Option<Timestamp>,
    /// When the replay ends; none for the last line.
    pub until: Option<Timestamp>,
}

/// What the split of users is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planned {
    /// Nothing: the recorded split is taken as it is.
    Nothing,
    /// The exposure of the rehearsal's step: right where the record is of a rollout under this policy.
    Policy,
    /// The share of users that was planned for treatment in the whole record.
    Share(Exposure),
}

/// A transition, and the last line that it rests on.
#[derive(Debug, Clone, PartialEq)]
pub struct Move {
    /// The number of the last line before it; 0 where it rests on none.
    pub line: u64,
    /// What moved.
    pub transition: Transition,
}

/// A line that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadLine {
    /// Its number, from 1.
    pub line: u64,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The kind of mistake.
    pub code: FaultCode,
    /// What is wrong with this line: lower case, no full stop, with the mend.
    pub detail: String,
}

/// What can be wrong with a line; the words are stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum FaultCode {
    /// It is no JSON object.
    Malformed,
    /// It is longer than [`LINE_BYTES_MAX`].
    TooLong,
    /// It has no time, or one that cannot be read.
    BadTime,
    /// It does not say what was served.
    NotServed,
    /// The server would refuse it.
    Refused(RefusalCode),
}

/// How many lines went where.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Lines that were read, empty ones aside.
    pub read: u64,
    /// Observations that the verdicts rest on, by arm.
    pub used: PerArm,
    /// Lines that name a user alone, and count for the arm that the hash says.
    pub split_by_hash: u64,
    /// Users of those observations, each at first sight, while both arms were served.
    pub users: PerArm,
    /// Users who were not told apart any more, see [`USERS_MAX`].
    pub users_beyond_bound: u64,
    /// Lines before [`Settings::from`] or from [`Settings::until`] on.
    pub outside: u64,
    /// Lines of other policies.
    pub other_policies: u64,
    /// Lines that came later than [`Settings::disorder`] allows.
    pub late: u64,
    /// Lines whose id was counted before.
    pub duplicates: u64,
    /// Lines that belong to no running comparison, by reason.
    pub ignored: BTreeMap<Ignored, u64>,
    /// Lines that are wrong, by kind of mistake.
    pub bad: BTreeMap<FaultCode, u64>,
}

/// What came of a part of the stream.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What moved.
    pub moves: Vec<Move>,
    /// Lines that are wrong.
    pub bad: Vec<BadLine>,
}

/// One stream that is replayed, in one pass.
#[derive(Debug)]
pub struct Replay {
    settings: Settings,
    reorder: Reorder,
    fold: Fold,
    rehearsal: Option<Rehearsal>,
    world: Option<World>,
    counts: Counts,
    /// The last line that was taken in.
    line: u64,
    is_over: bool,
}

impl Replay {
    /// Before the first line.
    pub fn new(settings: Settings) -> Self {
        Self {
            reorder: Reorder::new(settings.disorder),
            fold: Fold::new(settings.planned),
            rehearsal: None,
            world: None,
            counts: Counts::default(),
            line: 0,
            is_over: false,
            settings,
        }
    }

    /// Whether nothing can come of further lines.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    /// How many lines went where so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The number of the last line that was taken in; 0 before the first.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// The rollout; none before the first line that counts.
    pub fn rehearsal(&self) -> Option<&Rehearsal> {
        self.rehearsal.as_ref()
    }

    /// Takes the line `number`, without its line break, and says what came of it and of those before.
    pub fn push(&mut self, number: u64, text: &[u8]) -> Outcome {
        let mut outcome = Outcome::default();
        if self.is_over || text.trim_ascii().is_empty() {
            return outcome;
        }
        self.counts.read += 1;
        match self.head(text) {
            Ok(head) => self.line_up(number, head, text),
            Err(fault) => self.blame(number, fault, &mut outcome),
        }
        while !self.is_over
            && let Some((tick, lines)) = self.reorder.pop()
        {
            self.take(tick, &lines, &mut outcome);
        }
        outcome
    }

    /// Takes what still waits, and lets time pass to the end.
    pub fn finish(&mut self) -> Outcome {
        let mut outcome = Outcome::default();
        while !self.is_over
            && let Some((tick, lines)) = self.reorder.pop_any()
        {
            self.take(tick, &lines, &mut outcome);
        }
        if let (Some(rehearsal), Some(until)) = (&mut self.rehearsal, self.settings.until) {
            let moved = rehearsal.wait_through(Tick::of(until).previous());
            self.note(moved, &mut outcome);
        }
        self.is_over = true;
        outcome
    }

    fn head(&self, text: &[u8]) -> Result<Head, Fault> {
        if text.len() > LINE_BYTES_MAX {
            let detail = format!("longer than {LINE_BYTES_MAX} bytes");
            return Err(Fault::new(FaultCode::TooLong, detail));
        }
        let text = std::str::from_utf8(text).map_err(|_| Fault::new(FaultCode::Malformed, "not UTF-8"))?;
        let head = Head::read(text)?;
        let Settings { versions, secret, .. } = &self.settings;
        if secret.is_some() || head.arm || (head.version && versions.is_some()) {
            return Ok(head);
        }
        let detail = if head.version {
            "`version` says which arm was served only with `--stable` and `--candidate`"
        } else if head.receipt {
            "a receipt can be read with the secret of its server alone: name it with `--secret-file`"
        } else {
            "the line does not say what was served: add `arm`, `label` or `version`, or name the server's \
             secret with `--secret-file`"
        };
        Err(Fault::new(FaultCode::NotServed, detail))
    }

    fn line_up(&mut self, number: u64, head: Head, text: &[u8]) {
        let Settings { from, until, .. } = self.settings;
        if from.is_some_and(|from| head.at < from) || until.is_some_and(|until| head.at >= until) {
            self.counts.outside += 1;
        } else if !self.reorder.push(number, head.at, text) {
            self.counts.late += 1;
        } else if head.is_of_user_alone() {
            self.counts.split_by_hash += 1;
        }
    }

    fn blame(&mut self, line: u64, fault: Fault, outcome: &mut Outcome) {
        *self.counts.bad.entry(fault.code).or_default() += 1;
        outcome.bad.push(BadLine { line, fault });
    }

    /// One closed tick: time passes to it, its lines are judged, and the rollout decides.
    fn take(&mut self, tick: Tick, lines: &TickLines, outcome: &mut Outcome) {
        let begins = self.rehearsal.is_none();
        let opening = match &mut self.rehearsal {
            Some(rehearsal) => {
                let moved = rehearsal.wait_through(tick.previous());
                self.note(moved, outcome);
                Vec::new()
            }
            None => self.begin(tick),
        };
        if self.is_over {
            return;
        }
        let Some(ingested) = self.judge(tick, &lines.body) else {
            return;
        };
        // Unless it is told when, the rollout begins with its first observation.
        if begins && self.settings.from.is_none() && !is_about_the_rollout(&ingested) {
            self.rehearsal = None;
            self.tell(ingested, lines, outcome);
            return;
        }
        self.note(opening, outcome);
        let tally = self.fold.tally(tick, &ingested, &mut self.counts);
        self.tell(ingested, lines, outcome);
        self.line = lines.numbers.iter().copied().max().unwrap_or(self.line);
        if let Some(rehearsal) = &mut self.rehearsal {
            let moved = rehearsal.advance(tick, Some(&tally));
            self.note(moved, outcome);
        }
    }

    fn begin(&mut self, tick: Tick) -> Vec<Transition> {
        let Settings {
            policy,
            versions,
            rollout,
            approvals,
            from,
            ..
        } = &self.settings;
        // Where versions do not matter, any two do.
        let (stable, candidate) = versions.unwrap_or((Version::FIRST, Version::FIRST.next()));
        let at = from.unwrap_or_else(|| tick.begins());
        let mut state = RolloutState::pending(policy, stable, candidate, at);
        state.id = rollout.unwrap_or(state.id);
        let (mut rehearsal, mut moved) = Rehearsal::begin(Arc::clone(policy), state, *approvals);
        moved.extend(rehearsal.wait_through(tick.previous()));
        self.rehearsal = Some(rehearsal);
        self.world = None;
        moved
    }

    fn judge(&mut self, tick: Tick, body: &[u8]) -> Option<Ingested> {
        let rehearsal = self.rehearsal.as_ref()?;
        let secret = self.settings.secret.unwrap_or(NO_SECRET);
        let world = self.world.get_or_insert_with(|| World::of(rehearsal, &secret));
        let format = Format::Recorded {
            versions: self.settings.versions.is_some(),
            receipts: self.settings.secret.is_some(),
        };
        // A body of lines is refused whole only for having too many.
        ingest::ingest(&world.at(tick), body, format, usize::MAX).ok()
    }

    /// Notes what moved; what comes next is judged by the state after it.
    fn note(&mut self, moved: Vec<Transition>, outcome: &mut Outcome) {
        let Some(rehearsal) = &self.rehearsal else {
            return;
        };
        self.is_over |= rehearsal.is_over();
        if !moved.is_empty() {
            self.world = None;
        }
        let line = self.line;
        outcome
            .moves
            .extend(moved.into_iter().map(|transition| Move { line, transition }));
    }

    /// Counts the lines that were not used, and tells those that are wrong.
    fn tell(&mut self, ingested: Ingested, lines: &TickLines, outcome: &mut Outcome) {
        for (reason, count) in ingested.ignored {
            *self.counts.ignored.entry(reason).or_default() += count;
        }
        for refused in ingested.refused {
            if refused.code == RefusalCode::UnknownPolicy {
                self.counts.other_policies += 1;
                continue;
            }
            let line = lines.numbers.get(refused.line - 1).copied().unwrap_or_default();
            let fault = Fault::new(FaultCode::Refused(refused.code), refused.detail);
            self.blame(line, fault, outcome);
        }
    }
}

/// Whether something in a tick is of the rollout, or would be if a gate were open.
fn is_about_the_rollout(ingested: &Ingested) -> bool {
    !ingested.observations.is_empty()
        || !ingested.exclusions.is_empty()
        || ingested.ignored.contains_key(&Ignored::NoRollout)
}

impl Counts {
    /// Observations that the verdicts rest on, of both arms.
    pub fn observations(&self) -> u64 {
        self.used.total()
    }
}

impl Fault {
    fn new(code: FaultCode, detail: impl Into<String>) -> Self {
        Self {
            code,
            detail: detail.into(),
        }
    }
}

impl FaultCode {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::TooLong => "too_long",
            Self::BadTime => "bad_time",
            Self::NotServed => "not_served",
            Self::Refused(code) => code.as_str(),
        }
    }
}
