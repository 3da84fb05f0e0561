//! Costs over growing numbers of connections or subscribers, as lines.

use super::axis::Axis;
use super::input::Input;
use super::stats::{Cost, Spread, count_of};
use super::svg::{Frame, MARGIN, RIGHT, SMALL, Svg, colour};
use super::text;
use crate::results::{Row, Workload};

const HEIGHT: f64 = 220.0;
/// The permitted growth from the smallest to the largest number.
const LIMIT: f64 = 1.1;
const DASHES: [&str; 4] = ["", "7 3", "2 3", "9 3 2 3"];

/// Workloads that differ only in their number of connections or subscribers.
struct Series<'a> {
    name: &'a str,
    unit: &'a str,
    /// By number.
    steps: Vec<Step<'a>>,
}

/// One number of connections, with the results of one server.
struct Step<'a> {
    number: f64,
    server: &'a str,
    row: &'a Row,
}

/// A server in a series.
struct Line {
    server: usize,
    name: String,
    /// The number, and the cost relative to that at the smallest number.
    points: Vec<(f64, f64)>,
}

/// `growth-echo-10k` as `growth-echo` and 10,000.
fn parts(name: &str) -> Option<(&str, f64)> {
    let (series, number) = name.rsplit_once('-')?;
    let (digits, times) = match number.strip_suffix(['k', 'K']) {
        Some(digits) => (digits, 1e3),
        None => (number, 1.0),
    };
    let number: u32 = digits.parse().ok()?;
    (number > 0).then_some((series, f64::from(number) * times))
}

/// Finds the series: workloads whose names end in numbers, with a row for each server; or one
/// workload of one server, with a row for each number.
fn series<'a>(workloads: &[&'a Workload], base: &'a str) -> Vec<Series<'a>> {
    let mut all: Vec<Series<'a>> = Vec::new();
    for workload in workloads {
        let whole = parts(&workload.name);
        let name = whole.map_or(workload.name.as_str(), |(name, _)| name);
        let mut steps: Vec<Step<'a>> = Vec::new();
        for row in &workload.rows {
            let (number, server) = match (whole, count_of(row)) {
                (Some((_, number)), _) => (number, row.server.as_str()),
                (None, Some(number)) => (number, base),
                (None, None) => continue,
            };
            steps.push(Step { number, server, row });
        }
        match all.iter_mut().find(|series| series.name == name) {
            Some(series) => series.steps.append(&mut steps),
            None => all.push(Series { name, unit: &workload.unit, steps }),
        }
    }
    for series in &mut all {
        series.steps.sort_by(|a, b| a.number.total_cmp(&b.number));
    }
    all.retain(|series| series.steps.first().is_some_and(|step| step.number < series.most()));
    all
}

impl Series<'_> {
    fn lines(&self, input: &Input<'_>, cost: Cost) -> Vec<Line> {
        let line = |(server, name): (usize, &String)| {
            let mut steps = self.steps.iter().filter(|step| step.server == name).peekable();
            // Without the smallest number there is no reference.
            let first = steps.peek().filter(|first| first.number == self.steps[0].number)?.row;
            let points = steps.filter_map(|step| {
                let ratio = Spread::of_ratios(step.row, first, |round| cost.of(round))?;
                step.row.failed.is_none().then_some((step.number, ratio.median))
            });
            let points: Vec<(f64, f64)> = points.collect();
            let whole = points.first().is_some_and(|point| point.0 == self.steps[0].number);
            (whole && points.len() > 1).then(|| Line { server, name: name.clone(), points })
        };
        input.servers.names.iter().enumerate().filter_map(line).collect()
    }

    /// The largest number.
    fn most(&self) -> f64 {
        self.steps.last().map_or(0.0, |step| step.number)
    }

    fn heading(&self) -> String {
        let what = self.name.strip_prefix("growth").unwrap_or(self.name).trim_matches('-');
        let unit = self.unit;
        let along = if unit == "delivery" { "subscribers" } else { "connections" };
        let name = if what.is_empty() { unit } else { what };
        let mut letters = name.chars();
        let name: String =
            letters.next().into_iter().flat_map(char::to_uppercase).chain(letters).collect();
        format!("{name}: cost of one {unit} against the number of {along}")
    }
}

