//! Horizontal bars in groups.

use super::axis::Axis;
use super::stats::Spread;
use super::svg::{Frame, MARGIN, RIGHT, SMALL, Svg, colour};
use super::text;

const BAR: f64 = 12.0;
const PITCH: f64 = 17.0;

pub(super) struct Bar {
    /// Its number, which selects the colour.
    pub(super) server: usize,
    pub(super) name: String,
    /// The label at its end and its length, or the reason for the missing bar.
    pub(super) figure: Result<(String, Spread), String>,
}

pub(super) struct Group {
    pub(super) title: String,
    /// The short name of the workload, if it is not the title.
    pub(super) name: String,
    pub(super) bars: Vec<Bar>,
}

/// The meaning of the lengths of bars.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// Ratios to the first server, logarithmic if needed.
    Ratio,
    /// Bytes, logarithmic if needed.
    Bytes,
    /// Instructions, always logarithmic.
    Instructions,
}

impl Scale {
    fn tick(self, value: f64) -> String {
        match self {
            Self::Ratio => format!("{}×", text::tick(value)),
            Self::Bytes => text::trimmed(&text::bytes(value)),
            Self::Instructions => text::tick(value),
        }
    }
}

/// The smallest and largest value above zero, and the largest ratio of medians.
struct Range {
    low: f64,
    high: f64,
    factor: f64,
}

impl Range {
    /// `None` if no bar has a length.
    fn of(groups: &[Group]) -> Option<Self> {
        let figures = groups.iter().flat_map(|group| &group.bars).flat_map(|bar| &bar.figure);
        let spreads: Vec<&Spread> =
            figures.map(|(_, spread)| spread).filter(|spread| spread.median > 0.0).collect();
        let least = spreads.iter().map(|spread| spread.median).fold(f64::INFINITY, f64::min);
        let most = spreads.iter().map(|spread| spread.median).fold(0.0, f64::max);
        let low = spreads.iter().map(|s| if s.low > 0.0 { s.low } else { s.median });
        let high = spreads.iter().map(|spread| spread.high).fold(0.0, f64::max);
        let low = low.fold(f64::INFINITY, f64::min);
        (!spreads.is_empty()).then_some(Self { low, high, factor: most / least })
    }

    fn is_log(&self, scale: Scale) -> bool {
        let widest = if scale == Scale::Ratio { self.high } else { self.factor };
        scale == Scale::Instructions || widest > 8.0
    }

    fn axis(&self, scale: Scale, pixels: (f64, f64)) -> Axis {
        if self.is_log(scale) {
            // Below the smallest value, or its bar would have no length.
            Axis::log(self.low / 1.5, self.high, pixels)
        } else {
            Axis::linear(0.0, self.high, pixels)
        }
    }
}

/// The chart; `None` if there is no bar to draw.
pub(super) fn draw(mut frame: Frame, scale: Scale, groups: &[Group]) -> Option<String> {
    let range = Range::of(groups)?;
    if range.is_log(scale) {
        frame.subtitle += " Logarithmic scale.";
    }
    let bars = || groups.iter().flat_map(|group| &group.bars);
    let names = bars().map(|bar| text::width(&bar.name, SMALL)).fold(0.0, f64::max).min(220.0);
    let labels = bars().flat_map(|bar| &bar.figure).map(|(label, _)| text::width(label, SMALL));
    let left = MARGIN + names + 10.0;
    let axis = range.axis(scale, (left, RIGHT - labels.fold(0.0, f64::max).min(240.0) - 8.0));

    let mut svg = Svg::new(frame);
    svg.y += 18.0;
    let top = svg.y;
    let rows: usize = groups.iter().map(|group| group.bars.len()).sum();
    let height = 34.0 * groups.len() as f64 + PITCH * rows as f64;
    grid(&mut svg, &axis, scale, (top, top + height));
    for group in groups {
        heading(&mut svg, group);
        for bar in &group.bars {
            one(&mut svg, bar, &axis, left);
        }
    }
    svg.y = top + height + 16.0;
    Some(svg.finish())
}

/// Lines with values at both ends, and one at the first server.
fn grid(svg: &mut Svg, axis: &Axis, scale: Scale, (top, bottom): (f64, f64)) {
    let mut free = f64::NEG_INFINITY;
    for tick in axis.ticks() {
        let x = axis.at(tick);
        svg.line("grid", (x, top), (x, bottom + 4.0));
        let label = scale.tick(tick);
        let half = text::width(&label, SMALL) / 2.0;
        if x - half < free {
            continue;
        }
        free = x + half + 6.0;
        svg.text(x, top - 5.0, "pale mid", &label);
        svg.text(x, bottom + 17.0, "pale mid", &label);
    }
    if scale == Scale::Ratio {
        svg.line("guide", (axis.at(1.0), top), (axis.at(1.0), bottom + 4.0));
    }
}

fn heading(svg: &mut Svg, group: &Group) {
    svg.y += 24.0;
    let name = text::fit(&group.name, SMALL, 240.0);
    let room = RIGHT - MARGIN - text::width(&name, SMALL) - 16.0;
    // Bold letters are slightly wider.
    let title = text::fit(&group.title, SMALL * 1.08, room);
    ground(svg, MARGIN, text::width(&title, SMALL * 1.08));
    svg.text(MARGIN, svg.y, "ink strong", &title);
    let width = text::width(&name, SMALL);
    ground(svg, RIGHT - width, width);
    svg.text(RIGHT, svg.y, "pale end", &name);
    svg.y += 10.0;
}

/// Hides the lines under a text that begins at `x`.
fn ground(svg: &mut Svg, x: f64, width: f64) {
    svg.blank((x - 2.0, svg.y - 12.0), (width + 4.0, 16.0));
}

fn one(svg: &mut Svg, bar: &Bar, axis: &Axis, left: f64) {
    let base = svg.y + BAR - 2.0;
    let class = if bar.server == 0 { "ink strong end" } else { "ink end" };
    let name = text::fit(&bar.name, SMALL, left - MARGIN - 8.0);
    svg.text(left - 8.0, base, class, &name);
    match &bar.figure {
        Ok((label, spread)) => {
            let end = axis.at(spread.median);
            let class = format!("{} fill", colour(bar.server));
            let hint = format!("{}: {label}", bar.name);
            if spread.median > 0.0 {
                svg.bar(&class, (left, svg.y), (end - left, BAR), &hint);
            }
            let (low, high) = (axis.at(spread.low), axis.at(spread.high));
            svg.whisker((low, high), svg.y + BAR / 2.0);
            let x = end.max(high) + 6.0;
            let label = text::fit(label, SMALL, RIGHT - x);
            svg.blank((x - 2.0, svg.y), (text::width(&label, SMALL) + 2.0, BAR));
            svg.text(x, base, "ink", &label);
        }
        Err(reason) => {
            let reason = text::fit(reason, SMALL, RIGHT - left - 4.0);
            svg.blank((left + 1.0, svg.y), (text::width(&reason, SMALL) + 4.0, BAR));
            svg.text(left + 4.0, base, "pale", &reason);
        }
    }
    svg.y += PITCH;
}
