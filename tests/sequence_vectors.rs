//! The primitives of the decision engine against the vectors of the specification.
//!
//! Each file names its source, its tolerance and how far the source itself is from exact.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use serde_json::Value;
use serin::analysis::sequence::Sides;
use serin::analysis::sequence::beta_binomial::{BetaBinomialMixture, Steps};
use serin::analysis::sequence::gamma_exponential::GammaExponentialMixture;
use serin::analysis::sequence::normal::NormalMixture;
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
