//! Points of charts.

use super::SqliteStore;
use super::queue::Lane;
use crate::ids::{RolloutId, Tick};
use crate::store::rows::{self, point::PointRow};
use crate::store::{POINTS_MAX, Point, PointStore, ROLLOUTS_CHARTED_MAX, StoreError};
use async_trait::async_trait;
use rusqlite::{Connection, params};

#[async_trait]
impl PointStore for SqliteStore {
    async fn keep_points(&self, points: Vec<(RolloutId, Point)>) -> Result<(), StoreError> {
        self.write(Lane::Control, move |group| keep(group.connection, &points))
            .await
    }

    async fn points(&self, rollout: RolloutId) -> Result<Vec<Point>, StoreError> {
        self.read(move |connection| read(connection, rollout)).await
    }
}

fn keep(connection: &Connection, points: &[(RolloutId, Point)]) -> Result<(), StoreError> {
    let mut insert = connection
        .prepare_cached("INSERT OR IGNORE INTO points (rollout, tick, point) VALUES (?1, ?2, ?3)")?;
    for (rollout, point) in points {
        let id = rows::integer(rollout.get())?;
        insert.execute(params![
            id,
            point.tick.second(),
            rows::encode(&PointRow::from(point))?
        ])?;
        thin(connection, id)?;
    }
    connection
        .prepare_cached(
            "DELETE FROM points WHERE rollout IN (
               SELECT id FROM rollouts WHERE over = 1 AND id <= (SELECT max(id) FROM rollouts) - ?1
             )",
        )?
        .execute([rows::integer(ROLLOUTS_CHARTED_MAX)?])?;
    Ok(())
}

/// Lets every second point go, counted from the newest, which stays.
fn thin(connection: &Connection, rollout: i64) -> Result<(), StoreError> {
    let count: i64 = connection
        .prepare_cached("SELECT count(*) FROM points WHERE rollout = ?1")?
        .query_row([rollout], |row| row.get(0))?;
    if usize::try_from(count).is_ok_and(|count| count <= POINTS_MAX) {
        return Ok(());
    }
    connection
        .prepare_cached(
            "DELETE FROM points WHERE rollout = ?1 AND tick IN (
               SELECT tick FROM (
                 SELECT tick, row_number() OVER (ORDER BY tick DESC) AS place FROM points WHERE rollout = ?1
               ) WHERE place % 2 = 0
             )",
        )?
        .execute([rollout])?;
    Ok(())
}

fn read(connection: &Connection, rollout: RolloutId) -> Result<Vec<Point>, StoreError> {
    let mut statement =
        connection.prepare_cached("SELECT tick, point FROM points WHERE rollout = ?1 ORDER BY tick")?;
    let mut found = statement.query([rows::integer(rollout.get())?])?;
    let mut points = Vec::new();
    while let Some(row) = found.next()? {
        let point: PointRow = rows::decode("a point of a chart", row.get_ref(1)?.as_str()?)?;
        points.push(point.point(Tick::new(row.get(0)?))?);
    }
    Ok(points)
}
