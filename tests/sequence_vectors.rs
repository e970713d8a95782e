//! The primitives of the decision engine against the vectors of the specification.
//!
//! Each file names its source, its tolerance and how far the source itself is from exact.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::Value;
use serin::analysis::sequence::Sides;
use serin::analysis::sequence::band::DistributionBand;
use serin::analysis::sequence::beta_binomial::{BetaBinomialMixture, Steps};
use serin::analysis::sequence::double_stitching::DoubleStitching;
use serin::analysis::sequence::empirical_bernstein::{Batch, EmpiricalBernstein};
use serin::analysis::sequence::gamma_exponential::GammaExponentialMixture;
use serin::analysis::sequence::multinomial::Multinomial;
use serin::analysis::sequence::normal::NormalMixture;
use serin::analysis::sequence::quantile::FixedQuantile;
use serin::analysis::sequence::quantile_equality::QuantileEquality;
use serin::analysis::sequence::stitching::{Epochs, PolynomialStitching};
use serin::analysis::sequence::tuning::Tuning;

/// Relative tolerance where a file does not ask for less.
const RELATIVE: f64 = 1e-9;
/// Absolute tolerance, for logarithms near 0.
const ABSOLUTE: f64 = 1e-10;

#[test]
fn normal_mixtures_match() {
    for case in cases("normal_mixture") {
        let (input, output) = (&case["input"], &case["output"]);
        let mixture = NormalMixture::tuned(sides(input), tuning(input)).unwrap();
        let (sum, time) = (number(&input["s"]), number(&input["v"]));
        assert_number("rho", mixture.rho(), &output["rho"]);
        assert_number(
            "log_mixture",
            mixture.log_mixture(sum, time),
            &output["log_mixture"],
        );
        assert_number(
            "bound",
            mixture.bound(time, log_threshold(&input["alpha"])),
            &output["bound"],
        );
    }
}

#[test]
fn gamma_exponential_mixtures_match() {
    for case in cases("gamma_exponential_mixture") {
        let (input, output) = (&case["input"], &case["output"]);
        let mixture = GammaExponentialMixture::tuned(tuning(input), number(&input["c"])).unwrap();
        let (sum, time) = (number(&input["s"]), number(&input["v"]));
        assert_number("rho", mixture.rho(), &output["rho"]);
        assert_number(
            "log_mixture",
            mixture.log_mixture(sum, time),
            &output["log_mixture"],
        );
        assert_number(
            "bound",
            mixture.bound(time, log_threshold(&input["alpha"])),
            &output["bound"],
        );
    }
}

#[test]
fn beta_binomial_mixtures_match() {
    for case in cases("beta_binomial_mixture") {
        let (input, output) = (&case["input"], &case["output"]);
        let steps = Steps::new(number(&input["g"]), number(&input["h"])).unwrap();
        let mixture = BetaBinomialMixture::tuned(sides(input), tuning(input), steps).unwrap();
        let (sum, time) = (number(&input["s"]), number(&input["v"]));
        assert_number("r", mixture.r(), &output["r"]);
        assert_number(
            "log_mixture",
            mixture.log_mixture(sum, time),
            &output["log_mixture"],
        );
        let bound = mixture.bound(time, log_threshold(&input["alpha"]));
        assert_number("bound", bound, &output["bound"]);
        let most = time / number(&input["g"]);
        assert_eq!(output["saturated"], bound >= most * (1.0 - RELATIVE), "{bound}");
    }
}

#[test]
fn polynomial_stitching_matches() {
    for case in cases("poly_stitching") {
        let input = &case["input"];
        let epochs = Epochs::new(number(&input["eta"]), number(&input["s"])).unwrap();
        let stitching =
            PolynomialStitching::new(epochs, number(&input["v_min"]), number(&input["c"])).unwrap();
        let bound = stitching.bound(number(&input["v"]), log_threshold(&input["alpha"]));
        assert_within("bound", bound, number(&case["output"]["bound"]), 1e-11);
    }
}

