//! The rule for changing a label: each refusal, and what holds over any sequence of requests.

use jiff::Timestamp;
use proptest::prelude::*;
use serin::ids::{Actor, Generation, Justification, Label, PromptName, RolloutId, Version};
use serin::prompt::labels::{ChangeOutcome, LabelFacts, change, check_settable};
use serin::prompt::{LabelChange, LabelRequest, PromptError};

fn version(number: u32) -> Version {
    Version::new(number).unwrap()
}

fn label(name: &str) -> Label {
    Label::new(name).unwrap()
}

/// A request to point `production` at version 2, by somebody without special rights.
fn request() -> LabelRequest {
    LabelRequest {
        prompt: PromptName::new("greeting").unwrap(),
        label: label("production"),
        expect: None,
        to: Some(version(2)),
        actor: Actor::new("anna").unwrap(),
        reason: Justification::new("it reads better").unwrap(),
        rollout: None,
        may_move_protected: false,
    }
}

fn on_behalf(rollout: u64, generation: u64) -> Option<(RolloutId, Generation)> {
    Some((RolloutId::new(rollout), Generation::new(generation)))
}

/// The journal's newest entry: somebody pointed the label at `to`.
fn pointed_at(to: Option<Version>) -> LabelChange {
    LabelRequest { to, ..request() }.into_change(5, None, Timestamp::UNIX_EPOCH)
}

/// A prompt with three versions, whose `production` points at version 1.
fn facts() -> LabelFacts {
    LabelFacts {
        newest: version(3),
        withdrawn: false,
        protected: false,
        last: Some(pointed_at(Some(version(1)))),
        seen: None,
        newest_rollout: None,
        done: false,
    }
}

fn refusal(facts: LabelFacts, request: &LabelRequest) -> String {
    change(facts, request).unwrap_err().to_string()
}

#[test]
fn a_label_is_moved_from_where_it_is() {
    let from = Some(version(1));
    assert_eq!(change(facts(), &request()), Ok(ChangeOutcome::Write { from }));
    let expected = LabelRequest {
        expect: Some(from),
        ..request()
    };
    assert_eq!(change(facts(), &expected), Ok(ChangeOutcome::Write { from }));
    let removal = LabelRequest {
        to: None,
        ..request()
    };
    assert_eq!(change(facts(), &removal), Ok(ChangeOutcome::Write { from }));
}

#[test]
fn a_new_label_comes_from_nowhere() {
    let new = LabelFacts {
        last: None,
        ..facts()
    };
    let expected = LabelRequest {
        expect: Some(None),
        ..request()
    };
    assert_eq!(change(new, &expected), Ok(ChangeOutcome::Write { from: None }));
}

#[test]
fn a_repeated_request_finds_the_label_in_place_whatever_it_expected() {
    let done = pointed_at(Some(version(2)));
    let facts = LabelFacts {
        protected: true,
        last: Some(done.clone()),
        ..facts()
    };
    let repeated = LabelRequest {
        expect: Some(Some(version(1))),
        ..request()
    };
    assert_eq!(change(facts, &repeated), Ok(ChangeOutcome::InPlace(done)));
    let removed = LabelFacts {
        last: Some(pointed_at(None)),
        ..self::facts()
    };
    let removal = LabelRequest {
        to: None,
        ..request()
    };
    assert_eq!(
        change(removed, &removal),
        Ok(ChangeOutcome::InPlace(pointed_at(None)))
    );
}

#[test]
fn a_label_that_never_was_cannot_be_removed() {
    let never = LabelFacts {
        last: None,
        ..facts()
    };
    let removal = LabelRequest {
        to: None,
        ..request()
    };
    assert_eq!(
        refusal(never, &removal),
        "prompt `greeting` has no label `production`"
    );
}

#[test]
fn latest_is_computed() {
    let latest = LabelRequest {
        label: label("latest"),
        ..request()
    };
    assert_eq!(
        refusal(facts(), &latest),
        "label `latest` always names the newest version: it cannot be set, removed or protected"
    );
    assert!(check_settable(&label("latest")).is_err());
    assert_eq!(check_settable(&label("latest-2")), Ok(()));
}

#[test]
fn a_version_that_does_not_exist_gets_no_label() {
    let beyond = LabelRequest {
        to: Some(version(4)),
        ..request()
    };
    assert_eq!(refusal(facts(), &beyond), "prompt `greeting` has no version 4");
    let withdrawn = LabelFacts {
        withdrawn: true,
        ..facts()
    };
    assert_eq!(
        refusal(withdrawn, &request()),
        "prompt `greeting` has no version 2"
    );
    let newest = LabelRequest {
        to: Some(version(3)),
        ..request()
    };
    assert!(change(facts(), &newest).is_ok());
}

#[test]
fn a_protected_label_is_moved_by_those_who_may() {
    let protected = || LabelFacts {
        protected: true,
        ..facts()
    };
    assert_eq!(
        refusal(protected(), &request()),
        "label `production` of prompt `greeting` is protected: only Serin and tokens with the scope `admin` move it"
    );
    let allowed = LabelRequest {
        may_move_protected: true,
        ..request()
    };
    assert!(change(protected(), &allowed).is_ok());
}

#[test]
fn a_label_that_is_elsewhere_stays_there() {
    let expecting = LabelRequest {
        expect: Some(Some(version(3))),
        ..request()
    };
    assert_eq!(
        refusal(facts(), &expecting),
        "label `production` of prompt `greeting` points at version 1, not at version 3"
    );
}

