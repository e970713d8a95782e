//! Plays a scenario in a world, and writes down everything that is said.

use super::language::{Breakage, Contrast, Line, Step, parse};
use jiff::SignedDuration;
use serin::controller::{CommandError, StartRequest};
use serin::ids::{
    Actor, Exposure, Justification, Label, MetricName, PolicyName, PromptName, RegistryName, RolloutId,
    Version,
};
use serin::policy::problem::Problem;
use serin::prompt::{Draft, Evaluation, Template};
use serin::registry::in_memory::{Call, Fault};
use serin::rollout::{Command, Verb};
use serin::sim::faults::hazards::Strike;
use serin::sim::population::{Behaviour, Law, Population, Users};
use serin::sim::traffic::{Attribution, Traffic};
use serin::sim::world::{Policies, Setup, World, WorldError};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

/// The policy, and its prompt, that every scenario is about.
const POLICY: &str = "answer";

/// What everybody in a scenario is drawn from.
const SEED: u64 = 20_260_302;

/// A scenario on its way.
pub(crate) struct Stage<'f> {
    pub(crate) world: World,
    folder: &'f Path,
    pub(crate) policy: PolicyName,
    pub(crate) prompt: PromptName,
    out: String,
    /// How often people have come; each time they are others.
    crowds: u64,
    /// The last audit record that was told, by rollout.
    pub(crate) told: BTreeMap<RolloutId, u64>,
    /// The reason to stay that was told last, and so on.
    pub(crate) stay: Option<&'static str>,
    pub(crate) exposure: Exposure,
    pub(crate) troubles: Vec<String>,
    pub(crate) problems: Vec<Problem>,
    pub(crate) is_down: bool,
}

/// Plays `text`, with policy files in `folder`; what it prints.
pub(crate) async fn play(text: &str, folder: &Path) -> Result<String, Box<dyn std::error::Error>> {
    let lines = parse(text)?;
    let setup = Setup {
        seed: SEED,
        start: "2026-03-02T09:00:00Z".parse()?,
        registry: RegistryName::new("embedded")?,
        policies: Policies::Folder(folder.to_owned()),
    };
    let mut stage = Stage {
        world: World::new(setup).await?,
        folder,
        policy: PolicyName::new(POLICY)?,
        prompt: PromptName::new(POLICY)?,
        out: String::new(),
        crowds: 0,
        told: BTreeMap::new(),
        stay: None,
        exposure: Exposure::NOBODY,
        troubles: Vec::new(),
        problems: Vec::new(),
        is_down: false,
    };
    for Line { written, step } in lines {
        let prompt = if step == Step::Comment { "" } else { "> " };
        writeln!(stage.out, "{prompt}{written}")?;
        stage
            .step(step)
            .await
            .map_err(|error| format!("`{written}`: {error}"))?;
    }
    Ok(stage.out)
}

pub(crate) type Done = Result<(), Box<dyn std::error::Error>>;

