//! The labels of a prompt over time as one picture: a lane for each label, a bar for each version that it
//! pointed at, and below them the share of users in treatment, on the same line of time.
//!
//! Drawn by plotters from moments, numbers and names; the same stands in the tables beside.

use super::chart::{Chart, Ink, Svg};
use jiff::Timestamp;
use plotters::coord::Shift;
use plotters::prelude::{
    DrawingArea, IntoDrawingArea as _, IntoFont as _, PathElement, Polygon, Rectangle, SVGBackend, Text,
};
use plotters::style::text_anchor::{HPos, Pos, VPos};
use plotters::style::{Color as _, ShapeStyle, TextStyle};

/// Most lanes: those of the labels that moved last.
pub(super) const LANES_MAX: usize = 8;

const WIDTH: i32 = 1_000;
/// Room for names, left of the lanes.
const NAMES_WIDTH: i32 = 130;
/// Room right of the lanes.
const EDGE: i32 = 12;
const LANE_HEIGHT: i32 = 30;
/// Part of a lane that is left free above and below its bars.
const LANE_GAP: i32 = 4;
const EXPOSURE_HEIGHT: i32 = 70;
/// Room for moments, below everything.
const MOMENTS_HEIGHT: i32 = 24;
/// Moments that are written below.
const MOMENTS: i32 = 5;
/// Size of letters.
const LETTERS: f64 = 13.0;
/// About how wide a digit is.
const DIGIT_WIDTH: i32 = 8;
/// Longest name that fits, in characters.
const NAME_CHARS_MAX: usize = 16;
/// A version has the colour of its number by turns, in every lane.
const INKS: [Ink; 3] = [Ink::Difference, Ink::Healthy, Ink::Control];

/// A label, and where it pointed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lane {
    pub(super) label: String,
    pub(super) bars: Vec<Bar>,
}

/// A time in which a label pointed at one version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bar {
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
    pub(super) version: u32,
}

/// The picture.
#[derive(Debug, Clone, Default)]
pub(super) struct Lanes {
    pub(super) lanes: Vec<Lane>,
    /// Share of users in treatment from each moment on, oldest first, for one rollout after the other.
    pub(super) exposures: Vec<Vec<(Timestamp, f64)>>,
    pub(super) from: Timestamp,
    pub(super) until: Timestamp,
}

type Drawn = Result<(), Box<dyn std::error::Error>>;
type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

impl Lanes {
    /// The chart; none without any lane, or when it cannot be drawn.
    pub(super) fn draw(&self) -> Option<Chart> {
        if self.lanes.is_empty() || self.from >= self.until {
            return None;
        }
        let mut text = String::new();
        let size = (
            u32::try_from(WIDTH).ok()?,
            u32::try_from(self.bottom() + MOMENTS_HEIGHT).ok()?,
        );
        let area = SVGBackend::with_string(&mut text, size).into_drawing_area();
        let drawn = self.on(&area);
        drop(area);
        if let Err(error) = drawn {
            tracing::warn!(error = %error, "labels cannot be drawn");
            return None;
        }
        let mut keys = vec![(
            Ink::Letters,
            "a bar is the version that the label pointed at".to_owned(),
        )];
        if !self.exposures.is_empty() {
            keys.push((Ink::Treatment, "below: share of users in treatment".to_owned()));
        }
        let said = ": the tables below have the numbers";
        Some(Chart::new("Labels over time", said, keys, Svg::new(text)))
    }

    fn lanes_bottom(&self) -> i32 {
        let lanes = i32::try_from(self.lanes.len()).unwrap_or(i32::MAX);
        LANE_HEIGHT.saturating_mul(lanes)
    }

    /// Where everything but the moments ends.
    fn bottom(&self) -> i32 {
        let exposure = if self.exposures.is_empty() {
            0
        } else {
            EXPOSURE_HEIGHT
        };
        self.lanes_bottom() + exposure
    }

    /// Where a moment lies; those outside lie on the edge.
    fn x(&self, at: Timestamp) -> i32 {
        let (whole, into) = (
            self.until.duration_since(self.from).as_millis(),
            at.duration_since(self.from).as_millis(),
        );
        let room = i128::from(WIDTH - NAMES_WIDTH - EDGE);
        let x = into.clamp(0, whole) * room / whole.max(1);
        NAMES_WIDTH + i32::try_from(x).unwrap_or(0)
    }

    fn on(&self, area: &Area<'_>) -> Drawn {
        for (number, lane) in (0..).zip(&self.lanes) {
            self.lane(area, lane, number * LANE_HEIGHT)?;
        }
        self.exposure(area)?;
        self.moments(area)?;
        area.present()?;
        Ok(())
    }

    fn lane(&self, area: &Area<'_>, lane: &Lane, top: i32) -> Drawn {
        let middle = top + LANE_HEIGHT / 2;
        let line = ShapeStyle::from(&Ink::Frame.color());
        area.draw(&PathElement::new(
            [
                (NAMES_WIDTH, top + LANE_HEIGHT),
                (WIDTH - EDGE, top + LANE_HEIGHT),
            ],
            line,
        ))?;
        let name = short(&lane.label);
        area.draw(&Text::new(name, (NAMES_WIDTH - 8, middle), letters(HPos::Right)))?;
        for bar in &lane.bars {
            let ink = INKS[usize::try_from(bar.version).unwrap_or(0) % INKS.len()].color();
            let corners = [
                (self.x(bar.from), top + LANE_GAP),
                (self.x(bar.until), top + LANE_HEIGHT - LANE_GAP),
            ];
            area.draw(&Rectangle::new(corners, ink.mix(0.18).filled()))?;
            area.draw(&Rectangle::new(corners, ShapeStyle::from(&ink)))?;
            let number = bar.version.to_string();
            let needed =
                DIGIT_WIDTH * (i32::try_from(number.len()).unwrap_or(i32::MAX / DIGIT_WIDTH - 1) + 1);
            let [(left, _), (right, _)] = corners;
            if right - left >= needed {
                let place = (i32::midpoint(left, right), middle);
                area.draw(&Text::new(number, place, letters(HPos::Center)))?;
            }
        }
        Ok(())
    }

