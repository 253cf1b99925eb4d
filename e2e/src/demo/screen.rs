//! Lines of coloured text, and the three ways to show them: a live terminal, plain lines, and a picture (SVG).
//!
//! The view is made once, as data; so the picture in the README is what a person saw in the terminal.

use std::fmt::Write as _;
use std::io::{IsTerminal, Write};

use serde::{Deserialize, Serialize};

/// What a piece of text means; each medium has its own colour for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Tone {
    /// Ordinary text.
    Plain,
    /// Labels and what is less important.
    Dim,
    /// Headings.
    Strong,
    /// Stable, healthy.
    Good,
    /// Canary, in progress.
    New,
    /// Failing, aborted.
    Bad,
}

/// A piece of text in one tone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The text, without line breaks.
    pub text: String,
    /// Its meaning.
    pub tone: Tone,
}

/// A line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Line(pub Vec<Span>);

impl Line {
    /// Adds a piece.
    #[must_use]
    pub fn with(mut self, tone: Tone, text: impl Into<String>) -> Self {
        self.0.push(Span {
            text: text.into(),
            tone,
        });
        self
    }

    /// Adds a piece and fills it up with blanks to `width` characters.
    #[must_use]
    pub fn column(self, tone: Tone, text: impl Into<String>, width: usize) -> Self {
        let text = text.into();
        let missing = width.saturating_sub(text.chars().count());
        self.with(tone, text + &" ".repeat(missing))
    }

    /// Number of characters.
    #[must_use]
    pub fn width(&self) -> usize {
        self.0.iter().map(|span| span.text.chars().count()).sum()
    }

    /// The text without tones.
    #[must_use]
    pub fn plain(&self) -> String {
        self.0
            .iter()
            .map(|span| span.text.as_str())
            .collect::<String>()
            .trim_end()
            .to_owned()
    }

    /// The same text as lines of at most `width` characters, broken between words; all but the first begin with `indent`
    /// blanks.
    #[must_use]
    pub fn wrapped(&self, width: usize, indent: usize) -> Vec<Self> {
        let mut lines = Vec::new();
        let mut line = Self::default();
        for span in &self.0 {
            for word in span.text.split_inclusive(' ') {
                let used = line.width();
                if used > indent && used + word.trim_end().chars().count() > width {
                    lines.push(std::mem::take(&mut line));
                    line = line.with(Tone::Plain, " ".repeat(indent));
                }
                match line.0.last_mut().filter(|last| last.tone == span.tone) {
                    Some(last) => last.text.push_str(word),
                    None => line = line.with(span.tone, word),
                }
            }
        }
        lines.push(line);
        lines
    }

    /// The text with terminal colours, cut to `width` characters.
    #[must_use]
    pub fn ansi(&self, width: usize) -> String {
        let mut out = String::new();
        let mut left = width;
        for span in &self.0 {
            let text: String = span.text.chars().take(left).collect();
            left -= text.chars().count();
            let code = match span.tone {
                Tone::Plain => "0",
                Tone::Dim => "2",
                Tone::Strong => "1",
                Tone::Good => "32",
                Tone::New => "33",
                Tone::Bad => "31",
            };
            let _ = write!(out, "\x1b[{code}m{text}\x1b[0m");
        }
        out
    }
}

/// Where a line that stays goes on below itself: under its sentence, behind the time.
pub const INDENT: usize = 9;

/// Shows lines that stay and, on a terminal, a panel below them that is drawn anew in place.
pub struct Terminal {
    live: bool,
    width: usize,
    drawn: usize,
}

impl Terminal {
    /// Standard output: live when it is a terminal, otherwise only the lines that stay are printed.
    #[must_use]
    pub fn stdout() -> Self {
        let live = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let width = std::env::var("COLUMNS")
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or(100);
        Self {
            live,
            width,
            drawn: 0,
        }
    }

    /// Prints lines that stay, above the panel.
    pub fn print(&mut self, lines: &[Line], panel: &[Line]) {
        let mut out = self.erased();
        for line in lines {
            if self.live {
                for line in line.wrapped(self.width, INDENT) {
                    let _ = writeln!(out, "{}", line.ansi(self.width));
                }
            } else {
                let _ = writeln!(out, "{}", line.plain());
            }
        }
        self.finish(out, panel);
    }

    /// Draws the panel anew.
    pub fn refresh(&mut self, panel: &[Line]) {
        if self.live {
            let out = self.erased();
            self.finish(out, panel);
        }
    }