/// The chart; `None` without lines.
pub(super) fn growth(input: &Input<'_>) -> Option<String> {
    let cost = Cost::best(&input.workloads);
    let all = series(&input.workloads, input.servers.base());
    let panels: Vec<(&Series<'_>, Vec<Line>)> = all
        .iter()
        .map(|series| (series, series.lines(input, cost)))
        .filter(|(_, lines)| !lines.is_empty())
        .collect();
    if panels.is_empty() {
        return None;
    }
    let words: Vec<String> = panels.iter().map(|(series, lines)| spoken(series, lines)).collect();
    let by = cost.name();
    let mut svg = Svg::new(Frame {
        title: format!("Cost as work grows, by {by}"),
        subtitle: format!(
            "The server's {by}, user and kernel, for each message in relation to its own smallest \
             run. Flat is better; the dashed rule is 10 % more."
        ),
        description: words.join(" "),
        footer: input.footer(&input.method("median of the ratios round by round")),
    });
    for (series, lines) in &panels {
        panel(&mut svg, series, lines);
    }
    Some(svg.finish())
}

fn spoken(series: &Series<'_>, lines: &[Line]) -> String {
    let most = series.most();
    let lines: Vec<String> = lines.iter().map(|line| end(line, most)).collect();
    format!("{}; at {}: {}.", series.heading(), text::grouped(most), lines.join("; "))
}

fn panel(svg: &mut Svg, series: &Series<'_>, lines: &[Line]) {
    svg.y += 20.0;
    let heading = text::fit(&series.heading(), SMALL * 1.08, RIGHT - MARGIN);
    svg.text(MARGIN, svg.y, "ink strong", &heading);
    // Labels beside the lines, one below the other.
    let room = HEIGHT.max(15.0 * lines.len() as f64);
    let (top, bottom) = (svg.y + 16.0, svg.y + 16.0 + room);
    let most = series.most();
    let labels = lines.iter().map(|line| text::width(&end(line, most), SMALL));
    let right = RIGHT - labels.fold(0.0, f64::max).min(320.0) - 44.0;
    let left = MARGIN + 48.0;

    let x = Axis::log(series.steps[0].number, most, (left, right));
    let values = || lines.iter().flat_map(|line| &line.points).map(|point| point.1);
    let (low, high) = (values().fold(0.95, f64::min), values().fold(1.2, f64::max));
    let pixels = (bottom, top);
    let y = if high / low > 8.0 {
        Axis::log(low, high, pixels)
    } else {
        Axis::linear(low, high, pixels)
    };
    for tick in y.ticks() {
        svg.line("grid", (left, y.at(tick)), (right, y.at(tick)));
        svg.text(left - 8.0, y.at(tick) + 4.0, "pale end", &text::ratio(tick));
    }
    let mut free = f64::NEG_INFINITY;
    let mut numbers: Vec<f64> = series.steps.iter().map(|step| step.number).collect();
    numbers.dedup();
    for number in &numbers {
        let label = text::grouped(*number);
        let half = text::width(&label, SMALL) / 2.0;
        svg.line("grid", (x.at(*number), top), (x.at(*number), bottom));
        if x.at(*number) - half >= free {
            svg.text(x.at(*number), bottom + 17.0, "pale mid", &label);
            free = x.at(*number) + half + 6.0;
        }
    }
    svg.line("guide", (left, y.at(LIMIT)), (right, y.at(LIMIT)));
    // The first server is drawn last, so that nothing covers it.
    for line in lines.iter().rev() {
        let class = colour(line.server);
        let points: Vec<(f64, f64)> =
            line.points.iter().map(|(number, value)| (x.at(*number), y.at(*value))).collect();
        svg.path(&format!("{class} line"), &points, DASHES[line.server % DASHES.len()]);
        for point in points {
            svg.dot(&format!("{class} fill"), point, 0);
        }
    }
    names(svg, (lines, most), right, (top, bottom), &y);
    svg.y = bottom + 26.0;
    absent(svg, series, lines);
}

/// Lists the servers without a line.
fn absent(svg: &mut Svg, series: &Series<'_>, lines: &[Line]) {
    let mut names: Vec<&str> = Vec::new();
    for name in series.steps.iter().map(|step| step.server) {
        if !names.contains(&name) && lines.iter().all(|line| line.name != name) {
            names.push(name);
        }
    }
    if !names.is_empty() {
        svg.y += 12.0;
        let text = format!("Without figures to compare: {}", names.join(", "));
        svg.text(MARGIN, svg.y, "pale", &text::fit(&text, SMALL, RIGHT - MARGIN));
        svg.y += 10.0;
    }
}

/// The name and last value; also the last number if it is not the largest.
fn end(line: &Line, most: f64) -> String {
    let (number, value) = line.points.last().copied().unwrap_or((most, 1.0));
    let name = text::fit(&line.name, SMALL, 150.0);
    let until =
        if number < most { format!(" at {}", text::grouped(number)) } else { String::new() };
    format!("{name} {}{until}", text::ratio(value))
}

/// The labels at the ends of the lines, moved apart if they would overlap.
fn names(
    svg: &mut Svg,
    (lines, most): (&[Line], f64),
    right: f64,
    (top, bottom): (f64, f64),
    y: &Axis,
) {
    let mut ends: Vec<(f64, &Line)> = lines
        .iter()
        .map(|line| (y.at(line.points.last().map_or(1.0, |point| point.1)), line))
        .collect();
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut free = top;
    let mut places: Vec<f64> = Vec::new();
    for (place, _) in &ends {
        let place = place.max(free);
        places.push(place);
        free = place + 15.0;
    }
    let mut free = bottom;
    for place in places.iter_mut().rev() {
        *place = place.min(free);
        free = *place - 15.0;
    }
    for ((_, line), place) in ends.into_iter().zip(places) {
        let class = colour(line.server);
        let value = line.points.last().map_or(1.0, |point| point.1);
        svg.line(&format!("{class} thin"), (right + 6.0, y.at(value)), (right + 24.0, place));
        svg.dot(&format!("{class} fill"), (right + 28.0, place), 0);
        let class = if line.server == 0 { "ink strong" } else { "ink" };
        svg.text(right + 38.0, place + 4.0, class, &end(line, most));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_hold_the_series_and_the_number() {
        assert_eq!(parts("growth-echo-1000"), Some(("growth-echo", 1000.0)));
        assert_eq!(parts("growth-fanout-10k"), Some(("growth-fanout", 10_000.0)));
        assert_eq!(parts("growth-echo"), None);
        assert_eq!(parts("growth-0"), None);
    }

    fn row(server: &str) -> Row {
        Row { server: server.into(), failed: None, rounds: Vec::new(), stepped: None }
    }

    fn workload(name: &str, rows: &[&str]) -> Workload {
        let rows = rows.iter().map(|server| row(server)).collect();
        Workload { name: name.into(), title: String::new(), unit: "delivery".into(), rows }
    }

    #[test]
    fn a_series_is_in_order_and_has_two_sizes() {
        let names = ["growth-a-1000", "growth-b-7", "growth-a-10"];
        let mut workloads = Vec::from(names.map(|name| workload(name, &["x"])));
        workloads.push(workload("growth-fanout", &["100", "10000", "1000"]));
        let references: Vec<&Workload> = workloads.iter().collect();
        let found = series(&references, "corecast");
        let numbers = |series: &Series<'_>| -> Vec<f64> {
            series.steps.iter().map(|step| step.number).collect()
        };
        assert_eq!(found.len(), 2);
        assert_eq!(numbers(&found[0]), [10.0, 1000.0]);
        assert_eq!(numbers(&found[1]), [100.0, 1000.0, 10_000.0]);
        assert!(found[1].steps.iter().all(|step| step.server == "corecast"));
        let heading = "A: cost of one delivery against the number of subscribers";
        assert_eq!(found[0].heading(), heading);
    }
}
