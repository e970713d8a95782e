//! The tables, as Markdown.

use crate::cells::{Cell, Ladder, Measure, World};
use crate::figures::{Share, least_treated, mean, quantile};
use crate::peers::Peer;
use crate::seeds::{mix, on_every_core};
use crate::trial::{Trial, Watch, trial};
use crate::verdicts::ALPHAS;
use std::fmt::Write as _;

/// Shares of `--runs` that the tables of health and harm take; those of errors and of speed take them all.
const RUNS_PER_HEALTH: u64 = 4;
const RUNS_PER_HARM: u64 = 5;

/// How much worse the candidates of the tables of speed are.
const REGRESSIONS: [(Measure, &str, f64); 8] = [
    (Measure::Score, "score −.02", 0.02),
    (Measure::Score, "score −.05", 0.05),
    (Measure::Score, "score −.10", 0.10),
    (Measure::Errors, "errors 1% → 2%", 0.01),
    (Measure::Errors, "errors 1% → 5%", 0.04),
    (Measure::Latency, "p95 × 1.1", 0.10),
    (Measure::Latency, "p95 × 1.25", 0.25),
    (Measure::Latency, "p95 × 2", 1.00),
];

/// How many runs, and from which seed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Size {
    /// Streams in each place of the table of false rollbacks.
    pub(crate) runs: u64,
    /// What all streams follow from.
    pub(crate) seed: u64,
}

impl Size {
    /// The streams of one cell; `number` keeps the cells' seeds apart.
    fn run(self, number: u64, runs: u64, cell: &Cell, watch: Watch) -> Vec<Trial> {
        let base = mix(self.seed, number);
        on_every_core(base, runs.max(1), |seed| trial(cell, watch, seed))
    }
}

/// Says on the terminal what is being done: the full tables take minutes.
fn progress(what: &str) {
    eprintln!("… {what}");
}

/// Rollbacks of candidates that are exactly as good as control.
pub(crate) fn harmless(size: Size) -> anyhow::Result<String> {
    let mut table = String::from("| | Serin, alpha .05 | upper limit | Serin, alpha .01 | upper limit |");
    let mut ruler = String::from("|---|---|---|---|---|");
    for peer in Peer::ALL {
        write!(table, " {} |", peer.title())?;
        ruler.push_str("---|");
    }
    writeln!(table, "\n{ruler}")?;
    let all_worlds = Measure::COMPARED
        .into_iter()
        .flat_map(|measure| World::HARMLESS.map(|world| (measure, world)));
    let of_ones = [Measure::Passes, Measure::Successes].into_iter();
    let of_ones =
        of_ones.flat_map(|measure| [World::Independent, World::Clustered].map(|world| (measure, world)));
    for (number, (measure, world)) in (101..).zip(all_worlds.chain(of_ones)) {
        progress(&format!("A/A: {}, {}", measure.title(), world.title()));
        let cell = Cell::new(measure, world, Ladder::Long, 0.0)?;
        let trials = size.run(number, size.runs, &cell, Watch::ToTheEnd);
        write!(table, "| {}, {} |", measure.title(), world.title())?;
        for at in 0..ALPHAS.len() {
            let share = Share::of(trials.iter().map(|trial| trial.rolled_back[at]));
            write!(
                table,
                " **{:.1}** | {:.1} |",
                share.percent(),
                share.percent_max()
            )?;
        }
        for at in 0..Peer::ALL.len() {
            let share = Share::of(trials.iter().map(|trial| trial.peers[at]));
            write!(table, " {:.1} |", share.percent())?;
        }
        table.push('\n');
    }
    Ok(table)
}

/// Treated observations until a regression is found.
pub(crate) fn detection(size: Size) -> anyhow::Result<String> {
    let mut table = String::from("| | bound | Serin | ratio | p90 ratio |");
    let mut ruler = String::from("|---|---|---|---|---|");
    let early = || {
        Peer::ALL
            .into_iter()
            .enumerate()
            .filter(|(_, peer)| *peer != Peer::SingleT)
    };
    for (_, peer) in early() {
        write!(table, " {} |", peer.title())?;
        ruler.push_str("---|");
    }
    writeln!(table, " Serin, {} |\n{ruler}---|", World::ManyUsers.title())?;
    for (number, (measure, title, worse)) in (200..).zip(REGRESSIONS) {
        progress(&format!("detection: {title}"));
        let bound = least_treated(measure, worse, ALPHAS[0]);
        let cell = Cell::new(measure, World::Independent, Ladder::Flat, worse)?;
        let trials = size.run(number, size.runs, &cell, Watch::UntilAllStop);
        let serin = || trials.iter().map(|trial| trial.rolled_back[0]);
        write!(
            table,
            "| {title} | {bound:.1} | **{}** | {} | {} |",
            stops(serin()),
            ratio(quantile(serin(), 0.5), bound),
            ratio(quantile(serin(), 0.9), bound),
        )?;
        for (at, _) in early() {
            write!(table, " {} |", stops(trials.iter().map(|trial| trial.peers[at])))?;
        }
        let cell = Cell::new(measure, World::ManyUsers, Ladder::Flat, worse)?;
        let trials = size.run(number + 50, size.runs, &cell, Watch::UntilRollback);
        writeln!(
            table,
            " {} |",
            stops(trials.iter().map(|trial| trial.rolled_back[0]))
        )?;
    }
    Ok(table)
}

