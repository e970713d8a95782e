//! Points of charts: kept once, and never too many.

use crate::world::{World, quality};
use serin::ids::{Exposure, RolloutId, Tick};
use serin::store::{MetricPoint, POINTS_MAX, Point};

fn point(second: i64) -> Point {
    let metric = MetricPoint {
        metric: quality(),
        control_count: 1_900,
        treatment_count: 100,
        control: Some(0.1 + 0.2),
        treatment: None,
        difference: Some(-0.05),
        interval: Some((-0.1, 0.02)),
        margin: Some(0.02),
        log_e_worse: 1.25,
        log_e_non_inferior: -0.5,
    };
    Point {
        tick: Tick::new(second),
        exposure: Exposure::from_ppm(50_000).unwrap(),
        log_e_combined: Some(0.75),
        treated_share: Some(0.05),
        planned_share: None,
        metrics: vec![metric],
    }
}

async fn seconds(world: &World, rollout: RolloutId) -> Vec<i64> {
    let points = world.store.points(rollout).await.unwrap();
    points.iter().map(|point| point.tick.second()).collect()
}

#[tokio::test]
async fn a_point_comes_back_as_it_was_and_once() {
    for world in World::every() {
        let rollout = world.begin("greeting").await.id;
        assert_eq!(seconds(&world, rollout).await, [0; 0]);
        let kept = vec![(rollout, point(7)), (rollout, point(3)), (rollout, point(7))];
        world.store.keep_points(kept).await.unwrap();
        assert_eq!(world.store.points(rollout).await.unwrap(), [point(3), point(7)]);
        let other = world.begin("farewell").await.id;
        assert_eq!(seconds(&world, other).await, [0; 0]);
    }
}

#[tokio::test]
async fn infinities_are_left_out() {
    for world in World::every() {
        let rollout = world.begin("greeting").await.id;
        let mut odd = point(1);
        odd.metrics[0].control = Some(f64::INFINITY);
        odd.metrics[0].log_e_worse = f64::NEG_INFINITY;
        odd.metrics[0].interval = Some((f64::NEG_INFINITY, 0.0));
        world.store.keep_points(vec![(rollout, odd)]).await.unwrap();
        let found = world.store.points(rollout).await.unwrap();
        let metric = &found[0].metrics[0];
        assert_eq!((metric.control, metric.interval), (None, None));
        assert!(metric.log_e_worse.abs() < f64::EPSILON);
    }
}

#[tokio::test]
async fn however_long_a_rollout_runs_its_points_are_few() {
    for world in World::every() {
        let rollout = world.begin("greeting").await.id;
        let newest = 4 * i64::try_from(POINTS_MAX).unwrap();
        for second in 0..=newest {
            world
                .store
                .keep_points(vec![(rollout, point(second))])
                .await
                .unwrap();
        }
        let found = seconds(&world, rollout).await;
        assert!(
            (POINTS_MAX / 2..=POINTS_MAX).contains(&found.len()),
            "{}",
            found.len()
        );
        assert_eq!(found.last(), Some(&newest), "the newest stays");
        assert!(found[0] < newest / 10, "the beginning stays: {}", found[0]);
        assert!(found.is_sorted());
    }
}
