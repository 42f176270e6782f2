//! Draws the ratios: bars from 1, where raw tungstenite is, on a logarithmic scale.

use std::fmt::Write;

use crate::measures::Way;
use crate::rounds::{Ratio, Row};
use crate::table::short;

const WIDTH: f64 = 840.0;
/// Where the scale begins and ends; before it are the labels.
const LEFT: f64 = 270.0;
const RIGHT: f64 = 790.0;
const TOP: f64 = 92.0;
const BAR: f64 = 13.0;
const GAP: f64 = 9.0;
/// On the scale, as far as they fit.
const TICKS: [f64; 10] = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0];
/// Each can be told from the others, and from the ground, by people who see no red or no green.
const COLOURS: [(Way, &str); 3] =
    [(Way::Waiting, "#0969da"), (Way::Handler, "#1a7f5a"), (Way::Blocking, "#c76b00")];

/// The ground is part of the picture, so that it is as legible on a dark page as on a light one.
pub(crate) fn draw(rows: &[Row]) -> String {
    let all: usize = rows.iter().map(|row| bars(row).count()).sum();
    let bottom = TOP + all as f64 * BAR + rows.len() as f64 * GAP;
    let height = bottom + 34.0;
    let scale = Scale::of(rows);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" \
         height=\"{height}\" font-family=\"system-ui, 'Segoe UI', Helvetica, Arial, sans-serif\" font-size=\"13\" \
         fill=\"#1f2328\" role=\"img\">\n\
         <title>heartwire compared with raw tungstenite</title>\n\
         <rect x=\"0.5\" y=\"0.5\" width=\"{}\" height=\"{}\" rx=\"6\" fill=\"#f6f8fa\" stroke=\"#d0d7de\"/>\n\
         <text x=\"16\" y=\"28\" font-size=\"16\" font-weight=\"600\">heartwire compared with raw tungstenite</text>\n\
         <text x=\"16\" y=\"48\" fill=\"#59636e\">Ratios within the same round, median and range; 1 is as fast (or as \
         small), to the right is better.</text>\n",
        WIDTH - 1.0,
        height - 1.0,
    );
    legend(&mut svg);
    for tick in TICKS.into_iter().filter(|tick| scale.holds(*tick)) {
        let (x, colour) = (scale.x(tick), if tick == 1.0 { "#1f2328" } else { "#d0d7de" });
        put(
            &mut svg,
            format_args!(
                "<path d=\"M{x:.1} {:.1}V{bottom:.1}\" stroke=\"{colour}\"/>\n\
                 <text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\" fill=\"#59636e\">{tick}</text>\n",
                TOP - 6.0,
                bottom + 18.0,
            ),
        );
    }
    let mut y = TOP;
    for row in rows {
        let count = bars(row).count() as f64;
        put(
            &mut svg,
            format_args!(
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\n",
                LEFT - 14.0,
                y + count * BAR / 2.0 + 4.5,
                row.measure.label,
            ),
        );
        for (ratio, colour) in bars(row) {
            bar(&mut svg, &scale, y, ratio, colour);
            y += BAR;
        }
        y += GAP;
    }
    svg.push_str("</svg>\n");
    svg
}

fn bars(row: &Row) -> impl Iterator<Item = (Ratio, &'static str)> {
    COLOURS.iter().filter_map(|(way, colour)| Some((row.ratio(*way)?, *colour)))
}

fn legend(svg: &mut String) {
    let mut x = 16.0;
    for (way, colour) in COLOURS {
        let name = way.to_string();
        put(
            svg,
            format_args!(
                "<rect x=\"{x:.1}\" y=\"61\" width=\"12\" height=\"12\" fill=\"{colour}\"/>\n\
                 <text x=\"{:.1}\" y=\"72\">{name}</text>\n",
                x + 18.0,
            ),
        );
        x += 48.0 + 6.6 * name.len() as f64;
    }
}

/// From 1 to the median, a thin line over the range, and the median in figures behind both.
fn bar(svg: &mut String, scale: &Scale, y: f64, ratio: Ratio, colour: &str) {
    let (one, end) = (scale.x(1.0), scale.x(ratio.median));
    let (low, high) = (scale.x(ratio.lowest), scale.x(ratio.highest));
    let middle = y + (BAR - 2.0) / 2.0;
    let (text, anchor) =
        if ratio.median < 1.0 { (low.min(end) - 5.0, "end") } else { (high.max(end) + 5.0, "start") };
    put(
        svg,
        format_args!(
            "<rect x=\"{:.1}\" y=\"{y:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>\n\
             <path d=\"M{low:.1} {middle:.1}H{high:.1}\" stroke=\"#1f2328\"/>\n\
             <text x=\"{text:.1}\" y=\"{:.1}\" font-size=\"11\" text-anchor=\"{anchor}\">{}</text>\n",
            one.min(end),
            (end - one).abs().max(1.0),
            BAR - 2.0,
            middle + 4.0,
            short(ratio.median),
        ),
    );
}

fn put(svg: &mut String, text: std::fmt::Arguments<'_>) {
    // A String takes everything.
    let _ = svg.write_fmt(text);
}

struct Scale {
    lowest: f64,
    highest: f64,
}

impl Scale {
    /// With room for the figures beside the longest bars.
    fn of(rows: &[Row]) -> Scale {
        let ratios = || rows.iter().flat_map(bars).map(|(ratio, _)| ratio);
        let lowest = ratios().map(|ratio| ratio.lowest).fold(0.6, f64::min);
        let highest = ratios().map(|ratio| ratio.highest).fold(2.0, f64::max);
        let room = (highest / lowest).powf(0.08);
        Scale { lowest: lowest / room, highest: highest * room }
    }

    fn holds(&self, ratio: f64) -> bool {
        (self.lowest..self.highest).contains(&ratio)
    }

    fn x(&self, ratio: f64) -> f64 {
        LEFT + (RIGHT - LEFT) * (ratio / self.lowest).ln() / (self.highest / self.lowest).ln()
    }
}
