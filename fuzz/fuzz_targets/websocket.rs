//! Frames of WebSockets: what a stream is cut into does not depend on how it arrives, and messages survive any
//! fragmentation.
//!
//! An input is a number of lengths, the lengths, and the stream, which is read in pieces of them.

#![no_main]

use hubbub_gateway::engine_io::fuzzing::check_frames;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((count, rest)) = input.split_first() else {
        return;
    };
    let (lengths, stream) = rest.split_at(usize::from(count % 16).min(rest.len()));
    check_frames(stream, lengths);
});
