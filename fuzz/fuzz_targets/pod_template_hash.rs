//! Feeds `pod_template_hash` with what libFuzzer makes up.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sluice_fuzz::pod_template_hash::run(bytes));
