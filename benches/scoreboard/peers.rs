//! The rules by which others roll back, on the values that Serin sees.
//!
//! Each is a rule written down from its documentation, not the product: defaults, smoothing and
//! tolerances of a real installation differ.

use serin::sim::stream::Observed;
use serin::sim::variates::normal_quantile;

/// Ticks between two checks of the rules that look at windows, and the length of their windows.
const WINDOW_TICKS: u32 = 60;
/// Failed checks, in total, at which a fixed limit rolls back.
const FAILED_CHECKS_MAX: u32 = 3;
/// Treated observations before a test of means is trusted.
const TREATED_MIN: f64 = 30.0;
/// The sample size that the asymptotic sequence is tightest at: GrowthBook's default.
const SEQUENCE_TUNING: f64 = 5_000.0;
/// Chance of a false alarm that the tests of means are set to; the sequence splits it to two sides.
const ALPHA: f64 = 0.05;

/// A rule that is not Serin's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Peer {
    /// A fixed limit on the treatment's value in a window, with a number of failed checks.
    FixedLimit,
    /// A Mann–Whitney test of each window at 1%.
    MannWhitneyStrict,
    /// The same at 5%.
    MannWhitney,
    /// A t test at every tick.
    RepeatedT,
    /// A two-sided asymptotic confidence sequence of the pooled arms.
    Sequence,
    /// One t test at the end.
    SingleT,
}

impl Peer {
    /// All, in the order of the tables.
    pub(crate) const ALL: [Self; 6] = [
        Self::FixedLimit,
        Self::MannWhitneyStrict,
        Self::MannWhitney,
        Self::RepeatedT,
        Self::Sequence,
        Self::SingleT,
    ];

    /// The head of its column.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::FixedLimit => "fixed limit",
            Self::MannWhitneyStrict => "Mann–Whitney .01",
            Self::MannWhitney => "Mann–Whitney .05",
            Self::RepeatedT => "t, every tick",
            Self::Sequence => "asymptotic sequence",
            Self::SingleT => "t, at the end",
        }
    }
}

/// How values are harmful.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Harm {
    /// Low ones, compared by their mean.
    Low {
        /// The fixed limit on the mean.
        limit: f64,
    },
    /// Ones among zeros.
    Share {
        /// The fixed limit on their share.
        limit: f64,
    },
    /// Those above an edge, the control's 95th percentile.
    Tail {
        /// The edge.
        edge: f64,
        /// The fixed limit on the 95th percentile.
        limit: f64,
    },
}

impl Harm {
    /// The value, larger where it is more harmful.
    fn signed(self, value: f64) -> f64 {
        match self {
            Self::Low { .. } => -value,
            Self::Share { .. } | Self::Tail { .. } => value,
        }
    }

    /// What means are compared of.
    fn statistic(self, value: f64) -> f64 {
        match self {
            Self::Low { .. } => -value,
            Self::Share { .. } => value,
            Self::Tail { edge, .. } => f64::from(value > edge),
        }
    }

    /// Whether a window's values, sorted by harm, are beyond the fixed limit.
    fn is_beyond_limit(self, sorted: &[f64]) -> bool {
        let mean = || sorted.iter().sum::<f64>() / count(sorted.len());
        match self {
            Self::Low { limit } => mean() > -limit,
            Self::Share { limit } => mean() > limit,
            Self::Tail { limit, .. } => sorted[(sorted.len() * 95).div_ceil(100) - 1] > limit,
        }
    }
}

/// All peers on one stream.
#[derive(Debug, Clone)]
pub(crate) struct Peers {
    harm: Harm,
    control: Moments,
    treatment: Moments,
    window: [Vec<f64>; 2],
    window_ticks: u32,
    failed_checks: u32,
    treated: u64,
    /// Treated observations at the rollback, by peer.
    stops: [Option<u64>; Peer::ALL.len()],
}

impl Peers {
    /// Before the first tick.
    pub(crate) fn new(harm: Harm) -> Self {
        Self {
            harm,
            control: Moments::default(),
            treatment: Moments::default(),
            window: [Vec::new(), Vec::new()],
            window_ticks: 0,
            failed_checks: 0,
            treated: 0,
            stops: [None; Peer::ALL.len()],
        }
    }

    /// Takes in one tick.
    pub(crate) fn absorb(&mut self, observed: &Observed) {
        let harm = self.harm;
        let arms = [&observed.control, &observed.treatment];
        for (moments, values) in [&mut self.control, &mut self.treatment].into_iter().zip(arms) {
            values
                .iter()
                .for_each(|value| moments.add(harm.statistic(*value)));
        }
        for (window, values) in self.window.iter_mut().zip(arms) {
            window.extend(values.iter().map(|value| harm.signed(*value)));
        }
        self.treated += observed.treatment.len() as u64;
        self.window_ticks += 1;
        if self.window_ticks == WINDOW_TICKS {
            self.check_window();
        }
        if self.treatment.count >= TREATED_MIN {
            if welch(&self.treatment, &self.control) > critical(ALPHA) {
                self.stop(Peer::RepeatedT);
            }
            if self.sequence_excludes_zero() {
                self.stop(Peer::Sequence);
            }
        }
    }

    /// Where each peer stopped, when this tick was the last one.
    pub(crate) fn finish(&self) -> [Option<u64>; Peer::ALL.len()] {
        let mut ended = self.clone();
        if welch(&self.treatment, &self.control) > critical(ALPHA) {
            ended.stop(Peer::SingleT);
        }
        ended.stops
    }

    /// Whether every peer that may stop before the end has.
    pub(crate) fn have_stopped(&self) -> bool {
        let early = Peer::ALL
            .iter()
            .zip(self.stops)
            .filter(|(peer, _)| **peer != Peer::SingleT);
        early.into_iter().all(|(_, stop)| stop.is_some())
    }

