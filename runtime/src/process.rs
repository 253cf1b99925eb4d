//! What the process uses, under the names that every Prometheus client gives: memory, processor time, open files.
//!
//! Read from `/proc`; on systems without it nothing is shown.

use crate::exposition::Page;

/// Clock ticks a second in `/proc/self/stat`; the kernel's interface fixes it at 100 on every platform of ours.
const TICKS: f64 = 100.0;
const PAGE_BYTES: f64 = 4096.0;

/// Writes `process_*`.
pub fn render(page: &mut Page) {
    let Ok(stat) = std::fs::read_to_string("/proc/self/stat") else {
        return;
    };
    // The name of the program, in parentheses, may hold spaces; fields are counted after it.
    let Some((_, rest)) = stat.rsplit_once(") ") else {
        return;
    };
    let field = |number: usize| -> f64 {
        // Fields are numbered from 1 in proc(5); the first after the name is 3.
        rest.split(' ')
            .nth(number - 3)
            .and_then(|text| text.parse().ok())
            .unwrap_or(0.0)
    };
    page.family(
        "process_cpu_seconds_total",
        "counter",
        "Processor time used.",
    );
    page.sample(
        "process_cpu_seconds_total",
        &[],
        (field(14) + field(15)) / TICKS,
    );
    page.family("process_resident_memory_bytes", "gauge", "Resident memory.");
    page.sample("process_resident_memory_bytes", &[], field(24) * PAGE_BYTES);
    page.family("process_virtual_memory_bytes", "gauge", "Virtual memory.");
    page.sample("process_virtual_memory_bytes", &[], field(23));
    if let Ok(files) = std::fs::read_dir("/proc/self/fd") {
        page.family("process_open_fds", "gauge", "Open files.");
        page.sample("process_open_fds", &[], files.count() as f64);
    }
}
