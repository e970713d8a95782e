//! A Langfuse that is a model: its published contract in memory, and faults on demand.
//!
//! It is as unhelpful as the real one: `PATCH` only adds, nothing compares before it sets, nobody learns
//! who moved a label, lists do not tell who holds which, and a request whose caller has gone may be
//! carried out late. What happens depends on the requests, the injected [`Fault`]s and the clock, and on
//! nothing else. The simulator calls it as a [`Transport`]; tests put HTTP in front of it.

mod contract;
mod held;

pub use self::held::{Writer, Written};

use self::held::Held;
use crate::clock::ManualClock;
use crate::registry::langfuse::transport::{Method, NoReply, Reply, Request, Transport};
use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};
use serde_json::Value;
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// It reads.
    Read,
    /// It moves a label.
    Change,
}

/// What happens to one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is answered with this status, and not carried out.
    Status(u16),
    /// It is answered with this status, and carried out all the same.
    StatusAfter(u16),
    /// It is answered with 429, and `Retry-After` of so many seconds.
    RateLimited(i64),
    /// It never arrives, and the caller hears nothing.
    Lost,
    /// It is carried out, and the caller hears nothing.
    LostReply,
    /// The caller hears nothing, and so many seconds later it is carried out.
    Late(i64),
    /// The answer takes so many seconds: the clock moves on, nobody really waits.
    Slow(i64),
    /// A person moves a label of the prompt just before; to none takes it away.
    PersonFirst {
        /// Which.
        label: String,
        /// Where to.
        to: Option<u32>,
    },
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It is answered.
    Answered(Reply),
    /// The caller hears nothing.
    Silence,
}

/// A Langfuse with one project.
#[derive(Debug)]
pub struct Model {
    clock: ManualClock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    held: Held,
    script: VecDeque<(Call, Fault)>,
    is_away: bool,
    /// Requests so far.
    requests: u64,
    /// Requests that nobody waits for any more, and when they are carried out.
    late: Vec<(Timestamp, u64, Request)>,
}

impl State {
    /// Carries out what is due.
    fn catch_up(&mut self, now: Timestamp) {
        let mut due: Vec<_> = self.late.extract_if(.., |(at, ..)| *at <= now).collect();
        due.sort_by_key(|(at, number, _)| (*at, *number));
        for (at, _, request) in due {
            let _unheard: Reply = contract::answer(&mut self.held, &request, Writer::LateKey, at);
        }
    }
}

impl Model {
    /// An empty project; slow answers move `clock`.
    pub fn new(clock: ManualClock) -> Self {
        Self {
            clock,
            state: Mutex::default(),
        }
    }

    /// A person adds a version of a prompt, text or chat; its number.
    pub fn create(&self, name: &str, prompt: Value) -> u32 {
        let now = self.clock.now();
        self.state().held.create(name, prompt, now)
    }

    /// A person moves a label; to none takes it away, which only the user interface can.
    pub fn point(&self, name: &str, label: &str, to: Option<u32>) {
        let now = self.clock.now();
        self.state().held.point(name, label, to, Writer::Person, now);
    }

    /// The version that holds a label in truth, whatever the faults.
    pub fn label(&self, name: &str, label: &str) -> Option<u32> {
        let (now, mut state) = (self.clock.now(), self.state());
        state.catch_up(now);
        state.held.holder(name, label).map(|row| row.version)
    }

    /// Every label that came to point elsewhere, oldest first.
    pub fn journal(&self) -> Vec<Written> {
        let (now, mut state) = (self.clock.now(), self.state());
        state.catch_up(now);
        state.held.journal().to_vec()
    }

    /// Bodies of the webhooks since this was last asked; their automation exists in every model.
    pub fn take_events(&self) -> Vec<Value> {
        self.state().held.take_events()
    }

    /// Adds to the script: when everything before it has happened, `fault` happens to the next `call`.
    pub fn inject(&self, call: Call, fault: Fault) {
        self.state().script.push_back((call, fault));
    }

    /// Forgets what was to happen and has not.
    pub fn clear_faults(&self) {
        self.state().script.clear();
    }

    /// Cuts the project off (the script waits meanwhile), or brings it back.
    pub fn set_away(&self, is_away: bool) {
        self.state().is_away = is_away;
    }

    /// Requests so far, lost ones included.
    pub fn requests(&self) -> u64 {
        self.state().requests
    }

    /// One arrival of a request, with what happens to it on its way.
    pub fn arrive(&self, request: &Request) -> Outcome {
        let mut state = self.state();
        state.requests += 1;
        let number = state.requests;
        if state.is_away {
            return Outcome::Silence;
        }
        state.catch_up(self.clock.now());
        let call = match request.method {
            Method::Get => Call::Read,
            Method::Patch => Call::Change,
        };
        let fault = state.script.pop_front_if(|(waits_for, _)| *waits_for == call);
        match fault.map(|(_, fault)| fault) {
            Some(Fault::Status(status)) => {
                return Outcome::Answered(contract::refusal(status, "a fault (simulated)"));
            }
            Some(Fault::RateLimited(seconds)) => return Outcome::Answered(contract::rate_limited(seconds)),
            Some(Fault::Lost) => return Outcome::Silence,
            Some(Fault::Late(seconds)) => {
                let at = self.clock.now().checked_add(SignedDuration::from_secs(seconds));
                let at = at.unwrap_or(Timestamp::MAX);
                state.late.push((at, number, request.clone()));
                return Outcome::Silence;
            }
            Some(Fault::LostReply) => {
                let _unheard: Reply =
                    contract::answer(&mut state.held, request, Writer::Key, self.clock.now());
                return Outcome::Silence;
            }
            Some(Fault::StatusAfter(status)) => {
                let _replaced: Reply =
                    contract::answer(&mut state.held, request, Writer::Key, self.clock.now());
                return Outcome::Answered(contract::refusal(status, "a fault (simulated)"));
            }
            Some(Fault::Slow(seconds)) => self.clock.advance(SignedDuration::from_secs(seconds)),
            Some(Fault::PersonFirst { label, to }) => {
                if let Some(name) = request.path.get(4) {
                    let now = self.clock.now();
                    state.held.point(name, &label, to, Writer::Person, now);
                }
            }
            None => {}
        }
        Outcome::Answered(contract::answer(
            &mut state.held,
            request,
            Writer::Key,
            self.clock.now(),
        ))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Transport for Model {
    async fn send(&self, request: Request) -> Result<Reply, NoReply> {
        match self.arrive(&request) {
            Outcome::Answered(reply) => Ok(reply),
            Outcome::Silence => Err(NoReply("no answer (simulated)".to_owned())),
        }
    }
}
