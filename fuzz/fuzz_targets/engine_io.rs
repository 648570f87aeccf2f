//! Polling bodies and packets of Engine.IO: what is read is a slice of what came, never more, and a body written of
//! messages reads as them.

#![no_main]

use bytestring::ByteString;
use hubbub_gateway::engine_io::{
    fuzzing,
    packet::{Message, Packet},
    payload,
};
use libfuzzer_sys::fuzz_target;

fn length(packet: &Packet) -> usize {
    match packet {
        Packet::Message(Message::Text(text)) | Packet::Ping(text) => text.len(),
        Packet::Message(Message::Binary(bytes)) => bytes.len(),
        _ => 0,
    }
}

fuzz_target!(|text: &str| {
    let body = ByteString::from(text);
    // A WebSocket's text frame is one packet, separators and all.
    if let Ok(packet) = Packet::decode(&body) {
        assert!(length(&packet) < text.len());
    }
    let packets: Vec<Packet> = payload::decode(&body).map_while(Result::ok).collect();
    assert!(packets.iter().map(length).sum::<usize>() <= text.len());
    let messages: Vec<Message> = packets
        .into_iter()
        .filter_map(|packet| match packet {
            Packet::Message(message) => Some(message),
            _ => None,
        })
        .collect();
    if messages.is_empty() {
        return;
    }
    let again = ByteString::from(fuzzing::body(&messages));
    let again: Vec<_> = payload::decode(&again).collect();
    let messages: Vec<_> = messages
        .into_iter()
        .map(|message| Ok(Packet::Message(message)))
        .collect();
    assert_eq!(again, messages);
});