#[test]
fn an_older_generation_is_refused_even_where_nothing_would_move() {
    let seen = |to| LabelFacts {
        seen: Some(Generation::new(5)),
        newest_rollout: Some(RolloutId::new(17)),
        last: Some(pointed_at(Some(version(to)))),
        ..facts()
    };
    let of_generation = |generation| LabelRequest {
        rollout: on_behalf(17, generation),
        ..request()
    };
    for at in [1, 2] {
        assert_eq!(
            refusal(seen(at), &of_generation(4)),
            "generation 4 of rollout r17 is stale: the label was moved for generation 5"
        );
    }
    assert!(change(seen(1), &of_generation(5)).is_ok());
    assert!(change(seen(1), &of_generation(6)).is_ok());
    // People have no generation; the expectation and the protection guard against them.
    assert!(change(seen(1), &request()).is_ok());
}

#[test]
fn an_older_rollout_cannot_undo_what_a_newer_one_did_with_the_same_versions() {
    let brought_back = LabelFacts {
        newest_rollout: Some(RolloutId::new(18)),
        ..facts()
    };
    let zombie = LabelRequest {
        expect: Some(Some(version(1))),
        rollout: on_behalf(17, 9),
        ..request()
    };
    assert_eq!(
        refusal(brought_back, &zombie),
        "label `production` was moved for rollout r18 since: rollout r17 has no say in it any more"
    );
}

#[test]
fn a_move_that_somebody_undid_is_not_made_again() {
    let undone = LabelFacts {
        seen: Some(Generation::new(3)),
        newest_rollout: Some(RolloutId::new(17)),
        done: true,
        ..facts()
    };
    let again = LabelRequest {
        expect: Some(Some(version(1))),
        rollout: on_behalf(17, 3),
        ..request()
    };
    assert_eq!(
        refusal(undone, &again),
        "label `production` of prompt `greeting` points at version 1, not at version 2"
    );
}

/// A store in miniature: it does what [`change`] says.
#[derive(Default)]
struct Journal {
    entries: Vec<LabelChange>,
}

impl Journal {
    fn last(&self, of: &Label) -> Option<&LabelChange> {
        self.entries.iter().rev().find(|entry| entry.label == *of)
    }

    fn ask(&mut self, request: &LabelRequest) -> Result<LabelChange, PromptError> {
        let asker = request.rollout.map(|(rollout, _)| rollout);
        let moves = || {
            self.entries
                .iter()
                .filter_map(|entry| Some((&entry.label, entry.rollout?)))
        };
        let of_asker = moves().filter(|(_, (rollout, _))| Some(*rollout) == asker);
        let of_label = moves().filter(|(label, _)| **label == request.label);
        let is_this_move = |entry: &LabelChange| {
            (&entry.label, entry.rollout, entry.to) == (&request.label, request.rollout, request.to)
        };
        let facts = LabelFacts {
            newest: version(3),
            withdrawn: false,
            protected: request.label.as_str() == "production",
            last: self.last(&request.label).cloned(),
            seen: of_asker.map(|(_, (_, generation))| generation).max(),
            newest_rollout: of_label.map(|(_, (rollout, _))| rollout).max(),
            done: request.rollout.is_some() && self.entries.iter().any(is_this_move),
        };
        match change(facts, request)? {
            ChangeOutcome::InPlace(entry) => Ok(entry),
            ChangeOutcome::Write { from } => {
                let sequence = self.entries.len() as u64 + 1;
                let entry = request.clone().into_change(sequence, from, Timestamp::UNIX_EPOCH);
                self.entries.push(entry.clone());
                Ok(entry)
            }
        }
    }
}

fn any_version() -> impl Strategy<Value = Option<Version>> {
    prop::option::weighted(0.9, (1u32..=3).prop_map(version))
}

fn any_request() -> impl Strategy<Value = LabelRequest> {
    (
        prop::sample::select(vec!["production", "canary"]),
        prop::option::of(any_version()),
        any_version(),
        prop::option::of((1u64..4, 0u64..4)),
        any::<bool>(),
    )
        .prop_map(|(name, expect, to, rollout, may_move_protected)| LabelRequest {
            label: label(name),
            expect,
            to,
            rollout: rollout.and_then(|(rollout, generation)| on_behalf(rollout, generation)),
            may_move_protected,
            ..request()
        })
}

proptest! {
    #[test]
    fn any_sequence_of_requests_keeps_the_journal_in_order(
        requests in prop::collection::vec(any_request(), 1..40),
    ) {
        let mut journal = Journal::default();
        for request in &requests {
            let length = journal.entries.len();
            if let Ok(answer) = journal.ask(request) {
                prop_assert_eq!(answer.to, request.to);
                let again = journal.ask(request);
                prop_assert_eq!(again, Ok(answer), "a repeat is answered alike");
            }
            prop_assert!(journal.entries.len() <= length + 1, "and moves nothing");
            if let Some(written) = journal.entries.get(length) {
                prop_assert!(request.may_move_protected || request.label.as_str() != "production");
                prop_assert!(request.expect.is_none_or(|expected| expected == written.from));
                prop_assert_ne!(written.from, written.to);
            }
        }
        for (at, entry) in journal.entries.iter().enumerate() {
            let Some((rollout, generation)) = entry.rollout else { continue };
            for earlier in &journal.entries[..at] {
                let Some((by, seen)) = earlier.rollout else { continue };
                prop_assert!(by != rollout || seen <= generation, "a generation went backwards");
                prop_assert!(earlier.label != entry.label || by <= rollout, "a rollout was undone");
                let same = (&earlier.label, earlier.rollout, earlier.to) == (&entry.label, entry.rollout, entry.to);
                prop_assert!(!same, "a move was made twice");
            }
        }
    }
}
