//! Charts as SVG, drawn by plotters from numbers alone; the same numbers stand in a table beside them.
//!
//! Colours are those of the light page. In the dark, the style sheet replaces each by its name there, so
//! every ink has a rule in `parts.css`.

use askama::Template;
use askama::filters::HtmlSafe;
use plotters::coord::Shift;
use plotters::prelude::{
    AreaSeries, ChartBuilder, DrawingArea, IntoDrawingArea as _, IntoFont as _, LineSeries, Polygon,
    RGBColor, SVGBackend,
};
use plotters::style::{Color as _, ShapeStyle};
use std::fmt;

/// Width of what is written left of the axis.
const LABELS_WIDTH: u32 = 54;
const LABELS_HEIGHT: u32 = 22;
/// Part of the range that is left free above and below.
const HEADROOM: f64 = 0.08;
/// Size of letters, in units of the chart.
const LETTERS: f64 = 12.0;
/// One moment of so many of a band is early: it is wide because little was known, and does not decide how
/// high a chart is.
const BAND_EARLY_PART: usize = 3;

/// How much room a chart gets; the page scales its coordinates to the room that there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// One of four in a row.
    Small,
    /// Half of the page.
    Wide,
}

impl Shape {
    fn size(self) -> (u32, u32) {
        match self {
            Self::Small => (300, 170),
            Self::Wide => (600, 200),
        }
    }

    /// About how many moments are written below the axis.
    fn moments(self) -> usize {
        match self {
            Self::Small => 4,
            Self::Wide => 7,
        }
    }
}

/// What something is drawn with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    Control,
    Treatment,
    Difference,
    Margin,
    Healthy,
    Frame,
    Letters,
}

impl Ink {
    pub(super) fn color(self) -> RGBColor {
        match self {
            Self::Control => RGBColor(0x4c, 0x5a, 0x6a),
            Self::Treatment => RGBColor(0xb3, 0x59, 0x00),
            Self::Difference => RGBColor(0x0a, 0x58, 0xa6),
            Self::Margin => RGBColor(0xb3, 0x26, 0x1e),
            Self::Healthy => RGBColor(0x1a, 0x6b, 0x30),
            Self::Frame => RGBColor(0xd3, 0xd9, 0xdf),
            Self::Letters => RGBColor(0x57, 0x60, 0x6a),
        }
    }

    /// The word of the CSS class of its key.
    fn word(self) -> &'static str {
        match self {
            Self::Control => "control",
            Self::Treatment => "treatment",
            Self::Difference => "difference",
            Self::Margin => "margin",
            Self::Healthy => "healthy",
            Self::Frame => "frame",
            Self::Letters => "letters",
        }
    }
}

/// What a colour stands for.
#[derive(Debug, Clone)]
pub(super) struct Key {
    ink: &'static str,
    text: String,
}

/// A chart with its title and its keys.
#[derive(Debug, Clone, Template)]
#[template(path = "chart.html", config = "src/console/askama.toml")]
pub(super) struct Chart {
    title: String,
    keys: Vec<Key>,
    /// What it shows, for those who cannot see it.
    said: String,
    svg: Svg,
}

/// Its template has escaped it.
impl HtmlSafe for Chart {}

impl Chart {
    /// A drawn chart; `said` goes on after its title.
    pub(super) fn new(title: &str, said: &str, keys: Vec<(Ink, String)>, svg: Svg) -> Self {
        let key = |(ink, text): (Ink, String)| Key {
            ink: ink.word(),
            text,
        };
        Self {
            title: title.to_owned(),
            keys: keys.into_iter().map(key).collect(),
            said: said.to_owned(),
            svg,
        }
    }
}

/// A line of a chart: moments in seconds since the rollout began, and values.
#[derive(Debug, Clone)]
pub(super) struct Curve {
    pub(super) ink: Ink,
    pub(super) points: Vec<(f64, f64)>,
    /// Whether a value holds until the next one.
    pub(super) is_stepped: bool,
}

/// A level across the whole chart.
#[derive(Debug, Clone, Copy)]
pub(super) struct Level {
    pub(super) ink: Ink,
    pub(super) value: f64,
}

