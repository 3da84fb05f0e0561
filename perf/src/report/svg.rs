//! A small writer of SVG: shapes with classes, and the frame of a chart.

use std::fmt::Write;

use super::text;

pub(super) const WIDTH: f64 = 860.0;
pub(super) const MARGIN: f64 = 24.0;
/// The right end of the drawing.
pub(super) const RIGHT: f64 = WIDTH - MARGIN;
/// Font size of names and values.
pub(super) const SMALL: f64 = 12.0;
const LINE: f64 = 17.0;
const TITLE: f64 = 18.0;

/// The colours of the servers, the first for corecast; on white and on a dark background.
const COLOURS: [(&str, &str); 8] = [
    ("#d9480f", "#ff8a3d"),
    ("#1f5f9e", "#6cb0f5"),
    ("#6b7683", "#99a4b0"),
    ("#5aa0dc", "#3f7fbf"),
    ("#27405e", "#c3d9ef"),
    ("#9aa5b1", "#6a7684"),
    ("#3c7f93", "#63b3c9"),
    ("#8fb3cf", "#8aa0c8"),
];

/// All other colours: class, property, on white, on a dark background.
const INK: [(&str, &str, &str, &str); 8] = [
    ("halo", "stroke", "#ffffff", "#0d1117"),
    ("paper", "fill", "#ffffff", "#0d1117"),
    ("edge", "stroke", "#d0d7de", "#30363d"),
    ("ink", "fill", "#1f2328", "#e6edf3"),
    ("pale", "fill", "#57606a", "#9ea7b1"),
    ("grid", "stroke", "#e1e5ea", "#262c34"),
    ("mark", "stroke", "#1f2328", "#e6edf3"),
    ("guide", "stroke", "#8b949e", "#7d8590"),
];

/// The class with the colour of a server.
pub(super) fn colour(server: usize) -> String {
    // The accent colour is only for the first; the others share the rest if there are many.
    let others = COLOURS.len() - 1;
    format!("s{}", if server == 0 { 0 } else { 1 + (server - 1) % others })
}

fn style() -> String {
    let mut css = String::from(
        "text{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,\
         sans-serif;font-size:12px}\n.title{font-size:18px;font-weight:600}\n\
         .strong{font-weight:600}\n.end{text-anchor:end}\n.mid{text-anchor:middle}\n\
         .fill{fill:currentColor}\n.line{stroke:currentColor;stroke-width:2;fill:none;\
         stroke-linejoin:round}\n.thin{stroke:currentColor}\n.halo{stroke-width:3}\n\
         .mark{stroke-width:1.2}\n\
         .guide{stroke-width:1.2;stroke-dasharray:4 3}\n",
    );
    let mut dark = String::new();
    for (class, property, light, night) in INK {
        css += &format!(".{class}{{{property}:{light}}}\n");
        dark += &format!(".{class}{{{property}:{night}}}\n");
    }
    for (index, (light, night)) in COLOURS.iter().enumerate() {
        css += &format!(".s{index}{{color:{light}}}\n");
        dark += &format!(".s{index}{{color:{night}}}\n");
    }
    css + "@media (prefers-color-scheme:dark){\n" + &dark + "}\n"
}

/// The texts around a drawing.
#[derive(Clone, Debug, Default)]
pub(super) struct Frame {
    pub(super) title: String,
    /// The unit of a message, the method, and which direction is better.
    pub(super) subtitle: String,
    /// The same values as text, for readers who cannot see the chart.
    pub(super) description: String,
    /// Machine, versions, limits: one paragraph each.
    pub(super) footer: Vec<String>,
}

/// A chart under construction, from the top down.
pub(super) struct Svg {
    frame: Frame,
    body: String,
    /// The vertical position of the next element.
    pub(super) y: f64,
}

impl Svg {
    /// Begins with title and subtitle.
    pub(super) fn new(frame: Frame) -> Self {
        let mut svg = Self { frame, body: String::new(), y: MARGIN + 14.0 };
        let title = text::fit(&svg.frame.title, TITLE, RIGHT - MARGIN);
        svg.text(MARGIN, svg.y, "title ink", &title);
        svg.y += 6.0;
        let subtitle = svg.frame.subtitle.clone();
        svg.paragraph(&subtitle);
        svg.y += 10.0;
        svg
    }

    fn paragraph(&mut self, paragraph: &str) {
        for line in text::wrap(paragraph, SMALL, RIGHT - MARGIN) {
            self.y += LINE;
            self.text(MARGIN, self.y, "pale", &line);
        }
    }

