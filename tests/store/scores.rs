//! Scores, and what was served where they were given.

use crate::world::{World, start};
use jiff::SignedDuration;
use serin::ids::PolicyName;
use serin::store::{
    Comparison, Score, ScoreFilter, ScoreKind, ScorePage, ScoreSource, ScoreSubject, ScoreValue, Serving,
};
use std::collections::BTreeSet;

const ALL: ScorePage = ScorePage {
    before: None,
    skip: 0,
    limit: 100,
};

fn about(trace: &str, observation: Option<&str>, session: Option<&str>) -> ScoreSubject {
    ScoreSubject {
        trace: (!trace.is_empty()).then(|| trace.to_owned()),
        observation: observation.map(str::to_owned),
        session: session.map(str::to_owned),
        dataset_run: None,
    }
}

fn score(id: &str, value: ScoreValue, trace: &str) -> Score {
    Score {
        id: id.to_owned(),
        name: "faithfulness".to_owned(),
        value,
        about: about(trace, None, None),
        source: ScoreSource::Api,
        environment: "default".to_owned(),
        config: None,
        queue: Some("people".to_owned()),
        comment: Some("so 🐦".to_owned()),
        metadata: serde_json::Map::from_iter([("n".to_owned(), 0.1.into())]),
        at: start(),
        created_at: start(),
        updated_at: start(),
        waiting: true,
    }
}

fn serving(trace: &str, observation: &str, session: Option<&str>, receipt: &str) -> Serving {
    Serving {
        trace: trace.to_owned(),
        observation: observation.to_owned(),
        session: session.map(str::to_owned),
        policy: PolicyName::new("greeting").unwrap(),
        receipt: receipt.to_owned(),
    }
}

async fn read(world: &World, filter: ScoreFilter) -> Vec<Score> {
    let found = world.store.scores(filter, ALL).await.unwrap();
    found.into_iter().map(|(_, score)| score).collect()
}

fn keys(keys: &[&str]) -> BTreeSet<String> {
    keys.iter().map(|key| (*key).to_owned()).collect()
}

#[tokio::test]
async fn scores_come_back_as_they_were_newest_first() {
    for world in World::every() {
        let values = [
            ScoreValue::Number(0.1 + 0.2),
            ScoreValue::Truth(true),
            ScoreValue::Category("good".to_owned()),
            ScoreValue::Text("well…".to_owned()),
            ScoreValue::Correction(String::new()),
        ];
        let mut scores: Vec<Score> = values
            .into_iter()
            .enumerate()
            .map(|(number, value)| score(&number.to_string(), value, "t"))
            .collect();
        world.store.keep_scores(scores.clone()).await.unwrap();
        scores.reverse();
        assert_eq!(read(&world, ScoreFilter::default()).await, scores);
        assert_eq!(world.store.count_scores(ScoreFilter::default()).await.unwrap(), 5);
    }
}

#[tokio::test]
async fn a_score_that_comes_again_is_what_it_was_last_in_its_old_place() {
    for world in World::every() {
        let first = score("a", ScoreValue::Number(1.0), "t");
        let other = score("b", ScoreValue::Number(2.0), "t");
        world.store.keep_scores(vec![first.clone(), other]).await.unwrap();
        world.store.settle_scores(vec!["a".to_owned()]).await.unwrap();
        let later = start() + SignedDuration::from_secs(9);
        let again = Score {
            value: ScoreValue::Number(3.0),
            created_at: later,
            updated_at: later,
            ..first.clone()
        };
        world.store.keep_scores(vec![again]).await.unwrap();
        let kept = read(&world, ScoreFilter::default()).await;
        let expected = Score {
            value: ScoreValue::Number(3.0),
            updated_at: later,
            waiting: false,
            ..first
        };
        assert_eq!((kept.len(), &kept[1]), (2, &expected));
    }
}

/// Six scores, a second apart, `n0` to `n5`; the last one is a word.
async fn keep_six(world: &World) {
    let mut scores = Vec::new();
    for number in 0..6_u8 {
        let mut score = score(&format!("n{number}"), ScoreValue::Number(number.into()), "t");
        score.at = start() + SignedDuration::from_secs(number.into());
        score.environment = if number % 2 == 0 { "even" } else { "odd" }.to_owned();
        scores.push(score);
    }
    scores[5].value = ScoreValue::Category("good".to_owned());
    world.store.keep_scores(scores).await.unwrap();
}

