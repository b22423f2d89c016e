//! A chart of values with intervals over categories, as SVG: plain data in, text out, nothing to load.

use std::fmt::Write;

/// A value and the interval around it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Interval {
    /// The lower end.
    pub(super) low: f64,
    /// The value itself.
    pub(super) value: f64,
    /// The upper end.
    pub(super) high: f64,
}

/// One row of points, a point per category; `None` where there is no value.
#[derive(Clone, Debug)]
pub(super) struct Series {
    /// Its name in the legend.
    pub(super) name: String,
    /// Its points, in the order of the categories.
    pub(super) points: Vec<Option<Interval>>,
}

/// Points with intervals, side by side within each category.
#[derive(Clone, Debug)]
pub(super) struct Chart {
    /// The heading.
    pub(super) title: String,
    /// What the horizontal axis lists.
    pub(super) x_label: String,
    /// What the vertical axis measures, with its unit.
    pub(super) y_label: String,
    /// The end of the vertical axis, which begins at 0; `None` takes the largest value, rounded up.
    pub(super) y_max: Option<f64>,
    /// The categories, in order.
    pub(super) categories: Vec<String>,
    /// The series, in order.
    pub(super) series: Vec<Series>,
}

/// The style that a page with charts needs; colours of Okabe and Ito's palette, for light and dark.
pub(super) const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c1e21;--soft:#5b6167;--grid:#d9dce0;--back:#fff;\
--s0:#0072B2;--s1:#D55E00;--s2:#009E73;--s3:#CC79A7;--s4:#8a6d00;--s5:#3d7fa8;--s6:#555}\
@media(prefers-color-scheme:dark){:root{--ink:#e8eaed;--soft:#a9b0b7;--grid:#3a3f45;--back:#16181b;\
--s0:#56B4E9;--s1:#ff8a3d;--s2:#2fd3a2;--s3:#e7a3c8;--s4:#F0E442;--s5:#9ad0f0;--s6:#bbb}}\
svg.chart{width:100%;height:auto;max-width:60rem;display:block}\
svg.chart text{fill:var(--ink);font:13px system-ui,sans-serif}svg.chart .soft{fill:var(--soft)}\
svg.chart .grid{stroke:var(--grid)}svg.chart .axis{stroke:var(--soft)}";

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 62.0;
const RIGHT: f64 = 14.0;
const TOP: f64 = 58.0;
const BOTTOM: f64 = 64.0;
const N_COLOURS: usize = 7;
/// More labels than this under the axis are turned.
const MOST_LEVEL_LABELS: usize = 8;

impl Chart {
    /// The drawing; it takes its colours from [`STYLE`].
    pub(super) fn svg(&self) -> String {
        let top = self.y_max.unwrap_or_else(|| round_up(self.largest()));
        let y = |value: f64| HEIGHT - BOTTOM - (value / top).clamp(0.0, 1.0) * (HEIGHT - TOP - BOTTOM);
        let slot = (WIDTH - LEFT - RIGHT) / self.categories.len().max(1) as f64;
        let mut svg = format!(
            "<svg class=\"chart\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title}\">\
             <title>{title}</title>",
            title = escape(&self.title)
        );
        for tick in 0..=4 {
            let value = top * f64::from(tick) / 4.0;
            let at = y(value);
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
                 <text class=\"soft\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                WIDTH - RIGHT,
                LEFT - 8.0,
                at + 4.0,
                number(value)
            );
        }
        let middle = f64::midpoint(TOP, HEIGHT - BOTTOM);
        let _ = write!(
            svg,
            "<text x=\"16\" y=\"{middle:.1}\" text-anchor=\"middle\" transform=\"rotate(-90 16 {middle:.1})\">{}</text>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>",
            escape(&self.y_label),
            f64::midpoint(LEFT, WIDTH - RIGHT),
            HEIGHT - 8.0,
            escape(&self.x_label)
        );
        for (index, category) in self.categories.iter().enumerate() {
            let at = LEFT + slot * (index as f64 + 0.5);
            let below = HEIGHT - BOTTOM + 18.0;
            let turned = if self.categories.len() > MOST_LEVEL_LABELS {
                format!("text-anchor=\"end\" transform=\"rotate(-35 {at:.1} {below:.1})\"")
            } else {
                "text-anchor=\"middle\"".to_owned()
            };
            let _ = write!(svg, "<text x=\"{at:.1}\" y=\"{below:.1}\" {turned}>{}</text>", escape(category));
        }
        let mut legend = LEFT;
        for (rank, series) in self.series.iter().enumerate() {
            let colour = format!("var(--s{})", rank % N_COLOURS);
            let _ = write!(
                svg,
                "{}<text x=\"{:.1}\" y=\"32\">{}</text>",
                marker(rank, legend + 6.0, 28.0, &colour),
                legend + 16.0,
                escape(&series.name)
            );
            legend += 34.0 + 7.5 * series.name.chars().count() as f64;
            // Side by side, so that no interval hides another.
            let offset = (rank as f64 + 0.5) / self.series.len() as f64 * (slot * 0.5).min(90.0)
                - (slot * 0.25).min(45.0);
            for (index, point) in series.points.iter().enumerate() {
                let Some(Interval { low, value, high }) = *point else { continue };
                let at = LEFT + slot * (index as f64 + 0.5) + offset;
                let category = self.categories.get(index).map_or("", String::as_str);
                let _ = write!(
                    svg,
                    "<g><title>{}: {} {} ({} to {})</title>\
                     <line x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{:.1}\" y2=\"{:.1}\" style=\"stroke:{colour};stroke-width:2\"/>{}</g>",
                    escape(category),
                    escape(&series.name),
                    number(value),
                    number(low),
                    number(high),
                    y(low),
                    y(high),
                    marker(rank, at, y(value), &colour)
                );
            }
        }
        let _ = write!(
            svg,
            "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{:.1}\" y1=\"{base:.1}\" y2=\"{base:.1}\"/></svg>",
            WIDTH - RIGHT,
            base = y(0.0)
        );
        svg
    }

    fn largest(&self) -> f64 {
        let points = self.series.iter().flat_map(|series| series.points.iter().flatten());
        points.map(|point| point.high.max(point.value)).fold(0.0, f64::max)
    }
}

/// A shape of its own for each series, so that colour is never the only difference.
fn marker(rank: usize, x: f64, y: f64, colour: &str) -> String {
    let points = |offsets: &[(f64, f64)]| {
        let points: Vec<String> =
            offsets.iter().map(|(dx, dy)| format!("{:.1},{:.1}", x + dx, y + dy)).collect();
        format!("<polygon points=\"{}\" style=\"fill:{colour}\"/>", points.join(" "))
    };
    match rank % 4 {
        0 => format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"5\" style=\"fill:{colour}\"/>"),
        1 => points(&[(-5.0, -5.0), (5.0, -5.0), (5.0, 5.0), (-5.0, 5.0)]),
        2 => points(&[(0.0, -6.5), (6.0, 5.0), (-6.0, 5.0)]),
        _ => points(&[(0.0, -6.5), (6.5, 0.0), (0.0, 6.5), (-6.5, 0.0)]),
    }
}

