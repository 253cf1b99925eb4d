//! What a process uses, from `/proc`: processor time, resident memory, and the most that it ever was.

use anyhow::{Context, Result};

/// Clock ticks a second in `/proc/PID/stat`; the kernel's interface fixes it at 100 on every platform of ours.
const TICKS: f64 = 100.0;

/// One look at a process.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Usage {
    /// Processor time since its start, user and system, in seconds.
    pub cpu_seconds: f64,
    /// Resident memory in bytes.
    pub resident: u64,
    /// The largest resident memory since the start or the last [`forget_peak`], in bytes.
    pub peak: u64,
}

/// Looks at a process.
///
/// # Errors
/// When it is gone.
pub fn of(pid: u32) -> Result<Usage> {
    let read = |file: &str| {
        let path = format!("/proc/{pid}/{file}");
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}: has it ended?"))
    };
    let (stat, status) = (read("stat")?, read("status")?);
    parse(&stat, &status).with_context(|| format!("process {pid} is ending"))
}

/// Lets the peak of a process begin anew. Where the kernel does not allow it, the peak is that of its whole life.
pub fn forget_peak(pid: u32) {
    let _ = std::fs::write(format!("/proc/{pid}/clear_refs"), "5");
}

/// Reads `/proc/PID/stat` and `/proc/PID/status`; nothing when a field is missing, as it is for a zombie.
fn parse(stat: &str, status: &str) -> Option<Usage> {
    // The program's name, in parentheses, may hold anything; fields are counted after it, the first being number 3.
    let rest = stat.rsplit_once(") ")?.1;
    let ticks = |number: usize| -> Option<f64> { rest.split(' ').nth(number - 3)?.parse().ok() };
    let kibibytes = |field: &str| -> Option<u64> {
        let line = status.lines().find_map(|line| line.strip_prefix(field))?;
        let number = line.trim_start_matches(':').trim().strip_suffix(" kB")?;
        number.trim().parse().ok()
    };
    Some(Usage {
        cpu_seconds: (ticks(14)? + ticks(15)?) / TICKS,
        resident: kibibytes("VmRSS")? * 1024,
        peak: kibibytes("VmHWM")? * 1024,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_and_memory_are_read_behind_any_program_name() {
        let stat =
            "77 (odd ) name) S 1 77 77 0 -1 4194560 901 0 0 0 250 50 0 0 20 0 3 0 1234 9000 700";
        let status = "Name:\todd\nVmHWM:\t   20480 kB\nVmRSS:\t   10240 kB\nThreads:\t3\n";
        let expected = Usage {
            cpu_seconds: 3.0,
            resident: 10_485_760,
            peak: 20_971_520,
        };
        assert_eq!(parse(stat, status), Some(expected));
    }

    #[test]
    fn a_zombie_has_no_memory_to_be_read() {
        assert_eq!(
            parse("77 (x) Z 1 77 77 0 -1 4 9 0 0 0 2 5 0", "Name:\tx\n"),
            None
        );
    }

    #[test]
    fn this_very_process_can_be_looked_at() {
        let usage = of(std::process::id()).unwrap();
        assert!(usage.resident > 0 && usage.peak >= usage.resident);
    }
}