    fn stop(&mut self, peer: Peer) {
        for (other, stop) in Peer::ALL.iter().zip(&mut self.stops) {
            if *other == peer {
                stop.get_or_insert(self.treated);
            }
        }
    }

    fn check_window(&mut self) {
        let mut window = std::mem::take(&mut self.window);
        for values in &mut window {
            values.sort_unstable_by(f64::total_cmp);
        }
        let [control, treatment] = &window;
        if !control.is_empty() && !treatment.is_empty() {
            self.failed_checks += u32::from(self.harm.is_beyond_limit(treatment));
            if self.failed_checks >= FAILED_CHECKS_MAX {
                self.stop(Peer::FixedLimit);
            }
            let z = mann_whitney(treatment, control);
            if z > critical(0.01) {
                self.stop(Peer::MannWhitneyStrict);
            }
            if z > critical(0.05) {
                self.stop(Peer::MannWhitney);
            }
        }
        for values in &mut window {
            values.clear();
        }
        self.window = window;
        self.window_ticks = 0;
    }

    /// Whether the lower end of the confidence sequence lies above 0 (Waudby-Smith et al. 2021,
    /// "Time-uniform central limit theory", equation 9, with GrowthBook's tuning).
    fn sequence_excludes_zero(&self) -> bool {
        let (treatment, control) = (&self.treatment, &self.control);
        let (of_treatment, of_control) = (treatment.variance(), control.variance());
        if of_treatment <= 0.0 || of_control <= 0.0 {
            return false;
        }
        let n = treatment.count + control.count;
        let variance = n * (of_treatment / treatment.count + of_control / control.count);
        let log = -2.0 * ALPHA.ln();
        let tuning = (log + log.ln_1p()) / SEQUENCE_TUNING;
        let scaled = n * tuning + 1.0;
        let width = (2.0 * scaled / (n * n * tuning) * (scaled.sqrt() / ALPHA).ln()).sqrt();
        treatment.mean() - control.mean() > variance.sqrt() * width
    }
}

/// Count, sum and sum of squares.
#[derive(Debug, Clone, Copy, Default)]
struct Moments {
    count: f64,
    sum: f64,
    squares: f64,
}

impl Moments {
    fn add(&mut self, value: f64) {
        self.count += 1.0;
        self.sum += value;
        self.squares += value * value;
    }

    fn mean(&self) -> f64 {
        self.sum / self.count
    }

    fn variance(&self) -> f64 {
        (self.squares - self.sum * self.mean()) / (self.count - 1.0)
    }
}

/// Welch's t as a standard normal value (Wallace 1959); 0 without variance.
fn welch(treatment: &Moments, control: &Moments) -> f64 {
    let parts = [treatment, control].map(|arm| arm.variance() / arm.count);
    let variance = parts[0] + parts[1];
    if variance.is_nan() || variance <= 0.0 {
        return 0.0;
    }
    let t = (treatment.mean() - control.mean()) / variance.sqrt();
    let df = variance * variance
        / (parts[0] * parts[0] / (treatment.count - 1.0) + parts[1] * parts[1] / (control.count - 1.0));
    (df * (t * t / df).ln_1p()).sqrt().copysign(t) * (8.0 * df + 1.0) / (8.0 * df + 3.0)
}

/// The standard normal value of "treatment is larger", with midranks for ties and the correction for
/// continuity; both sorted.
pub(crate) fn mann_whitney(treatment: &[f64], control: &[f64]) -> f64 {
    let (n_t, n_c) = (count(treatment.len()), count(control.len()));
    let n = n_t + n_c;
    let (mut at_t, mut at_c) = (0, 0);
    let (mut rank_sum, mut ties) = (0.0, 0.0);
    while at_t < treatment.len() {
        let value = treatment[at_t];
        at_c += run(&control[at_c..], |other| other < value);
        let below = at_t + at_c;
        let of_t = run(&treatment[at_t..], |other| other <= value);
        let of_c = run(&control[at_c..], |other| other <= value);
        let tied = count(of_t + of_c);
        rank_sum += count(of_t) * (count(below) + (tied + 1.0) / 2.0);
        ties += tied * tied * tied - tied;
        (at_t, at_c) = (at_t + of_t, at_c + of_c);
    }
    ties += ties_among(control, treatment);
    let u = rank_sum - n_t * (n_t + 1.0) / 2.0;
    let variance = n_t * n_c / 12.0 * (n + 1.0 - ties / (n * (n - 1.0)));
    if variance > 0.0 {
        (u - n_t * n_c / 2.0 - 0.5) / variance.sqrt()
    } else {
        0.0
    }
}

/// Ties of control with itself at values that treatment does not have.
fn ties_among(control: &[f64], treatment: &[f64]) -> f64 {
    let mut ties = 0.0;
    let mut at = 0;
    while at < control.len() {
        let value = control[at];
        let tied = run(&control[at..], |other| other <= value);
        if tied > 1
            && treatment
                .binary_search_by(|other| other.total_cmp(&value))
                .is_err()
        {
            let tied = count(tied);
            ties += tied * tied * tied - tied;
        }
        at += tied;
    }
    ties
}

/// How many values at the begin of `sorted` are as `wanted`.
fn run(sorted: &[f64], wanted: impl Fn(f64) -> bool) -> usize {
    sorted.iter().take_while(|value| wanted(**value)).count()
}

fn critical(alpha: f64) -> f64 {
    -normal_quantile(alpha)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "there are at most some hundred thousand"
)]
fn count(length: usize) -> f64 {
    length as f64
}