/// What a chart shows.
#[derive(Debug, Clone, Default)]
pub(super) struct Plot {
    pub(super) curves: Vec<Curve>,
    /// Lower and upper ends over time, filled.
    pub(super) band: Vec<(f64, f64, f64)>,
    pub(super) levels: Vec<Level>,
    /// Values that the axis reaches in any case.
    pub(super) at_least: Vec<f64>,
}

/// A drawn chart; its markup is plotters'.
#[derive(Debug, Clone)]
pub(super) struct Svg(String);

impl Svg {
    /// Markup that plotters has made, in which it has escaped every text.
    pub(super) fn new(markup: String) -> Self {
        Self(markup)
    }
}

impl HtmlSafe for Svg {}

impl fmt::Display for Svg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

type Drawn = Result<(), Box<dyn std::error::Error>>;

impl Plot {
    /// The chart; none with less than two moments, or when it cannot be drawn. `shown` writes values.
    pub(super) fn draw(&self, shape: Shape, shown: &dyn Fn(f64) -> String) -> Option<Svg> {
        let moments = self
            .curves
            .iter()
            .flat_map(|curve| &curve.points)
            .map(|point| point.0);
        let (first, last) = range(moments)?;
        if first >= last {
            return None;
        }
        let (lowest, highest) = self.heights()?;
        let mut text = String::new();
        let area = SVGBackend::with_string(&mut text, shape.size()).into_drawing_area();
        let drawn = self.on(&area, shape, (first, last), (lowest, highest), shown);
        drop(area);
        match drawn {
            Ok(()) => Some(Svg(text)),
            Err(error) => {
                tracing::warn!(error = %error, "a chart cannot be drawn");
                None
            }
        }
    }

    /// The range of all values, with some room.
    fn heights(&self) -> Option<(f64, f64)> {
        let curves = self
            .curves
            .iter()
            .flat_map(|curve| &curve.points)
            .map(|point| point.1);
        let late = &self.band[self.band.len() / BAND_EARLY_PART..];
        let band = late.iter().flat_map(|(_, lower, upper)| [*lower, *upper]);
        let levels = self.levels.iter().map(|level| level.value);
        let all = curves
            .chain(band)
            .chain(levels)
            .chain(self.at_least.iter().copied());
        let (lowest, highest) = range(all)?;
        let span = highest - lowest;
        let room = if span > 0.0 {
            span * HEADROOM
        } else {
            highest.abs().max(1.0) * HEADROOM
        };
        // What cannot be below zero stands on it.
        let has_floor = lowest.abs() <= f64::EPSILON && self.at_least.contains(&lowest);
        Some((if has_floor { lowest } else { lowest - room }, highest + room))
    }

    fn on(
        &self,
        area: &DrawingArea<SVGBackend<'_>, Shift>,
        shape: Shape,
        (first, last): (f64, f64),
        (lowest, highest): (f64, f64),
        shown: &dyn Fn(f64) -> String,
    ) -> Drawn {
        let mut chart = ChartBuilder::on(area)
            .margin(6)
            .y_label_area_size(LABELS_WIDTH)
            .x_label_area_size(LABELS_HEIGHT)
            .build_cartesian_2d(first..last, lowest..highest)?;
        let letters = ("sans-serif", LETTERS).into_font().color(&Ink::Letters.color());
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(RGBColor(0, 0, 0).mix(0.0))
            .bold_line_style(Ink::Frame.color())
            .axis_style(Ink::Frame.color())
            .x_labels(shape.moments())
            .y_labels(5)
            .label_style(letters)
            .x_label_formatter(&|second| since(*second))
            .y_label_formatter(&|value| shown(rounded(*value, highest - lowest)))
            .draw()?;
        if self.band.len() > 1 {
            let inside = |value: f64| value.clamp(lowest, highest);
            let upper = self.band.iter().map(|(at, _, upper)| (*at, inside(*upper)));
            let lower = self.band.iter().rev().map(|(at, lower, _)| (*at, inside(*lower)));
            let outline: Vec<(f64, f64)> = upper.chain(lower).collect();
            chart.draw_series([Polygon::new(outline, Ink::Difference.color().mix(0.18))])?;
        }
        for level in &self.levels {
            let ends = [(first, level.value), (last, level.value)];
            let style = ShapeStyle::from(&level.ink.color()).stroke_width(2);
            chart.draw_series(LineSeries::new(ends, style))?;
        }
        for curve in &self.curves {
            let style = ShapeStyle::from(&curve.ink.color()).stroke_width(2);
            if curve.is_stepped {
                let filled = stepped(&curve.points);
                chart.draw_series(
                    AreaSeries::new(filled, lowest, curve.ink.color().mix(0.15)).border_style(style),
                )?;
            } else {
                chart.draw_series(LineSeries::new(curve.points.iter().copied(), style))?;
            }
        }
        area.present()?;
        Ok(())
    }
}

