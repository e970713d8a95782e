//! What every registry that fences its moves must do.

use async_trait::async_trait;
use jiff::Timestamp;
use serin::clock::ManualClock;
use serin::ids::{Actor, Generation, Justification, Label, MetricName, PromptName, RolloutId, Version};
use serin::prompt::{Draft, Evaluation, LabelChange, Template};
use serin::registry::in_memory::InMemory;
use serin::registry::{Freshness, LabelState, MoveOutcome, MoveReason, Registry, RegistryError};
use serin::rollout::{LabelMove, Parents};
use std::collections::{BTreeMap, BTreeSet};

/// A registry, and what people do to it behind Serin's back.
#[async_trait]
pub(crate) trait World: Send + Sync {
    /// An empty registry.
    async fn new() -> Self
    where
        Self: Sized;

    /// The registry as Serin sees it.
    fn registry(&self) -> &dyn Registry;

    /// Anna adds a version of [`prompt`].
    async fn create_version(&self, draft: Draft);

    /// Anna points a label of [`prompt`] somewhere, or removes it.
    async fn anna_moves(&self, label: &Label, to: Option<Version>);

    /// Somebody records an evaluation of a version of [`prompt`].
    async fn record_evaluation(&self, version: Version, evaluation: Evaluation);

    /// Every change of the labels of [`prompt`], oldest first.
    async fn journal(&self) -> Vec<LabelChange>;
}

/// The prompt of the suite.
pub(crate) fn prompt() -> PromptName {
    PromptName::new("support/order status").unwrap()
}

pub(crate) fn version(number: u32) -> Version {
    Version::new(number).unwrap()
}

pub(crate) fn label(name: &str) -> Label {
    Label::new(name).unwrap()
}

pub(crate) fn anna() -> Actor {
    Actor::new("anna").unwrap()
}

pub(crate) fn because(reason: &str) -> Justification {
    Justification::new(reason).unwrap()
}

pub(crate) fn draft(text: &str) -> Draft {
    Draft {
        template: Template::Text(text.into()),
        semantic_version: None,
        reason: because("clearer wording"),
        config: serde_json::Map::new(),
        owner: None,
        tags: BTreeSet::new(),
    }
}

/// Generation 3 of rollout 17 moves `label`.
pub(crate) fn a_move(name: &str, from: Option<u32>, to: u32) -> LabelMove {
    LabelMove {
        prompt: prompt(),
        label: label(name),
        from: from.map(version),
        to: version(to),
        rollout: RolloutId::new(17),
        generation: Generation::new(3),
        parents: Parents::default(),
    }
}

pub(crate) fn why() -> MoveReason {
    MoveReason {
        actor: Actor::serin(),
        reason: because("every guardrail passed"),
    }
}

/// Three versions; `production` points at 1 and `canary` at 2, both by Anna.
pub(crate) async fn world<W: World>() -> W {
    let world = W::new().await;
    for number in 1..=3 {
        world.create_version(draft(&format!("text {number}"))).await;
    }
    world.anna_moves(&label("production"), Some(version(1))).await;
    world.anna_moves(&label("canary"), Some(version(2))).await;
    world
}

/// Every label that the suite uses.
pub(crate) async fn all_labels(
    registry: &dyn Registry,
    prompt: &PromptName,
) -> Result<BTreeMap<Label, LabelState>, RegistryError> {
    let wanted = ["production", "canary", "staging", "beta"].map(label);
    registry.labels(prompt, &wanted, Freshness::Now).await
}

async fn shown(world: &impl World) -> BTreeMap<String, (u32, Option<String>)> {
    let labels = all_labels(world.registry(), &prompt()).await.unwrap();
    let shown = |state: LabelState| (state.version.get(), state.by.map(|by| by.to_string()));
    labels
        .into_iter()
        .map(|(label, state)| (label.to_string(), shown(state)))
        .collect()
}

fn by(version: u32, actor: &str) -> (u32, Option<String>) {
    (version, Some(actor.to_owned()))
}

async fn labels_show_where_they_point_and_who_moved_them<W: World>() {
    let world: W = world().await;
    let outcome = world
        .registry()
        .move_label(&a_move("production", Some(1), 2), &why())
        .await;
    assert_eq!(outcome, Ok(MoveOutcome::Moved));
    assert_eq!(
        shown(&world).await,
        BTreeMap::from([
            ("canary".to_owned(), by(2, "anna")),
            ("production".to_owned(), by(2, "serin")),
        ])
    );
    let wanted = [label("canary"), label("nowhere")];
    let some = world
        .registry()
        .labels(&prompt(), &wanted, Freshness::Polled)
        .await
        .unwrap();
    assert_eq!(some.keys().collect::<Vec<_>>(), [&label("canary")]);
    world.anna_moves(&label("canary"), None).await;
    world.anna_moves(&label("production"), Some(version(3))).await;
    assert_eq!(
        shown(&world).await,
        BTreeMap::from([("production".to_owned(), by(3, "anna"))])
    );
}

