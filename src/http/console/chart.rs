//! Charts, drawn here: plain SVG in the page, with classes for its style and no style of its own. Sizes are in per cent of the
//! place that the page gives, so that lines and patterns keep their shape at any width.
//!
//! A chart has a title and a description, and the page has the same numbers as a table. Parts differ in pattern, not in colour
//! alone. Everything that is written into one comes from numbers and from texts of ours.

use std::fmt::Write;

/// Where the columns begin and end, from the top, in hundredths of a per cent; what is below is the axis.
const TOP: u64 = 900;
const BOTTOM: u64 = 8_500;
/// The least height of a part that is not nothing, in hundredths of a per cent: it is to be seen.
const LEAST: u64 = 150;

/// How a part is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    /// What is to be expected.
    Plain,
    /// The same again.
    Hatched,
    /// What had to be found.
    Dotted,
    /// What went wrong.
    Crossed,
}

impl Ink {
    const ALL: [Self; 4] = [Self::Plain, Self::Hatched, Self::Dotted, Self::Crossed];

    fn name(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Hatched => "hatched",
            Self::Dotted => "dotted",
            Self::Crossed => "crossed",
        }
    }

    fn fill(self) -> &'static str {
        match self {
            Self::Plain => "class=\"ink plain\"",
            Self::Hatched => "fill=\"url(#ink-hatched)\" class=\"edge plain\"",
            Self::Dotted => "fill=\"url(#ink-dotted)\" class=\"edge dotted\"",
            Self::Crossed => "fill=\"url(#ink-crossed)\" class=\"edge crossed\"",
        }
    }

    /// A sample for the legend.
    pub(super) fn sample(self) -> String {
        format!(
            "<svg class=\"sample\" width=\"16\" height=\"16\" aria-hidden=\"true\"><rect x=\".5\" y=\".5\" width=\"15\" \
             height=\"15\" rx=\"3\" {}/></svg>",
            self.fill()
        )
    }
}

/// The patterns that all charts of a page use.
pub(super) fn patterns() -> String {
    let mut out =
        String::from("<svg class=\"patterns\" width=\"0\" height=\"0\" aria-hidden=\"true\"><defs>");
    for ink in Ink::ALL {
        let strokes = match ink {
            Ink::Plain => continue,
            Ink::Hatched => "<path d=\"M0 6L6 0M-1 1L1 -1M5 7L7 5\"/>",
            Ink::Dotted => "<circle cx=\"1.5\" cy=\"1.5\" r=\"1\"/><circle cx=\"4.5\" cy=\"4.5\" r=\"1\"/>",
            Ink::Crossed => "<path d=\"M0 0L6 6M6 0L0 6\"/>",
        };
        let name = ink.name();
        let _ = write!(
            out,
            "<pattern id=\"ink-{name}\" class=\"{name}\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\">\
             <rect width=\"6\" height=\"6\"/>{strokes}</pattern>"
        );
    }
    out + "</defs></svg>"
}

/// A part of every column.
pub(super) struct Part {
    pub(super) ink: Ink,
    /// From left to right.
    pub(super) values: Vec<u64>,
}

/// A column.
pub(super) struct Column {
    /// What is said when it is pointed at.
    pub(super) said: String,
    /// What stands below where it begins.
    pub(super) tick: Option<String>,
}

/// Columns side by side, each of parts that stand on each other.
pub(super) struct Columns {
    /// Nobody else's on the page.
    pub(super) id: &'static str,
    pub(super) title: &'static str,
    pub(super) about: String,
    pub(super) all: Vec<Column>,
    /// From the bottom up.
    pub(super) parts: Vec<Part>,
}

impl Columns {
    /// The chart as it stands in the page.
    pub(super) fn drawn(&self) -> String {
        let Self { id, title, about, all, parts } = self;
        let high = (0..all.len()).map(|place| self.height_of(place)).max().unwrap_or(0);
        let top = round_up(high);
        let mut out = format!(
            "<svg class=\"columns\" role=\"img\" aria-labelledby=\"{id}-title {id}-about\"><title id=\"{id}-title\">{title}</title>\
             <desc id=\"{id}-about\">{about}</desc>"
        );
        let scale: Vec<u64> = [top, top / 2]
            .into_iter()
            .filter(|value| *value > 0 && (*value == top || top.is_multiple_of(2)))
            .collect();
        let height = |value: u64| percent(BOTTOM - (BOTTOM - TOP) * value / top);
        for y in scale.iter().copied().map(height) {
            let _ = write!(out, "<line class=\"grid\" x1=\"0\" x2=\"100%\" y1=\"{y}\" y2=\"{y}\"/>");
        }
        let count = u64::try_from(all.len()).unwrap_or(1).max(1);
        for (place, column) in (0_u64..).zip(all) {
            let left = place * 10_000 / count;
            let _ = write!(out, "<g class=\"column\"><title>{}</title>", column.said);
            let (x, wide) = (percent(left), percent(10_000 / count));
            let _ = write!(
                out,
                "<rect class=\"touch\" x=\"{x}\" width=\"{wide}\" y=\"0\" height=\"{}\"/>",
                percent(BOTTOM)
            );
            let (x, wide) = (percent(left + 1_400 / count), percent(7_200 / count));
            let mut y = BOTTOM;
            for part in parts {
                let value = usize::try_from(place).ok().and_then(|place| part.values.get(place)).copied();
                let Some(value) = value.filter(|value| *value > 0) else { continue };
                let tall = ((BOTTOM - TOP) * value / top).max(LEAST);
                y = y.saturating_sub(tall);
                let _ = write!(
                    out,
                    "<rect x=\"{x}\" width=\"{wide}\" y=\"{}\" height=\"{}\" {}/>",
                    percent(y),
                    percent(tall),
                    part.ink.fill()
                );
            }
            out.push_str("</g>");
        }
        let axis = percent(BOTTOM);
        let _ = write!(out, "<line class=\"axis\" x1=\"0\" x2=\"100%\" y1=\"{axis}\" y2=\"{axis}\"/>");
        for (place, column) in (0_u64..).zip(all) {
            if let Some(tick) = &column.tick {
                out.push_str(&tick_at(place * 10_000 / count, tick));
            }
        }
        // Over the columns, so that it can be read.
        for (value, y) in scale.iter().map(|value| (grouped(*value), height(*value))) {
            let _ = write!(out, "<text class=\"scale\" x=\"0\" y=\"{y}\" dy=\"-4\">{value}</text>");
        }
        out + "</svg>"
    }

