//! Frames of WebSockets: what a stream is cut into does not depend on how it arrives.

#![no_main]

use hubbub_gateway::engine_io::fuzzing;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (piece, bytes) = input;
    let whole = fuzzing::read(bytes, bytes.len());
    assert_eq!(fuzzing::read(bytes, usize::from(piece)), whole);
    assert_eq!(fuzzing::read(bytes, 1), whole);
});