    /// One line of text; `y` is its base line.
    pub(super) fn text(&mut self, x: f64, y: f64, class: &str, line: &str) {
        let line = text::xml(line);
        // Writing to a string cannot fail, here and below.
        let _ = writeln!(self.body, r#"<text class="{class}" x="{x:.1}" y="{y:.1}">{line}</text>"#);
    }

    pub(super) fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        let ((x1, y1), (x2, y2)) = (from, to);
        let _ = writeln!(
            self.body,
            r#"<line class="{class}" x1="{x1:.1}" y1="{y1:.1}" x2="{x2:.1}" y2="{y2:.1}"/>"#
        );
    }

    /// Hides lines behind a text.
    pub(super) fn blank(&mut self, (x, y): (f64, f64), (width, height): (f64, f64)) {
        let place = format!(r#"x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}""#);
        let _ = writeln!(self.body, r#"<rect class="paper" {place}/>"#);
    }

    /// A bar from the left; `hint` is its tooltip.
    pub(super) fn bar(&mut self, class: &str, (x, y): (f64, f64), size: (f64, f64), hint: &str) {
        let (width, height) = (size.0.max(1.0), size.1);
        let place = format!(r#"x="{x:.1}" y="{y:.1}" width="{width:.1}" height="{height:.1}""#);
        let hint = text::xml(hint);
        let _ =
            writeln!(self.body, r#"<rect class="{class}" {place}><title>{hint}</title></rect>"#);
    }

    /// A path through points, dashed unless `dash` is empty.
    pub(super) fn path(&mut self, class: &str, points: &[(f64, f64)], dash: &str) {
        let mut path = String::new();
        for (index, (x, y)) in points.iter().enumerate() {
            let _ = write!(path, "{}{x:.1} {y:.1}", if index == 0 { "M" } else { "L" });
        }
        let dash =
            if dash.is_empty() { dash.into() } else { format!(r#" stroke-dasharray="{dash}""#) };
        let _ = writeln!(self.body, r#"<path class="{class}" d="{path}"{dash}/>"#);
    }

    /// One of three shapes: circle, diamond, triangle.
    pub(super) fn dot(&mut self, class: &str, (x, y): (f64, f64), shape: usize) {
        let r = 4.5;
        let _ = match shape % 3 {
            0 => {
                writeln!(self.body, r#"<circle class="{class}" cx="{x:.1}" cy="{y:.1}" r="4.0"/>"#)
            }
            1 => writeln!(
                self.body,
                r#"<path class="{class}" d="M{x:.1} {:.1}l{r} {r}l-{r} {r}l-{r} -{r}z"/>"#,
                y - r
            ),
            _ => writeln!(
                self.body,
                r#"<path class="{class}" d="M{x:.1} {:.1}l{r} 8.5h-9z"/>"#,
                y - r - 0.5
            ),
        };
    }

    /// A horizontal whisker.
    pub(super) fn whisker(&mut self, (low, high): (f64, f64), y: f64) {
        if high - low < 1.5 {
            return;
        }
        // A halo keeps it apart from dark bars.
        for class in ["halo", "mark"] {
            self.line(class, (low, y), (high, y));
            for x in [low, high] {
                self.line(class, (x, y - 3.0), (x, y + 3.0));
            }
        }
    }

    /// Ends with the footer.
    pub(super) fn finish(mut self) -> String {
        self.y += 12.0;
        self.line("grid", (MARGIN, self.y), (RIGHT, self.y));
        self.y += 4.0;
        for paragraph in std::mem::take(&mut self.frame.footer) {
            self.paragraph(&paragraph);
        }
        let height = (self.y + MARGIN - 4.0).ceil();
        let (title, description) =
            (text::xml(&self.frame.title), text::xml(&self.frame.description));
        format!(r#"<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" "#)
            + &format!(r#"viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="title desc">"#)
            + &format!("\n<title id=\"title\">{title}</title>\n")
            + &format!("<desc id=\"desc\">{description}</desc>\n<style>\n{}</style>\n", style())
            + &format!(
                r#"<rect class="paper edge" x="0.5" y="0.5" width="{}" height="{}" rx="6"/>"#,
                WIDTH - 1.0,
                height - 1.0
            )
            + &format!("\n{}</svg>\n", self.body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped_everywhere() {
        let bad = "a<b>&\"c\"".to_owned();
        let frame = Frame {
            title: bad.clone(),
            subtitle: bad.clone(),
            description: bad.clone(),
            footer: vec![bad.clone()],
        };
        let mut svg = Svg::new(frame);
        svg.bar("fill", (1.0, 2.0), (3.0, 4.0), &bad);
        let svg = svg.finish();
        assert_eq!(svg.matches("a&lt;b&gt;&amp;").count(), 6, "{svg}");
        assert!(!svg.contains("a<b>"));
    }

    #[test]
    fn only_the_first_server_has_the_accent() {
        assert_eq!(colour(0), "s0");
        assert!((1..40).all(|server| colour(server) != "s0"));
        let css = style();
        assert_eq!(css.matches(".s0{").count(), 2);
    }
}
