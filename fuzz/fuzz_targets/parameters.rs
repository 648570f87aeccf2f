//! Bodies of requests: forms and JSON.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| hubbub_api::fuzz_parameters(bytes));
