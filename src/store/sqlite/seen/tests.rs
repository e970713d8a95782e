use super::*;
use crate::store::sqlite::migrate::migrate;
use proptest::prelude::*;
use std::collections::BTreeMap;

/// Small enough that a few dozen ids are moved and walked many times.
const LIMITS: Limits = Limits {
    recent_ids_max: 8,
    filter_bytes: 64,
};

fn database() -> Connection {
    let mut connection = Connection::open_in_memory().unwrap();
    migrate(&mut connection).unwrap();
    connection
}

/// Spreads small numbers over all ids, as a hash does.
fn id(number: u8) -> [u8; 16] {
    u128::from(number)
        .wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835)
        .to_be_bytes()
}

fn rows(connection: &Connection, table: &str) -> i64 {
    let count = format!("SELECT count(*) FROM {table}");
    connection.query_row(&count, [], |row| row.get(0)).unwrap()
}

#[derive(Debug, Clone)]
enum Step {
    /// Jobs of one group, each with its ids and whether it is taken back; and whether it is committed.
    Group {
        jobs: Vec<(Vec<u8>, bool)>,
        committed: bool,
    },
    Hours(i64),
    Restart,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let job = (
        prop::collection::vec(any::<u8>(), 0..12),
        prop::bool::weighted(0.2),
    );
    let group = (prop::collection::vec(job, 1..4), prop::bool::weighted(0.9));
    let step = prop_oneof![
        8 => group.prop_map(|(jobs, committed)| Step::Group { jobs, committed }),
        2 => (0..60_i64).prop_map(Step::Hours),
        1 => Just(Step::Restart),
    ];
    prop::collection::vec(step, 1..60)
}

/// The ids and when each was counted last, next to what is tested.
struct Run {
    connection: Connection,
    seen: SeenIds,
    model: BTreeMap<u8, i64>,
    second: i64,
}

impl Run {
    fn start() -> Self {
        let connection = database();
        Self {
            seen: SeenIds::load(&connection, LIMITS).unwrap(),
            connection,
            model: BTreeMap::new(),
            second: 1_000_000,
        }
    }

    fn step(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Group { jobs, committed } => self.group(jobs, *committed)?,
            Step::Hours(hours) => self.second += hours * 3_600,
            Step::Restart => self.seen = SeenIds::load(&self.connection, LIMITS).unwrap(),
        }
        Ok(())
    }

    fn group(&mut self, jobs: &[(Vec<u8>, bool)], committed: bool) -> Result<(), TestCaseError> {
        self.connection.execute_batch("BEGIN").unwrap();
        let mut after = self.model.clone();
        for (ids, taken_back) in jobs {
            let before = self.seen.noted();
            let mut job = after.clone();
            for number in ids {
                let new = self.seen.note(&self.connection, id(*number)).unwrap();
                match job.get(number) {
                    None => prop_assert!(new, "{number} was never counted"),
                    Some(second) if self.second - second <= SEEN_KEPT_SECONDS => {
                        prop_assert!(!new, "{number} was counted at {second}");
                    }
                    // Long ago: it may be forgotten.
                    Some(_) => {}
                }
                if new {
                    job.insert(*number, self.second);
                }
            }
            if *taken_back {
                self.seen.take_back(before);
            } else {
                after = job;
            }
        }
        self.seen.write(&self.connection, Tick::new(self.second)).unwrap();
        if committed {
            self.connection.execute_batch("COMMIT").unwrap();
            self.model = after;
        } else {
            self.connection.execute_batch("ROLLBACK").unwrap();
            self.seen.reload(&self.connection).unwrap();
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn an_id_is_new_once(steps in steps()) {
        let mut run = Run::start();
        for step in &steps {
            run.step(step)?;
        }
    }
}

#[test]
fn ids_leave_memory_and_the_log_for_the_tree() {
    let mut run = Run::start();
    for number in 0..100 {
        run.group(&[(vec![number], false)], true).unwrap();
        let on_the_way = run.seen.recent.len() + run.seen.moving.ids.len();
        assert!(
            on_the_way <= 2 * LIMITS.recent_ids_max,
            "{on_the_way} after {number}"
        );
        assert!(rows(&run.connection, "seen_log") <= 16, "after {number}");
    }
    assert!(rows(&run.connection, "seen_observations") > 80);
    let restarted = SeenIds::load(&run.connection, LIMITS).unwrap();
    assert!(restarted.recent.len() <= 2 * LIMITS.recent_ids_max);
    run.seen = restarted;
    run.group(&[((0..=110).collect(), false)], true).unwrap();
    assert_eq!(run.model.len(), 111);
}

#[test]
fn old_ids_are_deleted_by_those_that_come() {
    let mut run = Run::start();
    for number in 0..64 {
        run.group(&[(vec![number], false)], true).unwrap();
    }
    let in_tree = |run: &Run, number| tree_holds(&run.connection, id(number)).unwrap();
    let old: Vec<u8> = (0..64).filter(|number| in_tree(&run, *number)).collect();
    assert!(old.len() > 40 && old.contains(&0), "{old:?}");
    run.second += SEEN_KEPT_SECONDS + 1;
    for number in 64..=200 {
        run.group(&[(vec![number], false)], true).unwrap();
    }
    assert!(!old.iter().any(|number| in_tree(&run, *number)));
    run.group(&[(vec![0], false)], true).unwrap();
    assert_eq!(run.model[&0], run.second, "an id that was deleted is new again");
}

#[test]
fn a_filter_stands_in_for_the_tree_once_it_was_walked() {
    let mut run = Run::start();
    for number in 0..100 {
        run.group(&[(vec![number], false)], true).unwrap();
    }
    let knows = |seen: &SeenIds| matches!(seen.tree, Tree::Walked { filter: Some(_), .. });
    assert!(knows(&run.seen), "it has seen every id come");
    run.seen = SeenIds::load(&run.connection, LIMITS).unwrap();
    assert!(!knows(&run.seen), "it has not looked yet");
    let mut groups = 0;
    while !knows(&run.seen) {
        run.group(&[(vec![100 + groups], false)], true).unwrap();
        groups += 1;
    }
    // Four ids for each new one, of some hundred.
    assert!((20..40).contains(&groups), "{groups}");
}

#[test]
fn a_cut_log_is_corrupt() {
    let connection = database();
    connection
        .execute("INSERT INTO seen_log (ids) VALUES (x'0102')", [])
        .unwrap();
    let refused = SeenIds::load(&connection, LIMITS).unwrap_err();
    assert!(
        matches!(
            refused,
            StoreError::Corrupt {
                what: "a log of ids",
                ..
            }
        ),
        "{refused}"
    );
}
