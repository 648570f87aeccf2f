//! Polling bodies and packets of Engine.IO: what is read is a slice of what came, never more.

#![no_main]

use bytestring::ByteString;
use hubbub_gateway::engine_io::{
    packet::{Message, Packet},
    payload,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let body = ByteString::from(text);
    let mut bytes = 0;
    for packet in payload::decode(&body) {
        let Ok(packet) = packet else { break };
        bytes += match packet {
            Packet::Message(Message::Text(text)) | Packet::Ping(text) => text.len(),
            Packet::Message(Message::Binary(bytes)) => bytes.len(),
            _ => 0,
        };
    }
    assert!(bytes <= text.len());
});