/// One value at a time: the two-sided interval of this file has a quarter of α on each side, because its
/// source halves it twice.
#[test]
fn empirical_bernstein_sequences_match() {
    for case in cases_of("empirical_bernstein_cs", "mode", "per_observation") {
        let (input, output) = (&case["input"], &case["output"]);
        let alpha = number(&input["alpha"]);
        let mut half = empirical_bernstein(input, alpha / 2.0);
        let mut quarter = empirical_bernstein(input, alpha / 4.0);
        for (at, value) in array(&input["x"]).iter().enumerate() {
            let value = Batch::of(number(value)).unwrap();
            half.add(value);
            quarter.add(value);
            assert_number("V", half.time(), &output["V"][at]);
            let (lower, _) = half.interval(-(alpha / 2.0).ln());
            assert_number("lower", lower, &output["lower_one_sided_at_alpha_over_2"][at]);
            let (lower, upper) = quarter.interval(-(alpha / 4.0).ln());
            assert_number("lower", lower, &output["lower"][at]);
            assert_number("upper", upper, &output["upper"][at]);
        }
    }
}

#[test]
fn empirical_bernstein_sequences_of_batches_match() {
    for case in cases_of("empirical_bernstein_cs", "mode", "batched_predictable_centre") {
        let side = number(&case["input"]["alpha"]) / 2.0;
        let mut sequence = empirical_bernstein(&case["input"], side);
        let batches = array(&case["input"]["batches"]);
        for (batch, expected) in batches.iter().zip(array(&case["output"])) {
            let count = batch["n"].as_u64().unwrap();
            let batch = Batch::new(count, number(&batch["sum"]), number(&batch["sumsq"])).unwrap();
            assert_number("centre", sequence.mean(), &expected["centre"]);
            sequence.add(batch);
            assert_number("V", sequence.time(), &expected["V"]);
            assert_number("mean", sequence.mean(), &expected["mean"]);
            let (lower, upper) = sequence.interval(-side.ln());
            assert_number("lower", lower, &expected["lower"]);
            assert_number("upper", upper, &expected["upper"]);
        }
    }
}

#[test]
fn quantiles_of_bins_match() {
    for case in cases_of("quantile_cs", "fn", "histogram_quantile_cs") {
        let (input, output) = (&case["input"], &case["output"]);
        let alpha = log_threshold(&input["alpha"]);
        let sequence = FixedQuantile::tuned(number(&input["p"]), number(&input["t_opt"]), alpha).unwrap();
        let bins = array(&input["bin_index"]).iter().map(|bin| bin.as_i64().unwrap());
        let counts = array(&input["count"]).iter().map(|count| count.as_u64().unwrap());
        let deviations = sequence.deviations(counts.clone().sum());
        assert_number("f_up", deviations.up, &output["dev_up"]);
        assert_number("f_lo", deviations.down, &output["dev_down"]);
        let (lower, upper) = sequence.interval(bins.zip(counts), 1.0);
        assert_eq!(
            (lower, upper),
            (output["lower_bin"].as_i64(), output["upper_bin"].as_i64())
        );
    }
}

/// The source finds its constant to five digits.
#[test]
fn distribution_bands_match() {
    for case in cases_of("quantile_cs", "fn", "empirical_process_lil_bound") {
        let input = &case["input"];
        let (start, leading) = (number(&input["t_min"]), number(&input["A"]));
        let band = DistributionBand::new(start, leading, log_threshold(&input["alpha"])).unwrap();
        let bound = band.bound(number(&input["t"]));
        assert_within("bound", bound, number(&case["output"]), 1e-5);
    }
}

#[test]
fn double_stitching_matches() {
    for case in cases_of("quantile_cs", "fn", "double_stitching_bound") {
        let input = &case["input"];
        let epochs = Epochs::new(number(&input["eta"]), number(&input["s"])).unwrap();
        let stitching =
            DoubleStitching::new(epochs, number(&input["t_opt"]), number(&input["delta"])).unwrap();
        let (probability, count) = (number(&input["quantile_p"]), number(&input["t"]));
        let bound = stitching.bound(probability, count, log_threshold(&input["alpha"]));
        assert_within("bound", bound.unwrap(), number(&case["output"]), 1e-10);
    }
}

