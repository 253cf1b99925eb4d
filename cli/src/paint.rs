//! Colours: only for a terminal, never for a pipe.

use std::io::IsTerminal;

/// What a piece of text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Stable, healthy.
    Good,
    /// New, or waiting.
    New,
    /// Under way.
    Busy,
    /// Failing.
    Bad,
}

impl Tone {
    /// The meaning of a phase, a pod's word, or a sync status.
    pub(crate) fn of(word: &str) -> Option<Self> {
        match word {
            "Healthy" | "Running" | "Successful" | "Synced" | "Completed" | "Succeeded" => {
                Some(Self::Good)
            }
            "Paused" | "Suspended" | "Inconclusive" | "OutOfSync" | "Unknown" => Some(Self::New),
            "Progressing" | "Pending" | "ContainerCreating" | "Terminating" => Some(Self::Busy),
            "" | "ScaledDown" => None,
            word if word.starts_with("Init:") => Some(Self::Busy),
            _ => Some(Self::Bad),
        }
    }
}

/// Whether to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint {
    colours: bool,
}

impl Paint {
    /// For standard output: colours when it is a terminal that has some, `NO_COLOR` is not set (<https://no-color.org>),
    /// and nobody said `--no-color`.
    pub(crate) fn stdout(refused: bool) -> Self {
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let dumb = std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
        let wanted = std::io::stdout().is_terminal() && !is_set("NO_COLOR") && !dumb;
        Self {
            colours: wanted && !refused,
        }
    }

    /// With colours or without.
    #[cfg(test)]
    pub(crate) fn new(colours: bool) -> Self {
        Self { colours }
    }

    /// A text in the colour of its meaning.
    pub(crate) fn tone(self, tone: Option<Tone>, text: &str) -> String {
        let Some(tone) = tone.filter(|_| self.colours) else {
            return text.to_owned();
        };
        let code = match tone {
            Tone::Good => 32,
            Tone::New => 33,
            Tone::Busy => 94,
            Tone::Bad => 31,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}
