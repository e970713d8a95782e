//! The model's faults: what each does to a call, and what a repeat then finds.

use crate::suite::{a_move, all_labels, anna, because, draft, label, prompt, version, why};
use jiff::{SignedDuration, Timestamp};
use serin::clock::ManualClock;
use serin::ids::{Generation, Version};
use serin::registry::in_memory::{Call, Fault, InMemory};
use serin::registry::{MoveOutcome, Registry, RegistryError};
use serin::rollout::LabelMove;

/// Two versions; `production` points at 1.
fn registry() -> (InMemory, ManualClock) {
    let clock = ManualClock::starting_at(Timestamp::UNIX_EPOCH);
    let registry = InMemory::new(clock.clone());
    for text in ["one", "two"] {
        registry.create_version(&prompt(), draft(text), anna());
    }
    let first = Some(version(1));
    registry
        .move_label_as(
            anna(),
            because("the first"),
            &prompt(),
            &label("production"),
            first,
        )
        .unwrap();
    (registry, clock)
}

fn production(registry: &InMemory) -> u32 {
    registry
        .label(&prompt(), &label("production"))
        .map_or(0, Version::get)
}

async fn move_forth(registry: &InMemory) -> Result<MoveOutcome, RegistryError> {
    registry
        .move_label(&a_move("production", Some(1), 2), &why())
        .await
}

/// Generation 4 takes back what generation 3 did.
async fn move_back(registry: &InMemory) -> Result<MoveOutcome, RegistryError> {
    let back = LabelMove {
        generation: Generation::new(4),
        ..a_move("production", Some(2), 1)
    };
    registry.move_label(&back, &why()).await
}

fn is_unavailable<T>(answer: &Result<T, RegistryError>) -> bool {
    matches!(answer, Err(RegistryError::Unavailable(_)))
}

#[tokio::test]
async fn an_unavailable_registry_does_nothing() {
    let (registry, _) = registry();
    registry.inject(Call::MoveLabel, Fault::Unavailable);
    assert!(is_unavailable(&move_forth(&registry).await));
    assert_eq!(production(&registry), 1);
    assert_eq!(move_forth(&registry).await, Ok(MoveOutcome::Moved));
}

#[tokio::test]
async fn a_lost_reply_hides_a_move_that_was_made() {
    let (registry, _) = registry();
    registry.inject(Call::MoveLabel, Fault::LostReply);
    assert!(is_unavailable(&move_forth(&registry).await));
    assert_eq!(production(&registry), 2);
    assert_eq!(move_forth(&registry).await, Ok(MoveOutcome::InPlace));
    assert_eq!(registry.journal(&prompt()).len(), 2);
}

#[tokio::test]
async fn a_lost_reply_to_a_question_is_no_answer() {
    let (registry, _) = registry();
    for call in [Call::Labels, Call::Version, Call::Evaluations] {
        registry.inject(call, Fault::LostReply);
    }
    assert!(is_unavailable(&all_labels(&registry, &prompt()).await));
    assert!(is_unavailable(&registry.version(&prompt(), version(1)).await));
    assert!(is_unavailable(&registry.evaluations(&prompt(), version(1)).await));
    assert!(all_labels(&registry, &prompt()).await.is_ok());
}

#[tokio::test]
async fn a_slow_answer_moves_the_clock() {
    let (registry, clock) = registry();
    registry.inject(Call::Labels, Fault::Slow(SignedDuration::from_secs(9)));
    assert_eq!(all_labels(&registry, &prompt()).await.unwrap().len(), 1);
    assert_eq!(clock.now(), Timestamp::from_second(9).unwrap());
}

#[tokio::test]
async fn a_repeated_move_moves_once_and_hears_the_second_answer() {
    let (registry, _) = registry();
    registry.inject(Call::MoveLabel, Fault::Repeated);
    assert_eq!(move_forth(&registry).await, Ok(MoveOutcome::InPlace));
    assert_eq!(registry.journal(&prompt()).len(), 2);
}

#[tokio::test]
async fn a_move_that_arrives_again_after_it_was_taken_back_is_stale() {
    let (registry, _) = registry();
    registry.inject(Call::MoveLabel, Fault::RepeatedLater { calls: 2 });
    assert_eq!(move_forth(&registry).await, Ok(MoveOutcome::Moved));
    assert_eq!(move_back(&registry).await, Ok(MoveOutcome::Moved));
    assert_eq!(
        all_labels(&registry, &prompt()).await.unwrap()[&label("production")].version,
        version(1)
    );
    assert_eq!(registry.journal(&prompt()).len(), 3);
}

#[tokio::test]
async fn a_move_that_arrives_late_does_so_before_the_call_it_waits_for() {
    let (registry, _) = registry();
    registry.create_version(&prompt(), draft("three"), anna());
    registry.inject(Call::MoveLabel, Fault::RepeatedLater { calls: 2 });
    registry.inject(Call::MoveLabel, Fault::Unavailable);
    // The first arrival finds the label elsewhere; then somebody puts it where the second expects it.
    let to = |number| {
        let (label, version) = (label("production"), Some(version(number)));
        registry
            .move_label_as(anna(), because("to see"), &prompt(), &label, version)
            .unwrap();
    };
    to(3);
    let found = Some(version(3));
    assert_eq!(move_forth(&registry).await, Ok(MoveOutcome::Elsewhere { found }));
    to(1);
    assert!(is_unavailable(&move_forth(&registry).await));
    assert_eq!(production(&registry), 1, "one call later it has not arrived");
    assert_eq!(
        all_labels(&registry, &prompt()).await.unwrap()[&label("production")].version,
        version(2)
    );
}

#[tokio::test]
async fn somebody_else_can_be_faster() {
    let (registry, _) = registry();
    registry.create_version(&prompt(), draft("three"), anna());
    let foreign = Fault::ForeignMove {
        label: label("production"),
        to: version(3),
        actor: anna(),
        reason: because("a hotfix"),
    };
    registry.inject(Call::MoveLabel, foreign);
    let found = Some(version(3));
    assert_eq!(move_forth(&registry).await, Ok(MoveOutcome::Elsewhere { found }));
    let last = registry.journal(&prompt()).pop().unwrap();
    assert_eq!((last.actor, last.rollout), (anna(), None));
}

#[tokio::test]
async fn the_script_waits_for_its_calls_in_order() {
    let (registry, _) = registry();
    registry.inject(Call::MoveLabel, Fault::Unavailable);
    registry.inject(Call::Labels, Fault::Unavailable);
    assert!(
        all_labels(&registry, &prompt()).await.is_ok(),
        "its fault waits behind the move's"
    );
    assert!(is_unavailable(&move_forth(&registry).await));
    assert!(is_unavailable(&all_labels(&registry, &prompt()).await));
    assert!(all_labels(&registry, &prompt()).await.is_ok());
    assert_eq!(registry.calls(), 4);
}

#[tokio::test]
async fn a_registry_that_is_away_comes_back_as_it_was() {
    let (registry, _) = registry();
    registry.inject(Call::Labels, Fault::Unavailable);
    registry.set_away(true);
    for _ in 0..3 {
        assert!(is_unavailable(&all_labels(&registry, &prompt()).await));
        assert!(is_unavailable(&move_forth(&registry).await));
    }
    registry.set_away(false);
    assert!(
        is_unavailable(&all_labels(&registry, &prompt()).await),
        "the script waited"
    );
    assert_eq!(
        all_labels(&registry, &prompt()).await.unwrap()[&label("production")].version,
        version(1)
    );
}
