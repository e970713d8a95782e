//! Points of charts as JSON, short because there are many.

use super::Text;
use crate::ids::{Exposure, MetricName, Tick};
use crate::store::{MetricPoint, Point, StoreError};
use serde::{Deserialize, Serialize};

/// A [`Point`] without its tick.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::store) struct PointRow {
    /// Parts per million.
    x: u32,
    e: Option<f64>,
    t: Option<f64>,
    p: Option<f64>,
    m: Vec<MetricPointRow>,
}

/// A [`MetricPoint`].
#[derive(Debug, Serialize, Deserialize)]
struct MetricPointRow {
    n: Text<MetricName>,
    /// Observations of control and treatment.
    c: (u64, u64),
    /// What both arms have.
    v: (Option<f64>, Option<f64>),
    d: Option<f64>,
    i: Option<(f64, f64)>,
    g: Option<f64>,
    /// Log e-values: worse, healthy.
    e: (f64, f64),
}

/// JSON has no infinities; a chart has no place for them.
fn finite(number: f64) -> Option<f64> {
    Some(number).filter(|number| number.is_finite())
}

impl From<&Point> for PointRow {
    fn from(point: &Point) -> Self {
        Self {
            x: point.exposure.ppm(),
            e: point.log_e_combined.and_then(finite),
            t: point.treated_share.and_then(finite),
            p: point.planned_share.and_then(finite),
            m: point.metrics.iter().map(Into::into).collect(),
        }
    }
}

impl From<&MetricPoint> for MetricPointRow {
    fn from(point: &MetricPoint) -> Self {
        Self {
            n: Text(point.metric.clone()),
            c: (point.control_count, point.treatment_count),
            v: (point.control.and_then(finite), point.treatment.and_then(finite)),
            d: point.difference.and_then(finite),
            i: point
                .interval
                .filter(|(lower, upper)| lower.is_finite() && upper.is_finite()),
            g: point.margin.and_then(finite),
            e: (
                finite(point.log_e_worse).unwrap_or(0.0),
                finite(point.log_e_non_inferior).unwrap_or(0.0),
            ),
        }
    }
}

impl PointRow {
    /// The point of `tick`.
    pub(in crate::store) fn point(self, tick: Tick) -> Result<Point, StoreError> {
        let exposure = Exposure::from_ppm(self.x).map_err(|error| super::corrupt("a point", error))?;
        Ok(Point {
            tick,
            exposure,
            log_e_combined: self.e,
            treated_share: self.t,
            planned_share: self.p,
            metrics: self.m.into_iter().map(MetricPoint::from).collect(),
        })
    }
}

impl From<MetricPointRow> for MetricPoint {
    fn from(row: MetricPointRow) -> Self {
        Self {
            metric: row.n.0,
            control_count: row.c.0,
            treatment_count: row.c.1,
            control: row.v.0,
            treatment: row.v.1,
            difference: row.d,
            interval: row.i,
            margin: row.g,
            log_e_worse: row.e.0,
            log_e_non_inferior: row.e.1,
        }
    }
}
