//! What the command is asked for.

use std::path::PathBuf;

/// A table, or a group of tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Section {
    /// False rollbacks.
    Harmless,
    /// How fast regressions are found.
    Detection,
    /// How many users a regression reaches.
    Harm,
    /// Proofs of health, false and true.
    Healthy,
    /// The published scenarios.
    Scenarios,
}

impl Section {
    /// All, in the order in which they are written.
    pub(crate) const ALL: [Self; 5] = [
        Self::Harmless,
        Self::Detection,
        Self::Harm,
        Self::Healthy,
        Self::Scenarios,
    ];

    /// Its name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Harmless => "aa",
            Self::Detection => "detection",
            Self::Harm => "harm",
            Self::Healthy => "healthy",
            Self::Scenarios => "scenarios",
        }
    }
}

/// Everything that can be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arguments {
    /// Streams in each place of the table of false rollbacks; the other tables take a share of them.
    pub(crate) runs: u64,
    /// What all streams follow from.
    pub(crate) seed: u64,
    /// The one section to do; none for all.
    pub(crate) only: Option<Section>,
    /// The file to write all tables to.
    pub(crate) write: Option<PathBuf>,
}

/// Runs without `--runs` under `cargo bench`.
const RUNS_DEFAULT: u64 = 2_000;
/// Runs where Cargo only wants to see that it runs: `cargo test --benches` gives no `--bench`.
const RUNS_OF_A_TEST: u64 = 4;
/// Fewer have no percentiles.
const RUNS_MIN: u64 = 4;

/// How it is called.
pub(crate) const USAGE: &str = "usage: cargo bench --bench scoreboard -- \
    [--runs 2000] [--seed 1] [--only aa|detection|harm|healthy|scenarios] [--write FILE]";

impl Arguments {
    /// Reads what stands behind the program's name.
    ///
    /// # Errors
    ///
    /// An unknown argument, one without a value, or with one that it cannot have.
    pub(crate) fn read(given: impl IntoIterator<Item = String>) -> anyhow::Result<Self> {
        let mut given = given.into_iter();
        let (mut runs, mut seed, mut only, mut write, mut measured) = (None, 1, None, None, false);
        while let Some(argument) = given.next() {
            let mut value = || {
                let value = given.next();
                value.ok_or_else(|| anyhow::anyhow!("`{argument}` needs a value\n{USAGE}"))
            };
            match argument.as_str() {
                // Cargo says so.
                "--bench" => measured = true,
                "--runs" => runs = Some(number(&argument, &value()?)?),
                "--seed" => seed = number(&argument, &value()?)?,
                "--only" => only = Some(section(&value()?)?),
                "--write" => write = Some(PathBuf::from(value()?)),
                _ => anyhow::bail!("`{argument}` is not an argument\n{USAGE}"),
            }
        }
        let runs = runs.unwrap_or(if measured { RUNS_DEFAULT } else { RUNS_OF_A_TEST });
        anyhow::ensure!(runs >= RUNS_MIN, "`--runs` must be {RUNS_MIN} or more");
        anyhow::ensure!(
            only.is_none() || write.is_none(),
            "`--write` writes all tables: leave out `--only`"
        );
        Ok(Self {
            runs,
            seed,
            only,
            write,
        })
    }

    /// Whether a section is asked for.
    pub(crate) fn wants(&self, section: Section) -> bool {
        self.only.is_none_or(|only| only == section)
    }
}

fn number(argument: &str, value: &str) -> anyhow::Result<u64> {
    let number = value.parse();
    number.map_err(|_| anyhow::anyhow!("`{argument}` needs a whole number, and `{value}` is none"))
}

fn section(value: &str) -> anyhow::Result<Section> {
    let found = Section::ALL.into_iter().find(|section| section.name() == value);
    found.ok_or_else(|| anyhow::anyhow!("`--only` has no `{value}`\n{USAGE}"))
}
