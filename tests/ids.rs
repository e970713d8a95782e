//! What the names and numbers of Serin hold, refuse and show.

use serin::ids::{Exposure, Label, MetricName, PolicyName, PromptName, RolloutId, Tick, UserKey};

#[test]
fn names_hold_their_rules() {
    assert!(PolicyName::new("order-status-answer").is_ok());
    for bad in ["", "-a", "a-", "A", "a_b", "a.b", &"a".repeat(64)] {
        assert!(PolicyName::new(bad).is_err(), "{bad}");
    }
    assert!(PromptName::new("folder/greet me").is_ok());
    for bad in ["", " a", "a|b", "a\nb"] {
        assert!(PromptName::new(bad).is_err(), "{bad}");
    }
    assert!(Label::new("prod-a").is_ok());
    assert!(Label::new("Prod").is_err());
    assert!(MetricName::new("answer.relevance").is_ok());
    assert!(MetricName::new("_x").is_err());
}

#[test]
fn a_refused_user_key_is_not_repeated() {
    let long = "x".repeat(257);
    let refused = UserKey::new(&long).unwrap_err().to_string();
    assert!(!refused.contains("xx"), "{refused}");
}

#[test]
fn exposure_prints_as_a_percentage() {
    let shown = |ppm| Exposure::from_ppm(ppm).unwrap().to_string();
    assert_eq!(shown(50_000), "5%");
    assert_eq!(shown(2_500), "0.25%");
    assert_eq!(shown(1), "0.0001%");
    assert_eq!(shown(1_000_000), "100%");
    assert!(Exposure::from_ppm(1_000_001).is_err());
}

#[test]
fn rollout_ids_round_trip() {
    assert_eq!("r17".parse::<RolloutId>().unwrap().to_string(), "r17");
    for bad in ["17", "r", "r0", "r-1", "rx", "r+1", "r99999999999999999999"] {
        assert!(bad.parse::<RolloutId>().is_err(), "{bad}");
    }
}

#[test]
fn ticks_before_the_epoch_round_down() {
    assert_eq!(
        Tick::of(jiff::Timestamp::from_millisecond(-1).unwrap()),
        Tick::new(-1)
    );
    assert_eq!(
        Tick::of(jiff::Timestamp::from_millisecond(1_999).unwrap()),
        Tick::new(1)
    );
}