/// How many observations are treated with a regression before it is taken back, or until the end.
pub(crate) fn harm(size: Size) -> anyhow::Result<String> {
    let mut table = String::from("| | Serin |");
    let mut ruler = String::from("|---|---|");
    for peer in Peer::ALL {
        write!(table, " {} |", peer.title())?;
        ruler.push_str("---|");
    }
    writeln!(table, "\n{ruler}")?;
    for (number, (measure, title, worse)) in (300..).zip(REGRESSIONS) {
        progress(&format!("harm: {title}"));
        let cell = Cell::new(measure, World::Independent, Ladder::Clocked, worse)?;
        let trials = size.run(number, size.runs / RUNS_PER_HARM, &cell, Watch::ToTheEnd);
        let mean_of = |stop: &dyn Fn(&Trial) -> Option<u64>| {
            mean(trials.iter().map(|trial| stop(trial).unwrap_or(trial.treated)))
        };
        write!(
            table,
            "| {title} | **{:.0}** |",
            mean_of(&|trial| trial.rolled_back[0])
        )?;
        for at in 0..Peer::ALL.len() {
            write!(table, " {:.0} |", mean_of(&|trial| trial.peers[at]))?;
        }
        table.push('\n');
    }
    Ok(table)
}

/// Margins, and a candidate that is exactly that much worse.
const MARGINS: [(Measure, &str); 6] = [
    (Measure::Score, "score, margin .02"),
    (Measure::Errors, "errors, margin 1 pp"),
    (Measure::Latency, "p95, margin 2 pp above it"),
    (Measure::LatencyByValue, "p95, margin 10%"),
    (Measure::Passes, "score of 0 or 1, 95% ones, margin .02"),
    (Measure::Successes, "score of 0 or 1, 10% ones, margin .02"),
];

/// False proofs of health, and how long a true one takes.
pub(crate) fn healthy(size: Size) -> anyhow::Result<String> {
    let mut table = String::from(
        "| | false, independent | upper limit | false, 3,000 users | upper limit | true, independent | \
         true, 3,000 users |\n|---|---|---|---|---|---|---|\n",
    );
    for (number, (measure, title)) in (400..).step_by(10).zip(MARGINS) {
        progress(&format!("health: {title}"));
        write!(table, "| {title} |")?;
        let worlds = [World::Independent, World::Clustered];
        for (number, world) in (number..).zip(worlds) {
            let cell = Cell::new(measure, world, Ladder::Long, measure.margin_as_worse())?;
            let trials = size.run(number, size.runs, &cell, Watch::UntilHealth);
            let share = Share::of(trials.iter().map(|trial| trial.healthy));
            write!(
                table,
                " **{:.1}** | {:.1} |",
                share.percent(),
                share.percent_max()
            )?;
        }
        for (number, world) in (number + 5..).zip(worlds) {
            let cell = Cell::new(measure, world, Ladder::Flat, 0.0)?;
            let runs = size.runs / RUNS_PER_HEALTH;
            let trials = size.run(number, runs, &cell, Watch::UntilHealth);
            write!(table, " {} |", stops(trials.iter().map(|trial| trial.healthy)))?;
        }
        table.push('\n');
    }
    Ok(table)
}

/// Median and 90th percentile, and how many came to an end where that is not all of them.
fn stops(outcomes: impl Iterator<Item = Option<u64>> + Clone) -> String {
    let at = |share| match quantile(outcomes.clone(), share) {
        Some(treated) => treated.to_string(),
        None => "–".to_owned(),
    };
    let mut text = format!("{} / {}", at(0.5), at(0.9));
    let found = Share::of(outcomes.clone());
    if found.count < found.of {
        text.push_str(&format!(" ({:.0}%)", found.percent()));
    }
    text
}

fn ratio(treated: Option<u64>, bound: f64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
    let ratio = treated.map(|treated| treated as f64 / bound);
    ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.2}"))
}