async fn who_moved_a_label_long_ago_is_still_told<W: World>() {
    let world: W = world().await;
    world.anna_moves(&label("canary"), None).await;
    for round in 0..150 {
        world
            .anna_moves(&label("staging"), Some(version(1 + round % 2)))
            .await;
    }
    world.anna_moves(&label("staging"), None).await;
    assert_eq!(
        shown(&world).await,
        BTreeMap::from([("production".to_owned(), by(1, "anna"))])
    );
}

async fn versions_and_evaluations_are_read<W: World>() {
    let world: W = world().await;
    let registry = world.registry();
    let second = registry.version(&prompt(), version(2)).await.unwrap();
    assert_eq!((second.version, second.draft), (version(2), draft("text 2")));
    assert_eq!(second.author, anna());
    assert_eq!(registry.evaluations(&prompt(), version(2)).await, Ok(vec![]));

    let evaluation = |second, score| Evaluation {
        dataset: "golden.jsonl".into(),
        at: Timestamp::from_second(second).unwrap(),
        actor: anna(),
        scores: BTreeMap::from([(MetricName::new("faithfulness").unwrap(), score)]),
    };
    for evaluation in [evaluation(1, 0.5), evaluation(2, 0.75)] {
        world.record_evaluation(version(2), evaluation).await;
    }
    let recorded = registry.evaluations(&prompt(), version(2)).await.unwrap();
    assert_eq!(recorded, [evaluation(1, 0.5), evaluation(2, 0.75)]);
    assert_eq!(registry.evaluations(&prompt(), version(1)).await, Ok(vec![]));
}

async fn what_does_not_exist_is_not_found<W: World>() {
    let world: W = world().await;
    let registry = world.registry();
    let unknown = PromptName::new("support/orders").unwrap();
    let no_prompt = RegistryError::NotFound("there is no prompt `support/orders`".to_owned());
    assert_eq!(all_labels(registry, &unknown).await, Err(no_prompt.clone()));
    let of_unknown = LabelMove {
        prompt: unknown,
        ..a_move("production", Some(1), 2)
    };
    assert_eq!(registry.move_label(&of_unknown, &why()).await, Err(no_prompt));
    let no_version = RegistryError::NotFound("prompt `support/order status` has no version 4".to_owned());
    assert_eq!(
        registry.version(&prompt(), version(4)).await,
        Err(no_version.clone())
    );
    assert_eq!(
        registry.evaluations(&prompt(), version(4)).await,
        Err(no_version.clone())
    );
    let beyond = registry
        .move_label(&a_move("production", Some(1), 4), &why())
        .await;
    assert_eq!(beyond, Err(no_version));
}

async fn a_move_sent_again_moves_once<W: World>() {
    let world: W = world().await;
    let label_move = a_move("production", Some(1), 2);
    let before = world.journal().await.len();
    let mut outcomes = Vec::new();
    for _ in 0..3 {
        outcomes.push(world.registry().move_label(&label_move, &why()).await.unwrap());
    }
    assert_eq!(
        outcomes,
        [MoveOutcome::Moved, MoveOutcome::InPlace, MoveOutcome::InPlace]
    );
    let journal = world.journal().await;
    assert_eq!(journal.len(), before + 1);
    let entry = journal.last().unwrap();
    assert_eq!((entry.from, entry.to), (Some(version(1)), Some(version(2))));
    assert_eq!((&entry.actor, &entry.reason), (&why().actor, &why().reason));
    assert_eq!(entry.rollout, Some((RolloutId::new(17), Generation::new(3))));
}

async fn a_label_that_does_not_exist_yet_is_made<W: World>() {
    let world: W = world().await;
    let made = world
        .registry()
        .move_label(&a_move("beta", None, 2), &why())
        .await;
    assert_eq!(made, Ok(MoveOutcome::Moved));
    assert_eq!(shown(&world).await["beta"], by(2, "serin"));
}

async fn a_label_that_is_elsewhere_is_left_there<W: World>() {
    let world: W = world().await;
    world.anna_moves(&label("production"), Some(version(3))).await;
    world.anna_moves(&label("canary"), None).await;
    let before = world.journal().await;
    for (label_move, found) in [
        (a_move("production", Some(1), 2), Some(version(3))),
        (a_move("production", None, 2), Some(version(3))),
        (a_move("canary", Some(2), 1), None),
    ] {
        let outcome = world.registry().move_label(&label_move, &why()).await;
        assert_eq!(outcome, Ok(MoveOutcome::Elsewhere { found }), "{label_move:?}");
    }
    assert_eq!(world.journal().await, before);
}

