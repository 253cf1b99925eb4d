//! Colours: only for a terminal, never for a pipe.

use std::io::IsTerminal;

/// What a piece of text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// Stable, healthy.
    Good,
    /// New, in progress.
    New,
    /// Failing.
    Bad,
}

/// Whether and how to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Paint {
    colours: bool,
}

impl Paint {
    /// For standard output: colours when it is a terminal and `NO_COLOR` is not set.
    pub(crate) fn stdout(refused: bool) -> Self {
        let wanted = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        Self { colours: wanted && !refused }
    }

    /// Without colours.
    #[cfg(test)]
    pub(crate) fn none() -> Self {
        Self { colours: false }
    }

    /// A text in the colour of its meaning.
    pub(crate) fn tone(self, tone: Tone, text: &str) -> String {
        if !self.colours {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Good => 32,
            Tone::New => 33,
            Tone::Bad => 31,
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    /// A text in the colour of a phase.
    pub(crate) fn phase(self, phase: &str, text: &str) -> String {
        match phase {
            "Healthy" | "Running" | "Successful" | "Synced" => self.tone(Tone::Good, text),
            "Degraded" | "Failed" | "Error" | "CrashLoopBackOff" => self.tone(Tone::Bad, text),
            "" | "ScaledDown" => text.to_owned(),
            _ => self.tone(Tone::New, text),
        }
    }
}