    fn exposure(&self, area: &Area<'_>) -> Drawn {
        if self.exposures.is_empty() {
            return Ok(());
        }
        let (top, bottom) = (self.lanes_bottom() + LANE_GAP, self.bottom());
        let height = f64::from(bottom - top);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a share of some dozens of units of the picture"
        )]
        let y = |share: f64| bottom - (share.clamp(0.0, 1.0) * height).round() as i32;
        let ink = Ink::Treatment.color();
        for (share, text) in [(0.0, "0%"), (1.0, "100%")] {
            let inset = if share > 0.0 { 5 } else { -5 };
            let place = (NAMES_WIDTH - 8, y(share) + inset);
            area.draw(&Text::new(text, place, letters(HPos::Right)))?;
        }
        for steps in &self.exposures {
            let mut corners: Vec<(i32, i32)> = Vec::with_capacity(2 * steps.len() + 1);
            let mut last = bottom;
            for (at, share) in steps {
                let (x, level) = (self.x(*at), y(*share));
                corners.extend([(x, last), (x, level)]);
                last = level;
            }
            let end = corners.last().map(|(x, _)| (*x, bottom));
            let outline: Vec<(i32, i32)> = corners.iter().copied().chain(end).collect();
            area.draw(&Polygon::new(outline, ink.mix(0.18)))?;
            area.draw(&PathElement::new(corners, ShapeStyle::from(&ink).stroke_width(2)))?;
        }
        let line = ShapeStyle::from(&Ink::Frame.color());
        area.draw(&PathElement::new(
            [(NAMES_WIDTH, bottom), (WIDTH - EDGE, bottom)],
            line,
        ))?;
        Ok(())
    }

    fn moments(&self, area: &Area<'_>) -> Drawn {
        let whole = self.until.duration_since(self.from);
        let format = match whole.as_mins() {
            ..60 => "%H:%M:%S",
            60..2_880 => "%m-%d %H:%M",
            2_880.. => "%Y-%m-%d",
        };
        for step in 0..MOMENTS {
            let at = self.from.saturating_add(whole / (MOMENTS - 1) * step)?;
            let side = match step {
                0 => HPos::Left,
                last if last == MOMENTS - 1 => HPos::Right,
                _ => HPos::Center,
            };
            let place = (self.x(at), self.bottom() + MOMENTS_HEIGHT / 2);
            let shown = at.strftime(format).to_string();
            area.draw(&Text::new(shown, place, letters(side)))?;
        }
        Ok(())
    }
}

fn letters(side: HPos) -> TextStyle<'static> {
    let font = ("sans-serif", LETTERS).into_font();
    font.color(&Ink::Letters.color())
        .pos(Pos::new(side, VPos::Center))
}

fn short(name: &str) -> String {
    if name.chars().count() <= NAME_CHARS_MAX {
        return name.to_owned();
    }
    let start: String = name.chars().take(NAME_CHARS_MAX - 1).collect();
    format!("{start}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(60 * minute).unwrap()
    }

    fn lanes() -> Lanes {
        let bar = |from, until, version| Bar {
            from: at(from),
            until: at(until),
            version,
        };
        let production = Lane {
            label: "production".to_owned(),
            bars: vec![bar(0, 60, 1), bar(60, 100, 2)],
        };
        let canary = Lane {
            label: "a <b> & a long name".to_owned(),
            bars: vec![bar(10, 100, 2)],
        };
        Lanes {
            lanes: vec![production, canary],
            exposures: vec![vec![(at(10), 0.05), (at(40), 0.5), (at(60), 0.0)]],
            from: at(0),
            until: at(100),
        }
    }

    #[test]
    fn each_label_has_a_lane_and_each_version_a_bar() {
        let svg = lanes().draw().unwrap().to_string();
        for needed in [
            ">production<",
            ">a &lt;b&gt; &amp; a long …<",
            ">1<",
            ">2<",
            ">100%<",
            "polygon",
            "polyline",
        ] {
            assert!(svg.replace('\n', "").contains(needed), "no {needed} in {svg}");
        }
        assert_eq!(
            svg.matches("<rect").count(),
            6,
            "a fill and a frame for each of three bars"
        );
        for blocked in ["style=", "<script", "<style", "href", "<b>"] {
            assert!(!svg.contains(blocked), "{blocked}: {svg}");
        }
    }

    #[test]
    fn moments_lie_in_their_order_within_the_picture() {
        let lanes = lanes();
        assert_eq!([0, 50, 100].map(|minute| lanes.x(at(minute))), [130, 559, 988]);
        assert_eq!((lanes.x(at(-5)), lanes.x(at(500))), (130, 988));
    }

    #[test]
    fn what_has_no_length_is_not_drawn() {
        let mut none = lanes();
        none.until = none.from;
        assert!(none.draw().is_none());
        assert!(Lanes::default().draw().is_none());
    }
}