async fn older_generations_and_rollouts_are_refused<W: World>() {
    let world: W = world().await;
    let registry = world.registry();
    let of = |rollout, generation, label_move| LabelMove {
        rollout: RolloutId::new(rollout),
        generation: Generation::new(generation),
        ..label_move
    };
    let forth = a_move("production", Some(1), 2);
    let back = a_move("production", Some(2), 1);
    assert_eq!(
        registry.move_label(&of(17, 3, forth.clone()), &why()).await,
        Ok(MoveOutcome::Moved)
    );
    assert_eq!(
        registry.move_label(&of(17, 4, back), &why()).await,
        Ok(MoveOutcome::Moved)
    );
    // The first controller wakes up and sends its move again: the label is where it expects it.
    assert_eq!(
        registry.move_label(&of(17, 3, forth.clone()), &why()).await,
        Err(RegistryError::Refused(
            "generation 3 of rollout r17 is stale: the label was moved for generation 4".to_owned()
        ))
    );
    assert_eq!(
        registry.move_label(&of(16, 9, forth.clone()), &why()).await,
        Err(RegistryError::Refused(
            "label `production` was moved for rollout r17 since: rollout r16 has no say in it any more"
                .to_owned()
        ))
    );
    assert_eq!(
        registry.move_label(&of(18, 1, forth), &why()).await,
        Ok(MoveOutcome::Moved)
    );
}

async fn a_generation_that_found_everything_in_place_keeps_older_ones_out<W: World>() {
    let world: W = world().await;
    let newer = LabelMove {
        generation: Generation::new(4),
        ..a_move("canary", Some(1), 2)
    };
    assert_eq!(
        world.registry().move_label(&newer, &why()).await,
        Ok(MoveOutcome::InPlace)
    );
    let older = world
        .registry()
        .move_label(&a_move("production", Some(1), 2), &why())
        .await;
    assert!(matches!(older, Err(RegistryError::Refused(_))), "{older:?}");
    assert_eq!(shown(&world).await["production"], by(1, "anna"));
}

async fn a_move_that_somebody_undid_is_not_made_again<W: World>() {
    let world: W = world().await;
    let forth = a_move("production", Some(1), 2);
    assert_eq!(
        world.registry().move_label(&forth, &why()).await,
        Ok(MoveOutcome::Moved)
    );
    world.anna_moves(&label("production"), Some(version(1))).await;
    let found = Some(version(1));
    assert_eq!(
        world.registry().move_label(&forth, &why()).await,
        Ok(MoveOutcome::Elsewhere { found })
    );
    assert_eq!(shown(&world).await["production"], by(1, "anna"));
}

async fn what_takes_in_a_label_is_told_while_a_label_points_at_it<W: World>() {
    let world: W = world().await;
    let text = "@@@langfusePrompt:name=support/order status|label=production@@@ Anything else?";
    world.create_version(draft(text)).await;
    let parents = async || {
        let all = world.registry().compositions().await.unwrap();
        assert_eq!(all.gap, None);
        all.parents(&BTreeSet::from([(prompt(), label("production"))]))
    };
    assert_eq!(parents().await, BTreeMap::new());
    for to in [Some(version(4)), None, Some(version(4)), Some(version(1))] {
        world.anna_moves(&label("beta"), to).await;
        let found = to.filter(|to| *to == version(4));
        let expected = found.map(|version| ((prompt(), label("beta")), version));
        assert_eq!(parents().await, expected.into_iter().collect());
    }
}

/// Runs the whole suite for a world, each test under its own name.
macro_rules! suite {
    ($name:ident, $world:ty, [$($test:ident),* $(,)?]) => {
        mod $name {
            $(
                #[tokio::test]
                async fn $test() {
                    super::$test::<$world>().await;
                }
            )*
        }
    };
    ($name:ident, $world:ty) => {
        suite!($name, $world, [
            labels_show_where_they_point_and_who_moved_them,
            who_moved_a_label_long_ago_is_still_told,
            versions_and_evaluations_are_read,
            what_does_not_exist_is_not_found,
            a_move_sent_again_moves_once,
            a_label_that_does_not_exist_yet_is_made,
            a_label_that_is_elsewhere_is_left_there,
            older_generations_and_rollouts_are_refused,
            a_generation_that_found_everything_in_place_keeps_older_ones_out,
            a_move_that_somebody_undid_is_not_made_again,
            what_takes_in_a_label_is_told_while_a_label_points_at_it,
        ]);
    };
}

suite!(in_memory, super::InMemory);
suite!(embedded, crate::embedded::Stored);

#[async_trait]
impl World for InMemory {
    async fn new() -> Self {
        Self::new(ManualClock::starting_at(Timestamp::UNIX_EPOCH))
    }

    fn registry(&self) -> &dyn Registry {
        self
    }

    async fn create_version(&self, draft: Draft) {
        self.create_version(&prompt(), draft, anna());
    }

    async fn anna_moves(&self, label: &Label, to: Option<Version>) {
        self.move_label_as(anna(), because("to see"), &prompt(), label, to)
            .unwrap();
    }

    async fn record_evaluation(&self, version: Version, evaluation: Evaluation) {
        self.record_evaluation(&prompt(), version, evaluation).unwrap();
    }

    async fn journal(&self) -> Vec<LabelChange> {
        self.journal(&prompt())
    }
}