/// The least and the greatest of finite numbers.
fn range(numbers: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    numbers
        .filter(|number| number.is_finite())
        .fold(None, |range, number| match range {
            None => Some((number, number)),
            Some((least, greatest)) => Some((number.min(least), number.max(greatest))),
        })
}

/// A tick of an axis: what its steps have left of zero by rounding is zero.
fn rounded(value: f64, span: f64) -> f64 {
    if value.abs() < span * 1e-9 { 0.0 } else { value }
}

/// The corners of a line whose values hold until the next one.
fn stepped(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let mut corners = Vec::with_capacity(2 * points.len());
    let mut before: Option<f64> = None;
    for &(at, value) in points {
        corners.extend(before.map(|before| (at, before)));
        corners.push((at, value));
        before = Some(value);
    }
    corners
}

/// A time since the beginning, as short as an axis needs it.
fn since(seconds: f64) -> String {
    let (value, unit) = match seconds.abs() {
        length if length < 120.0 => (seconds, "s"),
        length if length < 7_200.0 => (seconds / 60.0, "min"),
        length if length < 172_800.0 => (seconds / 3_600.0, "h"),
        _ => (seconds / 86_400.0, "d"),
    };
    let text = format!("{value:.1}");
    format!("{} {unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plot() -> Plot {
        Plot {
            curves: vec![Curve {
                ink: Ink::Control,
                points: vec![(0.0, 0.5), (60.0, 0.7), (90.0, f64::NAN)],
                is_stepped: false,
            }],
            band: vec![(0.0, 0.4, 0.6), (60.0, 0.6, 0.8)],
            levels: vec![Level {
                ink: Ink::Margin,
                value: 0.3,
            }],
            at_least: vec![0.0],
        }
    }

    #[test]
    fn a_chart_is_drawn_without_styles_that_the_page_forbids() {
        let svg = plot()
            .draw(Shape::Small, &|value| format!("{value:.1}"))
            .unwrap()
            .to_string();
        assert!(svg.starts_with("<svg"), "{svg}");
        for blocked in ["style=", "<script", "<style", "href"] {
            assert!(!svg.contains(blocked), "{blocked}: {svg}");
        }
        assert!(svg.contains("#4C5A6A") && svg.contains("polygon"), "{svg}");
    }

    #[test]
    fn what_has_no_length_is_not_drawn() {
        assert!(Plot::default().draw(Shape::Wide, &|_| String::new()).is_none());
        let mut point = plot();
        point.curves[0].points.truncate(1);
        assert!(point.draw(Shape::Wide, &|_| String::new()).is_none());
        let mut flat = plot();
        flat.curves[0].points = vec![(0.0, 0.0), (1.0, 0.0)];
        flat.band.clear();
        flat.levels.clear();
        assert!(flat.draw(Shape::Wide, &|_| String::new()).is_some());
    }

    #[test]
    fn every_ink_has_a_color_in_the_dark() {
        let css = include_str!("static/parts.css");
        for ink in [
            Ink::Control,
            Ink::Treatment,
            Ink::Difference,
            Ink::Margin,
            Ink::Healthy,
            Ink::Frame,
            Ink::Letters,
        ] {
            let RGBColor(red, green, blue) = ink.color();
            let hex = format!("#{red:02X}{green:02X}{blue:02X}");
            assert!(css.contains(&format!("[stroke=\"{hex}\"]")), "{ink:?} {hex}");
        }
    }

    #[test]
    fn axes_are_short() {
        assert_eq!(
            [0.0, 90.0, 150.0, 9_000.0, 259_200.0].map(since),
            ["0 s", "90 s", "2.5 min", "2.5 h", "3 d"]
        );
        assert_eq!(
            stepped(&[(0.0, 1.0), (2.0, 3.0)]),
            [(0.0, 1.0), (2.0, 1.0), (2.0, 3.0)]
        );
    }
}
