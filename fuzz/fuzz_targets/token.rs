//! Access tokens, before anything about them is believed.

#![no_main]

use hubbub_core::access_tokens;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    if access_tokens::is_well_formed(text) {
        assert_eq!(text.matches('.').count(), 2);
    }
});
