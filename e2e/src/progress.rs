//! What a person sees while something takes long: one line for each step, with its time.
//!
//! A [`Reporter`] is cheap to clone and is handed to everything that takes longer than a blink. It starts [`Step`]s;
//! a step ends by [`Step::done`], or, when dropped before (an error on the way), as failed. Lines go to standard
//! error, so that results on standard output stay clean. On a terminal the running steps are shown as a live line.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

/// Hands out steps and shows them. Clones share one display.
#[derive(Clone)]
pub struct Reporter(Option<Arc<Display>>);

/// One running step of a longer procedure.
pub struct Step {
    id: u64,
    name: String,
    since: Instant,
    note: Option<String>,
    display: Option<Arc<Display>>,
}

struct Display {
    live: bool,
    next: AtomicU64,
    running: Mutex<BTreeMap<u64, Running>>,
}

struct Running {
    name: String,
    detail: String,
    since: Instant,
}

impl Reporter {
    /// Shows steps on standard error; as a live line when that is a terminal.
    pub fn terminal() -> Self {
        let display = Arc::new(Display {
            live: std::io::stderr().is_terminal(),
            next: AtomicU64::new(0),
            running: Mutex::new(BTreeMap::new()),
        });
        let weak = Arc::downgrade(&display);
        // The ticker ends by itself when the last reporter and step are gone.
        std::thread::spawn(move || tick(&weak));
        Self(Some(display))
    }

    /// Shows nothing; for tests.
    pub fn silent() -> Self {
        Self(None)
    }

    /// Starts a step, such as `kubelet`.
    pub fn step(&self, name: impl Into<String>) -> Step {
        let (name, since) = (name.into(), Instant::now());
        let mut id = 0;
        if let Some(display) = &self.0 {
            id = display.next.fetch_add(1, Ordering::Relaxed);
            let running = Running {
                name: name.clone(),
                detail: String::new(),
                since,
            };
            display.lock().insert(id, running);
        }
        Step {
            id,
            name,
            since,
            note: None,
            display: self.0.clone(),
        }
    }

    /// Prints one line between the steps.
    pub fn say(&self, line: &str) {
        if let Some(display) = &self.0 {
            let _running = display.lock();
            display.line(line);
        }
    }
}

impl Step {
    /// Says what the step is doing right now, such as `412 packages compiled`.
    pub fn detail(&self, detail: impl Into<String>) {
        if let Some(display) = &self.display
            && let Some(running) = display.lock().get_mut(&self.id)
        {
            running.detail = detail.into();
        }
    }

    /// Ends the step well; `note` is shown beside its time (empty: nothing to add).
    pub fn done(mut self, note: impl Into<String>) -> Duration {
        self.note = Some(note.into());
        self.since.elapsed()
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        let Some(display) = &self.display else { return };
        let mut running = display.lock();
        running.remove(&self.id);
        let time = seconds(self.since.elapsed());
        match &self.note {
            Some(note) if note.is_empty() => {
                display.line(&format!("  ✓ {:<28} {time:>8}", self.name));
            }
            Some(note) => display.line(&format!("  ✓ {:<28} {time:>8}  {note}", self.name)),
            None => display.line(&format!("  ✗ {:<28} {time:>8}", self.name)),
        }
    }
}

impl Display {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Writes a whole line, over the live line if there is one. A closed standard error is no reason to fail.
    fn line(&self, text: &str) {
        let mut out = std::io::stderr().lock();
        let clear = if self.live { "\r\x1b[2K" } else { "" };
        let _ = writeln!(out, "{clear}{text}");
    }
}

/// Redraws the live line four times a second, or, without a terminal, says every half minute what is still running.
fn tick(display: &Weak<Display>) {
    const FRAMES: [&str; 4] = ["◐", "◓", "◑", "◒"];
    let mut last_word = Instant::now();
    for frame in FRAMES.iter().cycle() {
        std::thread::sleep(Duration::from_millis(250));
        let Some(display) = display.upgrade() else {
            return;
        };
        let running = display.lock();
        let words: Vec<String> = running.values().map(Running::words).collect();
        if words.is_empty() {
            last_word = Instant::now();
        } else if display.live {
            let text: String = words.join(" · ").chars().take(110).collect();
            let mut out = std::io::stderr().lock();
            let _ = write!(out, "\r\x1b[2K  {frame} {text}");
            let _ = out.flush();
        } else if last_word.elapsed() > Duration::from_secs(30) {
            last_word = Instant::now();
            display.line(&format!("  … {}", words.join(" · ")));
        }
    }
}

impl Running {
    fn words(&self) -> String {
        let time = seconds(self.since.elapsed());
        if self.detail.is_empty() {
            format!("{} {time}", self.name)
        } else {
            format!("{} {time} ({})", self.name, self.detail)
        }
    }
}

/// A duration as a person reads it: `0.4 s`, `12.3 s`, `2 min 05 s`.
pub fn seconds(time: Duration) -> String {
    let whole = time.as_secs();
    if whole < 100 {
        format!("{:.1} s", time.as_secs_f64())
    } else {
        format!("{} min {:02} s", whole / 60, whole % 60)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_as_a_person_writes_them() {
        assert_eq!(seconds(Duration::from_millis(420)), "0.4 s");
        assert_eq!(seconds(Duration::from_millis(12_340)), "12.3 s");
        assert_eq!(seconds(Duration::from_secs(125)), "2 min 05 s");
    }
}
