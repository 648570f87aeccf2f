//! Packets of Socket.IO: what is accepted keeps to the bounds and to JSON, whatever the reference parsers once let in,
//! and a packet that is written reads as itself.

#![no_main]

use bytestring::ByteString;
use hubbub_gateway::{
    engine_io::MAX_ATTACHMENTS,
    socket_io::{
        fuzzing,
        packet::{Body, PacketError, decode},
    },
};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

/// Whether there is a placeholder in it for an attachment that is not there.
fn is_wrong(value: &Value, attachments: usize) -> bool {
    match value {
        Value::Array(elements) => elements.iter().any(|element| is_wrong(element, attachments)),
        Value::Object(fields) => {
            let is_placeholder = fields.get("_placeholder") == Some(&Value::Bool(true));
            let exists = fields
                .get("num")
                .and_then(Value::as_u64)
                .is_some_and(|number| number < attachments as u64);
            is_placeholder && !exists || fields.values().any(|field| is_wrong(field, attachments))
        }
        _ => false,
    }
}

/// A packet that was refused for a placeholder has a wrong one.
fn assert_wrong(text: &str) {
    let (count, mut rest) = text[1..].split_once('-').expect("it announces attachments");
    if rest.starts_with('/') {
        rest = rest.split_once(',').expect("its data follows the namespace").1;
    }
    let json = rest.trim_start_matches(|character: char| character.is_ascii_digit());
    let value = serde_json::from_str(json).expect("its data is JSON");
    assert!(is_wrong(&value, count.parse().expect("a number")), "{text}");
}

fuzz_target!(|text: &str| {
    let packet = match decode(&ByteString::from(text)) {
        Ok(packet) => packet,
        Err(PacketError::Placeholder) => return assert_wrong(text),
        Err(_) => return,
    };
    assert!(packet.namespace.starts_with('/') && packet.namespace.len() <= 256);
    assert!(packet.attachments <= MAX_ATTACHMENTS);
    if let Body::Event { name, args, .. } = &packet.body {
        assert!(name.len() <= text.len() && args.len() < 256);
        assert!(args.iter().map(|argument| argument.len()).sum::<usize>() <= text.len());
        for argument in args {
            serde_json::from_str::<serde::de::IgnoredAny>(argument).expect("an argument is JSON");
            if packet.attachments > 0 {
                let value = serde_json::from_str(argument).expect("an argument is JSON that is not too deep");
                assert!(!is_wrong(&value, packet.attachments), "{argument}");
            }
        }
    }
    if let Body::Connect(Some(auth)) = &packet.body {
        assert!(auth.starts_with('{') && auth.ends_with('}'));
    }
    if let Some(written) = fuzzing::encode(&packet) {
        assert_eq!(decode(&written).as_ref(), Ok(&packet), "{written}");
    }
});