impl Stage<'_> {
    async fn step(&mut self, step: Step) -> Done {
        match step {
            Step::Comment => {}
            Step::Policy { file, text } => std::fs::write(self.folder.join(file), text)?,
            Step::RemovePolicy { file } => std::fs::remove_file(self.folder.join(file))?,
            Step::Versions { newest } => self.versions(newest)?,
            Step::Evaluate {
                version,
                dataset,
                scores,
            } => self.evaluate(version, &dataset, scores)?,
            Step::Label { label, version, by } => self.label(&label, version, &by)?,
            Step::Start { candidate, by } => self.start(candidate, &by).await?,
            Step::Command { verb, by } => self.command(verb, &by).await?,
            Step::Observe {
                per_second,
                metrics,
                length,
            } => {
                self.crowd(per_second, &metrics)?;
                self.pass(length).await?;
                self.world.senders().set_traffic(self.policy.clone(), None);
            }
            Step::ObserveUser { user, metrics } => self.observe(&user, &metrics).await?,
            Step::Wait { length } => self.pass(length).await?,
            Step::Break(breakage) => self.break_it(breakage),
            Step::Assign { users } => self.assign(&users)?,
            Step::Split => self.split()?,
            Step::Explain => self.explain(),
            Step::Labels => self.labels(),
            Step::Problems => self.list_problems(),
        }
        self.tell_news().await
    }

    pub(crate) fn say(&mut self, text: impl AsRef<str>) {
        self.out.push_str("  ");
        self.out.push_str(text.as_ref());
        self.out.push('\n');
    }

    fn versions(&mut self, newest: u32) -> Done {
        let reason = Justification::new("a better answer")?;
        loop {
            let draft = Draft {
                template: Template::Text("Answer {{question}}.".into()),
                semantic_version: None,
                reason: reason.clone(),
                config: serde_json::Map::new(),
                owner: None,
                tags: BTreeSet::new(),
            };
            let created = self
                .world
                .registry()
                .create_version(&self.prompt, draft, Actor::new("anna")?);
            if created.version.get() >= newest {
                return Ok(());
            }
        }
    }

    fn evaluate(&mut self, version: u32, dataset: &str, scores: Vec<(String, f64)>) -> Done {
        let scores = scores
            .into_iter()
            .map(|(metric, score)| Ok((MetricName::new(&metric)?, score)));
        let evaluation = Evaluation {
            dataset: dataset.into(),
            at: self.world.now(),
            actor: Actor::new("anna")?,
            scores: scores.collect::<Result<_, Box<dyn std::error::Error>>>()?,
        };
        Ok(self
            .world
            .registry()
            .record_evaluation(&self.prompt, Version::new(version)?, evaluation)?)
    }

    fn label(&mut self, label: &str, version: Option<u32>, by: &str) -> Done {
        let (actor, reason) = (Actor::new(by)?, Justification::new("by hand")?);
        let to = version.map(Version::new).transpose()?;
        let label = Label::new(label)?;
        Ok(self
            .world
            .registry()
            .move_label_as(actor, reason, &self.prompt, &label, to)?)
    }

    async fn pass(&mut self, length: SignedDuration) -> Done {
        for _ in 0..length.as_secs() {
            self.world.tick().await?;
            self.tell_news().await?;
        }
        Ok(())
    }

    async fn start(&mut self, candidate: Option<u32>, by: &str) -> Done {
        let request = StartRequest {
            policy: self.policy.clone(),
            candidate: candidate.map(Version::new).transpose()?,
            actor: Actor::new(by)?,
            reason: Justification::new("to try it")?,
        };
        match self.world.start(request).await {
            Ok(Ok(_)) => {}
            Ok(Err(refused)) => self.say(format!("refused: {refused}")),
            Err(WorldError::Down) => self.say("no answer"),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    async fn command(&mut self, verb: Verb, by: &str) -> Done {
        let Some(rollout) = self.world.rollout_of(&self.policy) else {
            self.say("there is no rollout");
            return Ok(());
        };
        let command = Command {
            verb,
            actor: Actor::new(by)?,
            reason: Justification::new("as agreed")?,
            is_admin: false,
        };
        match self.world.command(rollout.state.id, command).await {
            // A refusal is in the history, too, which is told anyway.
            Ok(Ok(_) | Err(CommandError::Refused(_))) => {}
            Ok(Err(error)) => self.say(format!("refused: {error}")),
            Err(WorldError::Down) => self.say("no answer"),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// A crowd that nobody has seen before; values from 0 to 1 with decimals are scores, and metrics
    /// that are called `errors` are rates.
    fn crowd(&mut self, per_second: f64, metrics: &[Contrast]) -> Done {
        let law = |metric: &str, mean| {
            if metric == "errors" {
                Law::rate(mean)
            } else {
                Law::score(mean)
            }
        };
        let mut behaviours = Vec::new();
        for Contrast {
            metric,
            control,
            treatment,
        } in metrics
        {
            let no_law = || format!("`{metric}` cannot have such a mean");
            behaviours.push(Behaviour {
                metric: MetricName::new(metric)?,
                control: law(metric, *control).ok_or_else(no_law)?,
                treatment: law(metric, *treatment).ok_or_else(no_law)?,
            });
        }
        self.crowds += 1;
        let traffic = Traffic {
            population: Population::new(SEED + self.crowds, Users::Fresh),
            per_second,
            behaviours,
            attribution: Attribution::Receipt,
            identified: false,
            observed: 0,
        };
        self.world
            .senders()
            .set_traffic(self.policy.clone(), Some(traffic));
        Ok(())
    }

    async fn observe(&mut self, user: &str, metrics: &[(String, f64)]) -> Done {
        let metrics: BTreeMap<&str, f64> = metrics
            .iter()
            .map(|(name, value)| (name.as_str(), *value))
            .collect();
        let body = serde_json::json!({"policy": POLICY, "user": user, "metrics": metrics});
        let posted = self.world.post(body.to_string().as_bytes()).await?;
        for reason in posted.ignored.keys() {
            self.say(format!("ignored: {}", reason.as_str()));
        }
        for refused in &posted.refused {
            self.say(format!("refused: {} [{}]", refused.detail, refused.code.as_str()));
        }
        for counted in &posted.observations {
            self.say(format!("counted for {} in {}", counted.arm, counted.rollout));
        }
        Ok(())
    }

    fn break_it(&mut self, breakage: Breakage) {
        let world = &mut self.world;
        match breakage {
            Breakage::RegistryAway => world.registry().set_away(true),
            Breakage::RegistryBack => world.registry().set_away(false),
            Breakage::ReplyLost => world.registry().inject(Call::MoveLabel, Fault::LostReply),
            Breakage::Crash => world.stop_server(),
            Breakage::CrashBeforeMove => world.hazards().crash_at_move(Strike::BeforeCall),
            Breakage::CrashAfterMove => world.hazards().crash_at_move(Strike::AfterCall),
            Breakage::StoreFails => world.hazards().fail_store_after(0, Strike::BeforeCall),
        }
    }
}