#[test]
fn tests_of_equal_quantiles_match() {
    for case in cases_of("quantile_cs", "fn", "quantile_ab_p_value") {
        let input = &case["input"];
        let (probability, count) = (number(&input["quantile_p"]), number(&input["t_opt"]));
        let alpha = log_threshold(&input["alpha_opt"]);
        let test = QuantileEquality::tuned(probability, count, alpha).unwrap();
        let log_e = test.log_e(&numbers(&input["a"]), &numbers(&input["b"]));
        assert_number("p value", (-log_e).exp().min(1.0), &case["output"]);
    }
}

#[test]
fn multinomial_tests_match() {
    for case in cases("srm_multinomial") {
        let (input, output) = (&case["input"], &case["output"]);
        let prior_draws = numbers(&input["dirichlet"]).iter().sum();
        let test = Multinomial::new(&numbers(&input["theta0"]), prior_draws).unwrap();
        let mut counts = vec![0; array(&input["theta0"]).len()];
        let mut p_value: f64 = 1.0;
        for (at, batch) in array(&input["batches"]).iter().enumerate() {
            for (count, more) in counts.iter_mut().zip(array(batch)) {
                *count += more.as_u64().unwrap();
            }
            let log_e = test.log_e(&counts);
            assert_number("log e", log_e, &output["log_e"][at]);
            p_value = p_value.min((-log_e).exp());
            assert_number("p value", p_value, &output["p_value"][at]);
        }
    }
}

/// The cases of a file that are of one kind, of which there are some.
fn cases_of(primitive: &str, key: &str, kind: &str) -> Vec<Value> {
    let mut cases = cases(primitive);
    cases.retain(|case| case[key] == kind);
    assert!(!cases.is_empty(), "{primitive} has no {kind}");
    cases
}

fn empirical_bernstein(input: &Value, alpha_of_side: f64) -> EmpiricalBernstein {
    assert_eq!((number(&input["centre0"]), number(&input["c"])), (0.5, 1.0));
    let tuning = Tuning::new(number(&input["v_opt"]), -alpha_of_side.ln()).unwrap();
    EmpiricalBernstein::tuned(tuning).unwrap()
}

/// The cases of a file, as many as it says.
fn cases(primitive: &str) -> Vec<Value> {
    let path = format!(
        "{}/tests/conformance/statistics/{primitive}.public.json",
        env!("CARGO_MANIFEST_DIR")
    );
    let mut vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(vectors["primitive"], primitive);
    let Value::Array(cases) = vectors["cases"].take() else {
        panic!("{primitive} has no cases")
    };
    assert_eq!(vectors["count"], cases.len(), "{primitive}");
    assert!(!cases.is_empty(), "{primitive} is empty");
    cases
}

fn array(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn numbers(value: &Value) -> Vec<f64> {
    array(value).iter().map(number).collect()
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap()
}

fn log_threshold(alpha: &Value) -> f64 {
    -number(alpha).ln()
}

fn tuning(input: &Value) -> Tuning {
    Tuning::new(number(&input["v_opt"]), log_threshold(&input["alpha_opt"])).unwrap()
}

fn sides(input: &Value) -> Sides {
    if input["one_sided"].as_bool().unwrap() {
        Sides::One
    } else {
        Sides::Two
    }
}

fn assert_number(what: &str, found: f64, expected: &Value) {
    assert_within(what, found, number(expected), RELATIVE);
}

fn assert_within(what: &str, found: f64, expected: f64, relative: f64) {
    let allowed = relative * expected.abs() + ABSOLUTE;
    assert!(
        (found - expected).abs() <= allowed,
        "{what} is {found}, not {expected}"
    );
}