#[tokio::test]
async fn filters_narrow_what_is_found() {
    let none = ScoreFilter::default;
    let (from, to) = (Some(start()), Some(start() + SignedDuration::from_secs(2)));
    let numbers = vec![(Comparison::Above, 1.0), (Comparison::Unequal, 3.0)];
    let environments = keys(&["odd"]);
    let kinds = [ScoreKind::Categorical].into();
    for world in World::every() {
        keep_six(&world).await;
        for (filter, expected) in [
            (
                ScoreFilter {
                    environments: environments.clone(),
                    ..none()
                },
                vec!["n5", "n3", "n1"],
            ),
            (
                ScoreFilter {
                    kinds: BTreeSet::clone(&kinds),
                    ..none()
                },
                vec!["n5"],
            ),
            (
                ScoreFilter {
                    words: keys(&["good"]),
                    ..none()
                },
                vec!["n5"],
            ),
            (
                ScoreFilter {
                    ids: keys(&["n1", "n9"]),
                    ..none()
                },
                vec!["n1"],
            ),
            (
                ScoreFilter {
                    numbers: numbers.clone(),
                    ..none()
                },
                vec!["n4", "n2"],
            ),
            (ScoreFilter { from, to, ..none() }, vec!["n1", "n0"]),
            (
                ScoreFilter {
                    queues: keys(&["nobody"]),
                    ..none()
                },
                vec![],
            ),
        ] {
            let count = world.store.count_scores(filter.clone()).await.unwrap();
            let found = read(&world, filter).await;
            let ids: Vec<&str> = found.iter().map(|score| score.id.as_str()).collect();
            assert_eq!((&ids, count), (&expected, expected.len()));
        }
    }
}

#[tokio::test]
async fn pages_follow_each_other() {
    for world in World::every() {
        keep_six(&world).await;
        let page = ScorePage {
            skip: 1,
            limit: 2,
            ..ALL
        };
        let page = world.store.scores(ScoreFilter::default(), page).await.unwrap();
        let ids: Vec<&str> = page.iter().map(|(_, score)| score.id.as_str()).collect();
        assert_eq!(ids, ["n4", "n3"]);
        let next = ScorePage {
            before: Some(page[1].0),
            limit: 1,
            ..ALL
        };
        let next = world.store.scores(ScoreFilter::default(), next).await.unwrap();
        assert_eq!(next[0].1.id, "n2");
    }
}

#[tokio::test]
async fn scores_wait_until_they_are_settled() {
    for world in World::every() {
        let mut of_session = score("b", ScoreValue::Number(1.0), "");
        of_session.about = about("", None, Some("s"));
        let scores = vec![
            score("a", ScoreValue::Number(1.0), "t"),
            of_session,
            score("c", ScoreValue::Number(1.0), "u"),
        ];
        world.store.keep_scores(scores).await.unwrap();
        let waiting = async |traces: &[&str], sessions: &[&str], limit| -> Vec<String> {
            let waiting = world
                .store
                .waiting_scores(keys(traces), keys(sessions), limit)
                .await;
            waiting.unwrap().into_iter().map(|score| score.id).collect()
        };
        assert_eq!(waiting(&["t", "u"], &["s"], 9).await, ["a", "b", "c"]);
        assert_eq!(waiting(&["t", "u"], &["s"], 1).await.len(), 1);
        assert_eq!(waiting(&["x"], &[], 9).await, [""; 0]);
        world.store.settle_scores(vec!["a".to_owned()]).await.unwrap();
        assert_eq!(waiting(&["t", "u"], &["s"], 9).await, ["b", "c"]);
    }
}

#[tokio::test]
async fn what_was_served_is_known_by_part_by_trace_and_by_session() {
    for world in World::every() {
        let one = serving("t", "one", Some("s"), "r1");
        let two = serving("t", "two", None, "r2");
        let other = serving("u", "one", Some("s"), "r3");
        let all = vec![one.clone(), two.clone(), other.clone()];
        world.store.note_servings(all).await.unwrap();
        let subjects = vec![
            about("t", Some("one"), None),
            about("t", Some("unknown"), None),
            about("", Some("two"), None),
            about("", None, Some("s")),
            about("x", None, None),
        ];
        let found = world.store.servings(subjects).await.unwrap();
        let expected = vec![
            vec![one.clone()],
            vec![one.clone(), two.clone()],
            vec![two],
            vec![one.clone(), other],
            vec![],
        ];
        assert_eq!(found, expected);
        // The last word counts, and a session that is not said again stays.
        let again = Serving {
            session: None,
            receipt: "r9".to_owned(),
            ..one.clone()
        };
        world.store.note_servings(vec![again]).await.unwrap();
        let found = world
            .store
            .servings(vec![about("t", Some("one"), None)])
            .await
            .unwrap();
        let expected = Serving {
            receipt: "r9".to_owned(),
            ..one
        };
        assert_eq!(found, vec![vec![expected]]);
    }
}
