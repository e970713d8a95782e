//! States that older builds wrote down.

use super::*;
use crate::analysis::metric::Compared;
use sha2::{Digest as _, Sha256};

/// What the build of format 1 wrote after two seconds of [`two_metrics`] and [`alike`], quality with a floor
/// of 0.5; in hexadecimal digits.
const FORMAT_1: &str = include_str!("engine_format_1.hex");

/// Bytes after the metrics, where nobody was counted and nothing left out, without the checksum.
const TAIL_BYTES: usize = 8;

fn two_metrics() -> Vec<Metric> {
    vec![score("quality"), rate("errors")]
}

fn alike() -> [(&'static str, Values, Values); 2] {
    [
        ("quality", Values::Around(0.7), Values::Around(0.68)),
        ("errors", Values::Chance(0.1), Values::Chance(0.15)),
    ]
}

fn checked(mut bytes: Vec<u8>) -> Vec<u8> {
    let checksum = Sha256::digest(&bytes);
    bytes.extend(&checksum[..8]);
    bytes
}

/// What format 3 held of [`two_metrics`]: nothing was held for another arm.
fn without_held(engine: &Engine) -> Vec<u8> {
    let mut bytes = engine.encode();
    bytes.truncate(bytes.len() - 8);
    bytes[0] = 3;
    let errors = bytes
        .windows(7)
        .position(|window| window == b"\x06errors")
        .unwrap();
    for at in [bytes.len() - TAIL_BYTES - 1, errors - 1] {
        assert_eq!(bytes.remove(at), 0);
    }
    bytes
}

/// What format 2 held of them: of bets those on the last four odds ratios, and none on health.
fn without_later_bets(engine: &Engine) -> Vec<u8> {
    let mut bytes = without_held(engine);
    bytes[0] = 2;
    for metric in &engine.metrics {
        let Some(Compared::Values(contrast)) = &metric.contrast else {
            panic!("these metrics are compared by their values")
        };
        let floats = |logs: &[f64]| -> Vec<u8> { logs.iter().flat_map(|log| log.to_le_bytes()).collect() };
        let won = contrast.sums.process.logs();
        let mut new = vec![7];
        new.extend(floats(won));
        match &contrast.sums.health {
            None => new.push(0),
            Some(health) => {
                new.extend([1, 4]);
                new.extend(floats(health.logs()));
            }
        }
        let at = bytes.windows(new.len()).position(|window| window == new).unwrap();
        bytes.splice(at..at + new.len(), floats(&won[3..]));
    }
    bytes
}

#[test]
fn a_state_of_an_older_format_goes_on_and_later_bets_begin() {
    let mut world = World::new(two_metrics());
    world.pass(5, &alike());
    let old = checked(without_later_bets(&world.engine));
    let mut restored = Engine::decode(&policy(two_metrics()), &old).unwrap();
    let of_errors = |engine: &Engine| match &engine.metrics[1].contrast {
        Some(Compared::Values(contrast)) => contrast.sums.clone(),
        _ => panic!("errors are compared by their values"),
    };
    let (before, after) = (of_errors(&world.engine), of_errors(&restored));
    assert!(before.process.logs().iter().all(|log| *log != 0.0));
    assert_eq!(after.process.logs()[..3], [0.0; 3]);
    assert_eq!(after.process.logs()[3..], before.process.logs()[3..]);
    assert_eq!(after.health.unwrap().logs(), [0.0; 4]);
    assert_eq!(
        (after.treatment, after.control),
        (before.treatment, before.control)
    );
    assert_eq!(
        restored.contrast(&name("quality")),
        world.engine.contrast(&name("quality"))
    );
    assert!(restored.absorb(&world.tick(&alike())));
}

#[test]
fn a_state_in_which_nothing_was_held_goes_on() {
    let mut world = World::new(two_metrics());
    world.pass(5, &alike());
    let restored = Engine::decode(&policy(two_metrics()), &checked(without_held(&world.engine))).unwrap();
    assert_eq!(restored, world.engine);
}

#[test]
fn a_state_of_the_first_format_goes_on() {
    let digits: Vec<u8> = FORMAT_1
        .bytes()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    let bytes: Vec<u8> = digits.chunks(2).map(byte).collect();
    assert_eq!(bytes[0], 1);
    let mut metrics = two_metrics();
    metrics[0].limit = Some(0.5);
    let mut world = World::new(metrics.clone());
    world.pass(2, &alike());
    let mut restored = Engine::decode(&policy(metrics), &bytes).unwrap();
    assert_eq!(restored.through(), world.engine.through());
    for metric in ["quality", "errors"].map(name) {
        let sums = |engine: &Engine| {
            let reading = *engine.contrast(&metric).unwrap();
            let variances = [reading.variance_by_observation, reading.variance_by_cluster];
            (
                reading.treated,
                reading.controls,
                [reading.sum, reading.weight],
                variances,
            )
        };
        assert_eq!(sums(&restored), sums(&world.engine), "{metric}");
    }
    let quality = name("quality");
    assert_eq!(restored.contrast(&quality), world.engine.contrast(&quality));
    assert_eq!(restored.limit(&quality), world.engine.limit(&quality));
    assert!(restored.absorb(&world.tick(&alike())));
}