    fn height_of(&self, place: usize) -> u64 {
        self.parts.iter().filter_map(|part| part.values.get(place)).sum()
    }
}

/// A word below the axis, with a line where it points to.
fn tick_at(left: u64, text: &str) -> String {
    let anchor = match left {
        ..400 => "start",
        9_600.. => "end",
        _ => "middle",
    };
    let (x, axis, end) = (percent(left), percent(BOTTOM), percent(BOTTOM + 250));
    format!(
        "<line class=\"axis\" x1=\"{x}\" x2=\"{x}\" y1=\"{axis}\" y2=\"{end}\"/>\
         <text class=\"tick\" x=\"{x}\" y=\"98%\" text-anchor=\"{anchor}\">{text}</text>"
    )
}

/// A bar of so many thousandths, lying in its track. What it says stands beside it.
pub(super) fn bar(thousandths: u64, kind: &str) -> String {
    let wide = match thousandths {
        0 => 0,
        some => (some * 10).clamp(40, 10_000),
    };
    format!(
        "<svg class=\"lying {kind}\" aria-hidden=\"true\"><rect class=\"track\" width=\"100%\" height=\"100%\" rx=\"5\"/>\
         <rect class=\"ink\" width=\"{}\" height=\"100%\" rx=\"5\"/></svg>",
        percent(wide)
    )
}

/// What flows from one bar into the next, both in thousandths.
pub(super) fn flow(from: u64, to: u64) -> String {
    format!(
        "<svg class=\"flow\" viewBox=\"0 0 1000 10\" preserveAspectRatio=\"none\" aria-hidden=\"true\">\
         <polygon points=\"0,0 {},0 {},10 0,10\"/></svg>",
        from.min(1_000),
        to.min(1_000)
    )
}

/// Hundredths of a per cent as SVG has them.
fn percent(hundredths: u64) -> String {
    format!("{}.{:02}%", hundredths / 100, hundredths % 100)
}

/// The least of 1, 2, 3, 4, 5, 6, 8, 10, 20, 30 … that is not below.
fn round_up(number: u64) -> u64 {
    let mut unit = 1_u64;
    loop {
        for step in [1, 2, 3, 4, 5, 6, 8] {
            if unit.saturating_mul(step) >= number {
                return unit.saturating_mul(step);
            }
        }
        unit = unit.saturating_mul(10);
    }
}

/// A number with its thousands apart.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_and_scales_are_round() {
        let said: Vec<String> = [0, 12, 999, 1_000, 1_234_567].into_iter().map(grouped).collect();
        assert_eq!(said, ["0", "12", "999", "1,000", "1,234,567"]);
        let round: Vec<u64> = [0, 1, 2, 3, 7, 11, 21, 51, 81].into_iter().map(round_up).collect();
        assert_eq!(round, [1, 1, 2, 3, 8, 20, 30, 60, 100]);
        assert!(round_up(u64::MAX) >= u64::MAX / 2);
    }

    #[test]
    fn a_chart_stays_in_its_place_and_shows_the_least_of_something() {
        let column = || Column { said: "an hour".to_owned(), tick: None };
        let chart = Columns {
            id: "it",
            title: "A chart",
            about: "About it".to_owned(),
            all: vec![column(), column()],
            parts: vec![
                Part { ink: Ink::Plain, values: vec![1_000, 0] },
                Part { ink: Ink::Crossed, values: vec![1, 0] },
            ],
        };
        let drawn = chart.drawn();
        assert_eq!(drawn.matches("#ink-crossed").count(), 1, "{drawn}");
        assert!(drawn.contains("height=\"1.50%\""), "{drawn}");
        assert!(drawn.contains(">2,000<") && drawn.contains(">1,000<"), "{drawn}");
        assert!(!drawn.contains("style="), "{drawn}");
    }
}
