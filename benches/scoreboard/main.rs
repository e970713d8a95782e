//! What Serin is measured against: its real engine, settings from a real policy, and the rules of
//! others, all on the same seeded streams.
//!
//! ```sh
//! cargo bench --bench scoreboard -- --write docs/scoreboard.md     # everything, in minutes
//! cargo bench --bench scoreboard -- --runs 200 --only detection    # a first look
//! ```
//!
//! The result follows from runs and seed alone, whatever the number of cores.

mod arguments;
mod cells;
mod figures;
mod peers;
mod scenarios;
mod seeds;
mod tables;
mod trial;
mod verdicts;

use anyhow::Context as _;
use arguments::{Arguments, Section};
use serin::clock::{Clock, Stopwatch};
use std::fmt::Write as _;
use std::process::ExitCode;
use tables::Size;

const SCENARIOS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/tests/conformance/statistics/scenarios.public.json"
);

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::from(2)
        }
    }
}

/// Does what is asked for; whether every scenario came out as expected.
fn run() -> anyhow::Result<bool> {
    let arguments = Arguments::read(std::env::args().skip(1))?;
    let stopwatch = Stopwatch::start();
    let mut all_hold = true;
    let mut text = preamble(&arguments)?;
    for section in Section::ALL
        .into_iter()
        .filter(|section| arguments.wants(*section))
    {
        let (prose, table) = section_of(section, &arguments, &mut all_hold)?;
        write!(text, "\n{prose}\n{table}")?;
    }
    match &arguments.write {
        Some(path) => std::fs::write(path, &text).with_context(|| format!("`{}`", path.display()))?,
        #[expect(clippy::print_stdout, reason = "the tables are what was asked for")]
        None => println!("{text}"),
    }
    eprintln!("done in {:.0?}", stopwatch.elapsed());
    Ok(all_hold)
}

fn section_of(
    section: Section,
    arguments: &Arguments,
    all_hold: &mut bool,
) -> anyhow::Result<(&'static str, String)> {
    let size = Size {
        runs: arguments.runs,
        seed: arguments.seed,
    };
    Ok(match section {
        Section::Harmless => (HARMLESS, tables::harmless(size)?),
        Section::Detection => (DETECTION, tables::detection(size)?),
        Section::Harm => (HARM, tables::harm(size)?),
        Section::Healthy => (HEALTHY, tables::healthy(size)?),
        Section::Scenarios => (SCENARIOS_PROSE, scenarios_table(all_hold)?),
    })
}

/// What every reader must know to do it again.
fn preamble(arguments: &Arguments) -> anyhow::Result<String> {
    let date = Clock::System.now().strftime("%Y-%m-%d");
    let Arguments { runs, seed, .. } = arguments;
    let mut text = String::new();
    writeln!(text, "# What Serin is measured against\n\n{PREAMBLE}")?;
    writeln!(
        text,
        "{runs} runs in each place of tables 1 and 4, fewer where a table says so; seed {seed}; {date}.\n"
    )?;
    writeln!(
        text,
        "```sh\ncargo bench --bench scoreboard -- --runs {runs} --seed {seed} --write docs/scoreboard.md\n```"
    )?;
    Ok(text)
}

fn scenarios_table(all_hold: &mut bool) -> anyhow::Result<String> {
    let file = std::fs::read_to_string(SCENARIOS).with_context(|| format!("`{SCENARIOS}`"))?;
    let mut table = String::from(
        "| | rolled back | median / p90 | healthy | median | as expected |\n|---|---|---|---|---|---|\n",
    );
    for scenario in scenarios::read(&file)? {
        eprintln!("… scenario {}", scenario.id);
        let outcomes = seeds::on_every_core(scenario.seed, scenario.replicates, |seed| scenario.run(seed));
        let summary = scenarios::Summary::of(&outcomes);
        let failures = scenario.failures(&summary);
        *all_hold &= failures.is_empty();
        let shown = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.0}"));
        writeln!(
            table,
            "| {} | {:.0}% | {} / {} | {:.0}% | {} | {} |",
            scenario.id,
            100.0 * summary.rolled_back,
            shown(summary.median_until_rollback),
            shown(summary.p90_until_rollback),
            100.0 * summary.healthy,
            shown(summary.median_until_healthy),
            if failures.is_empty() {
                "yes".to_owned()
            } else {
                failures.join("; ")
            },
        )?;
    }
    Ok(table)
}

