//! Figures of many rollouts as people read them.

use super::Simulation;
use crate::cli::figures::{self, NOTHING};
use crate::cli::plan::page::{change, rounded};
use crate::cli::screen::{BAD, CAUTION, Cell, Flush, GOOD, STRONG, Table, paint};
use crate::sim::trials::{Figures, Reason, Share, Spread};
use std::collections::BTreeMap;

/// The whole page.
pub(super) fn of(simulation: &Simulation<'_>) -> String {
    let Simulation {
        args,
        design,
        figures,
        ..
    } = simulation;
    let mut page = format!(
        "{}: {} rollouts at {} observations an hour, {}, seed {}\n{}\n\n",
        paint(STRONG, design.policy.name.as_str()),
        figures::count(args.runs.into()),
        figures::count(rounded(design.per_second * 3_600.0)),
        match args.users {
            Some(users) => format!("by {} users", figures::count(users.into())),
            None => "each of another user".to_owned(),
        },
        args.seed,
        effects(simulation)
    );
    page.push_str(&outcomes(figures).render("  "));
    page.push('\n');
    page.push_str(&spreads(figures).render("  "));
    for (what, reasons) in [
        ("rolled back because of", &figures.rollback_reasons),
        ("paused because of", &figures.pause_reasons),
    ] {
        if !reasons.is_empty() {
            page.push_str(&format!("\n{what} {}", listed(reasons)));
        }
    }
    if figures.out_of_time > 0 {
        page.push_str(&format!(
            "\nundecided after {}: {}",
            figures::hours(design.horizon.as_secs_f64() / 3_600.0),
            figures::count(figures.out_of_time.into())
        ));
    }
    page.truncate(page.trim_end().len());
    page.push('\n');
    page
}

fn effects(simulation: &Simulation<'_>) -> String {
    let metrics = &simulation.design.policy.metrics;
    let shown: Vec<String> = simulation
        .effects
        .iter()
        .filter_map(|(name, effect)| {
            let metric = metrics.iter().find(|metric| metric.name == *name)?;
            Some(format!("{name} {}", change(metric.kind, *effect)))
        })
        .collect();
    if shown.is_empty() {
        "the candidate is as good as the stable version".to_owned()
    } else {
        format!("the candidate changes {}", shown.join(", "))
    }
}

fn outcomes(figures: &Figures) -> Table {
    let mut table = Table::new(&[
        ("OUTCOME", Flush::Left),
        ("ROLLOUTS", Flush::Right),
        ("SHARE", Flush::Right),
        ("95% LIMITS", Flush::Right),
    ]);
    for (what, style, share) in [
        ("rolled back", BAD, figures.rolled_back),
        ("promoted", GOOD, figures.promoted),
        ("undecided", CAUTION, figures.undecided),
    ] {
        let Share { count, share, limits } = share;
        let percent = |share: f64| format!("{:.1}%", share * 100.0);
        table.row([
            Cell::new(style, what),
            Cell::plain(figures::count(count.into())),
            Cell::new(STRONG, percent(share)),
            Cell::plain(format!("{} to {}", percent(limits.0), percent(limits.1))),
        ]);
    }
    table
}

/// How a number is written.
type Shown = fn(f64) -> String;

fn spreads(figures: &Figures) -> Table {
    let mut table = Table::new(&[
        ("UNTIL THEN", Flush::Left),
        ("MEDIAN", Flush::Right),
        ("NINE OF TEN", Flush::Right),
    ]);
    let whole: Shown = |number| figures::count(rounded(number));
    let rows: [(&str, Option<Spread>, Shown); 4] = [
        (
            "treated users until rollback",
            figures.users_until_rollback,
            whole,
        ),
        (
            "treated observations until rollback",
            figures.treated_until_rollback,
            whole,
        ),
        (
            "time until rollback",
            figures.hours_until_rollback,
            figures::hours,
        ),
        (
            "time until promotion",
            figures.hours_until_promotion,
            figures::hours,
        ),
    ];
    for (what, spread, shown) in rows {
        let cell = |number: Option<f64>| Cell::plain(number.map_or_else(|| NOTHING.to_owned(), shown));
        table.row([
            Cell::plain(what),
            cell(spread.map(|spread| spread.median)),
            cell(spread.map(|spread| spread.p90)),
        ]);
    }
    table
}

/// The reasons with their counts, the commonest first.
fn listed(reasons: &BTreeMap<Reason, u32>) -> String {
    let mut sorted: Vec<_> = reasons.iter().collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let shown: Vec<String> = sorted
        .into_iter()
        .map(|(reason, count)| format!("{} ({})", reason_text(reason), figures::count((*count).into())))
        .collect();
    shown.join(", ")
}

fn reason_text(reason: &Reason) -> String {
    match reason {
        Reason::Worse(metric) => metric.to_string(),
        Reason::Patience => "patience that ended".to_owned(),
        Reason::Silence => "silence".to_owned(),
        Reason::SampleRatio => "a split that was not the planned one".to_owned(),
        Reason::Other => "something else".to_owned(),
    }
}

/// The code of a reason for programs, and its metric.
pub(super) fn reason_code(reason: &Reason) -> (&'static str, Option<&str>) {
    match reason {
        Reason::Worse(metric) => ("worse", Some(metric.as_str())),
        Reason::Patience => ("patience", None),
        Reason::Silence => ("silence", None),
        Reason::SampleRatio => ("sample_ratio", None),
        Reason::Other => ("other", None),
    }
}
