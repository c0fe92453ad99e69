//! Gives the oracle what libFuzzer comes upon.

#![no_main]

use libfuzzer_sys::fuzz_target;
use steroids_tests::oracle;

fuzz_target!(|bytes: &[u8]| oracle::provider(bytes));
