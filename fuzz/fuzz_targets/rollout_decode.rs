//! Feeds `rollout_decode` with what libFuzzer makes up.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| sluice_fuzz::rollout_decode::run(bytes));