    fn erased(&self) -> String {
        if self.drawn == 0 {
            String::new()
        } else {
            format!("\x1b[{}A\x1b[J", self.drawn)
        }
    }

    fn finish(&mut self, mut out: String, panel: &[Line]) {
        self.drawn = 0;
        if self.live {
            for line in panel {
                let _ = writeln!(out, "{}", line.ansi(self.width));
            }
            self.drawn = panel.len();
        }
        let mut stdout = std::io::stdout().lock();
        // A reader that went away (`| head`) is no reason to stop the story.
        let _ = stdout.write_all(out.as_bytes());
        let _ = stdout.flush();
    }
}

/// Draws lines as a terminal window.
#[must_use]
pub fn svg(title: &str, lines: &[Line]) -> String {
    const CHARACTER: f64 = 8.4;
    const HEIGHT: usize = 20;
    let columns = lines.iter().map(Line::width).max().unwrap_or(0).max(80);
    let width = columns as f64 * CHARACTER + 40.0;
    let height = lines.len() * HEIGHT + 64;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" xml:space=\"preserve\" width=\"{width:.0}\" height=\"{height}\" \
         viewBox=\"0 0 {width:.0} {height}\" role=\"img\" aria-label=\"{title}\">\n\
         <style>text{{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;white-space:pre}}\
         .plain{{fill:#d8dee9}}.dim{{fill:#7b8494}}.strong{{fill:#fff;font-weight:600}}\
         .good{{fill:#8fce8b}}.new{{fill:#e6c15c}}.bad{{fill:#f07a7a}}</style>\n\
         <rect width=\"100%\" height=\"100%\" rx=\"10\" fill=\"#1b212c\"/>\n\
         <circle cx=\"22\" cy=\"20\" r=\"6\" fill=\"#f07a7a\"/>\
         <circle cx=\"42\" cy=\"20\" r=\"6\" fill=\"#e6c15c\"/>\
         <circle cx=\"62\" cy=\"20\" r=\"6\" fill=\"#8fce8b\"/>\
         <text x=\"84\" y=\"25\" class=\"dim\">{title}</text>\n",
        title = escape(title),
    );
    for (row, line) in lines.iter().enumerate() {
        let y = 58 + row * HEIGHT;
        let mut column = 0;
        for span in &line.0 {
            let class = match span.tone {
                Tone::Plain => "plain",
                Tone::Dim => "dim",
                Tone::Strong => "strong",
                Tone::Good => "good",
                Tone::New => "new",
                Tone::Bad => "bad",
            };
            let length = span.text.chars().count();
            // Blanks around a text are places, not text: renderers disagree about them.
            let blanks = length - span.text.trim_start().chars().count();
            let shown = span.text.trim().chars().count();
            let x = 20.0 + (column + blanks) as f64 * CHARACTER;
            if shown > 0 {
                // textLength keeps the columns where they are, whatever font the reader has.
                let _ = writeln!(
                    out,
                    "<text x=\"{x:.1}\" y=\"{y}\" class=\"{class}\" textLength=\"{:.1}\" \
                     lengthAdjust=\"spacingAndGlyphs\">{}</text>",
                    shown as f64 * CHARACTER,
                    escape(span.text.trim())
                );
            }
            column += length;
        }
    }
    out.push_str("</svg>\n");
    out
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pipe_gets_plain_text_and_a_terminal_gets_colours_cut_to_its_width() {
        let line = Line::default()
            .column(Tone::Dim, "Git", 6)
            .with(Tone::Bad, "v3 < 5 %");
        assert_eq!(line.plain(), "Git   v3 < 5 %");
        assert_eq!(line.ansi(8), "\x1b[2mGit   \x1b[0m\x1b[31mv3\x1b[0m");
    }

    #[test]
    fn a_long_line_goes_on_below_itself_between_words() {
        let line = Line::default()
            .with(Tone::Dim, "01:00 ")
            .with(Tone::Bad, "aborted: 79 % < 95 % in two measurements");
        let lines: Vec<String> = line.wrapped(22, 6).iter().map(Line::plain).collect();
        assert_eq!(
            lines,
            [
                "01:00 aborted: 79 % <",
                "      95 % in two",
                "      measurements"
            ]
        );
    }

    #[test]
    fn a_picture_escapes_what_it_shows() {
        let picture = svg("a & b", &[Line::default().with(Tone::Bad, "80 % < 95 %")]);
        assert!(
            picture.contains("80 % &lt; 95 %") && picture.contains("a &amp; b"),
            "{picture}"
        );
    }
}
