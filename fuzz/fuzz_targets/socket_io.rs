//! Packets of Socket.IO: what is accepted keeps to the bounds and to JSON, whatever the reference parsers once let in.

#![no_main]

use bytestring::ByteString;
use hubbub_gateway::socket_io::packet::{Body, decode};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(packet) = decode(&ByteString::from(text)) else {
        return;
    };
    assert!(packet.namespace.starts_with('/'));
    assert!(packet.attachments <= text.len());
    if let Body::Event { name, args, .. } = &packet.body {
        assert!(name.len() <= text.len());
        for argument in args {
            serde_json::from_str::<serde_json::de::IgnoredAny>(argument).expect("an argument is JSON");
        }
    }
});