const PREAMBLE: &str = "\
Serin's real engine, with the settings that a real policy gives it, and the rules by which others roll
back, on the same seeded streams. The rules of others are written down from their documentation; they
are not the products, whose defaults and smoothing differ.

- **Streams.** 40 observations a second on average (Poisson), a tick a second, and every rule looks at
  every tick unless it says otherwise. Scores are Beta(8, 2), one answer in a hundred is an error,
  latencies are lognormal with a median of 1 s and a shape of .6; scores of a judge that says 0 or 1 are
  such zeros and ones, compared as scores. Users fall to arms and clusters by the
  keyed hashes of production. Where users come back, what is observed of one is correlated (a Gaussian
  copula) and their activity is lognormal with a shape of 1.
- **Serin** is told the truth about control as `baseline`: a mean of .8, a rate of 1%, a 95th percentile
  of 2.683 s. That favours it: an edge that is known needs no learning. Margins are .02, 1 pp, and 2 pp
  of exceedances of the control's 95th percentile. One metric has all of alpha, one-sided.
- **Fixed limit**, as Flagger and Argo Rollouts judge: the treatment's value in windows of 60 s against
  .78, 2%, or 1.1 times the true 95th percentile; the third failed check rolls back.
- **Mann–Whitney**, the test of Kayenta: 60 s windows of raw observations, one-sided; the first
  rejection rolls back. Kayenta's tolerance is not there.
- **t, every tick**: Welch's test of the arms as pooled so far, one-sided at .05, from 30 treated
  observations on. **t, at the end**: once.
- **Asymptotic sequence**, as GrowthBook's sequential engine: two-sided at .05, tuned to 5,000
  observations, arms pooled, from 30 treated observations on.
- For the 95th percentile, tests of means compare exceedances of the control's true one.
";

const HARMLESS: &str = "\
## 1. False rollbacks

Percent of rollouts rolled back although nothing is wrong with the candidate: 5% for 800 s, 25% for
500 s, 50% for 500 s, about 16,600 treated observations. The upper limit is that of 95% confidence.
`drift`: with the step to 25%, scores fall by .05, errors double, latencies grow by 30%, in both arms.
";

const DETECTION: &str = "\
## 2. Treated observations until rollback

Median / 90th percentile, at 5% for 3,000 s; in brackets how many were rolled back at all, where not
all were. `bound`: what any test at .05 needs in the mean, −ln .05 over the
information of a treated observation and its 19 of control (Wald 1945), on the statistic that is
compared; ratios are those of Serin's median and 90th percentile to it. `t, at the end` needs all.
";

const HARM: &str = "\
## 3. Harm

Mean number of observations treated with the regression until the rollback, or until the end of a
rollout that climbs by the clock: 5%, 25%, 50%, 600 s each. A fifth of the runs.
";

const HEALTHY: &str = "\
## 4. Health

False: percent of candidates *exactly at the margin* that are ever found to be within it, over the
rollout of table 1, whether or not they were rolled back before; at most 5 are to be. True: treated
observations until a candidate without effect is found healthy, median / 90th percentile, at 5% for
3,000 s, with a quarter of the runs. Edges of latencies are moved by whole bins of 2%, so that a margin
of 10% is one of 10.4%.
";

const SCENARIOS_PROSE: &str = "\
## 5. Published scenarios

The scenarios of `tests/conformance/statistics/scenarios.public.json`, with their own numbers of runs
and seeds: share rolled back, treated observations until then, share found healthy before, treated
observations until then.
";