/// The next of 1, 2, 5, 10, 20, 50, … that is not below `value`.
fn round_up(value: f64) -> f64 {
    if value <= 0.0 || !value.is_finite() {
        return 1.0;
    }
    let power = 10_f64.powf(value.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|step| step * power).find(|top| *top >= value).unwrap_or(value)
}

fn number(value: f64) -> String {
    let places = if value == 0.0 || value >= 100.0 {
        0
    } else if value >= 1.0 {
        1
    } else {
        3
    };
    let text = format!("{value:.places$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

/// `text` with the characters that mean something in HTML and SVG replaced.
pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_point_is_drawn_with_its_interval_and_told_in_words() {
        let point = Some(Interval { low: 10.0, value: 25.0, high: 50.0 });
        let chart = Chart {
            title: "rates <&>".into(),
            x_label: "lock".into(),
            y_label: "%".into(),
            y_max: Some(100.0),
            categories: vec!["none".into(), "flock".into()],
            series: vec![
                Series { name: "oversold".into(), points: vec![point, None] },
                Series { name: "ok".into(), points: vec![point, point] },
            ],
        };
        let svg = chart.svg();
        assert_eq!(svg.matches("<g>").count(), 3);
        assert!(svg.contains("none: oversold 25 (10 to 50)"), "{svg}");
        assert!(svg.contains("rates &lt;&amp;&gt;") && !svg.contains("<&>"));
    }

    #[test]
    fn an_axis_ends_at_a_round_number() {
        assert_eq!([0.0, 0.7, 1.0, 3.0, 7.3, 130.0].map(round_up), [1.0, 1.0, 1.0, 5.0, 10.0, 200.0]);
    }
}
