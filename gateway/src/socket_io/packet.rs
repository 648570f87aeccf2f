//! Socket.IO v5 packets, as clients send them: `<type>[<attachments>-][<namespace>,][<ack id>][<JSON>]`.
//!
//! Strict where the reference is: an error means that the whole connection is to be closed. The JSON is
//! checked, but stays text.

use std::fmt;

use bytestring::ByteString;
use serde::de::{Deserializer, Error as _, SeqAccess, Visitor};
use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::placeholders;
use crate::engine_io::MAX_ATTACHMENTS;

/// Namespaces are short names; a long one is an attempt at something else.
const MAX_NAMESPACE: usize = 256;

/// Most elements of an event or an ack: each takes far more memory than its two bytes on the wire.
const MAX_ELEMENTS: usize = 256;

/// JavaScript's largest exact integer; ids beyond it could not be answered exactly.
const MAX_ACK_ID: u64 = (1 << 53) - 1;

/// Events that clients raise themselves. Nobody may send them.
const RESERVED: [&str; 6] = [
    "connect",
    "connect_error",
    "disconnect",
    "disconnecting",
    "newListener",
    "removeListener",
];

/// Arguments of an event, each as JSON text. Nearly all events have one.
pub type Arguments = SmallVec<[ByteString; 1]>;

/// A packet and the namespace it speaks to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    /// `/` or `/something`, literally as sent.
    pub namespace: ByteString,
    /// What it says.
    pub body: Body,
    /// How many binary messages follow that belong to it.
    pub attachments: usize,
}

/// What a packet says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// `0`: let me into the namespace. The data is a JSON object.
    Connect(Option<ByteString>),
    /// `1`: I leave the namespace.
    Disconnect,
    /// `2` or `5`.
    Event {
        /// The first element of the array; a number is given as its JSON text.
        name: ByteString,
        /// The other elements.
        args: Arguments,
        /// Set when the client wants an answer.
        ack: Option<u64>,
    },
    /// `3` or `6`: the answer to an event of ours.
    Ack(Option<u64>),
}

/// Why a packet could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PacketError {
    /// The first character is no type a client may send.
    #[error("unknown packet type")]
    UnknownType,
    /// The number of attachments is missing, zero, or over the limit.
    #[error("bad number of attachments")]
    Attachments,
    /// The name of the namespace is too long.
    #[error("bad namespace")]
    Namespace,
    /// The ack id does not fit.
    #[error("bad ack id")]
    AckId,
    /// The data is not JSON, or not of the form its type asks for.
    #[error("bad payload")]
    Payload,
    /// The event has a name that is reserved.
    #[error("reserved event name")]
    ReservedName,
    /// A placeholder points at an attachment that does not exist.
    #[error("bad placeholder")]
    Placeholder,
}

/// Reads the text of one Engine.IO message.
///
/// # Errors
/// Whatever the reference closes the connection for.
pub fn decode(text: &ByteString) -> Result<Packet, PacketError> {
    let kind = *text.as_bytes().first().ok_or(PacketError::UnknownType)?;
    if !matches!(kind, b'0'..=b'3' | b'5' | b'6') {
        return Err(PacketError::UnknownType);
    }
    let rest = &text[1..];
    let is_binary = matches!(kind, b'5' | b'6');
    let (attachments, rest) = if is_binary {
        split_attachments(rest)?
    } else {
        (0, rest)
    };
    let (namespace, rest) = split_namespace(rest)?;
    let (id, data) = split_id(rest)?;
    let body = match kind {
        b'0' => Body::Connect(connect_data(text, id, data)?),
        b'1' if id.is_none() && data.is_empty() => Body::Disconnect,
        b'1' => return Err(PacketError::Payload),
        b'2' | b'5' => event(text, id, data)?,
        _ => {
            elements(data)?;
            Body::Ack(id)
        }
    };
    if is_binary {
        placeholders::check(data, attachments)?;
    }
    let namespace = if namespace == "/" {
        ByteString::from_static("/")
    } else {
        text.slice_ref(namespace)
    };
    Ok(Packet {
        namespace,
        body,
        attachments,
    })
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

fn split_attachments(text: &str) -> Result<(usize, &str), PacketError> {
    let (digits, rest) = split_digits(text);
    let rest = rest.strip_prefix('-').ok_or(PacketError::Attachments)?;
    let count = digits.parse().map_err(|_| PacketError::Attachments)?;
    if count == 0 || count > MAX_ATTACHMENTS {
        return Err(PacketError::Attachments);
    }
    Ok((count, rest))
}

fn split_namespace(text: &str) -> Result<(&str, &str), PacketError> {
    if !text.starts_with('/') {
        return Ok(("/", text));
    }
    // Clients may leave the comma out when nothing follows.
    let (namespace, rest) = text.split_once(',').unwrap_or((text, ""));
    if namespace.len() > MAX_NAMESPACE {
        return Err(PacketError::Namespace);
    }
    Ok((namespace, rest))
}

fn split_id(text: &str) -> Result<(Option<u64>, &str), PacketError> {
    let (digits, rest) = split_digits(text);
    if digits.is_empty() {
        return Ok((None, rest));
    }
    let id = digits
        .parse()
        .ok()
        .filter(|id| *id <= MAX_ACK_ID)
        .ok_or(PacketError::AckId)?;
    Ok((Some(id), rest))
}

fn connect_data(text: &ByteString, id: Option<u64>, data: &str) -> Result<Option<ByteString>, PacketError> {
    if id.is_some() {
        return Err(PacketError::Payload);
    }
    if data.is_empty() {
        return Ok(None);
    }
    let value: &RawValue = serde_json::from_str(data).map_err(|_| PacketError::Payload)?;
    if !value.get().starts_with('{') {
        return Err(PacketError::Payload);
    }
    Ok(Some(text.slice_ref(value.get())))
}

/// The elements of a JSON array, as text. However deep they are nested, that takes neither stack nor much time.
fn elements(data: &str) -> Result<Elements<'_>, PacketError> {
    let mut json = serde_json::Deserializer::from_str(data);
    let elements = json
        .deserialize_seq(ElementsVisitor)
        .map_err(|_| PacketError::Payload)?;
    json.end().map_err(|_| PacketError::Payload)?;
    Ok(elements)
}

type Elements<'a> = SmallVec<[&'a RawValue; 2]>;

struct ElementsVisitor;

impl<'de> Visitor<'de> for ElementsVisitor {
    type Value = Elements<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of few elements")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let mut elements = SmallVec::new();
        while let Some(element) = array.next_element()? {
            if elements.len() == MAX_ELEMENTS {
                return Err(A::Error::custom("too many elements"));
            }
            elements.push(element);
        }
        Ok(elements)
    }
}

fn event(text: &ByteString, ack: Option<u64>, data: &str) -> Result<Body, PacketError> {
    let elements = elements(data)?;
    let (name, args) = elements.split_first().ok_or(PacketError::Payload)?;
    let name = event_name(text, name.get())?;
    if RESERVED.contains(&name.as_ref()) {
        return Err(PacketError::ReservedName);
    }
    let args = args.iter().map(|arg| text.slice_ref(arg.get())).collect();
    Ok(Body::Event { name, args, ack })
}

fn event_name(text: &ByteString, raw: &str) -> Result<ByteString, PacketError> {
    match raw.as_bytes().first() {
        Some(b'"') if !raw.contains('\\') => Ok(text.slice_ref(&raw[1..raw.len() - 1])),
        Some(b'"') => serde_json::from_str::<String>(raw)
            .map(Into::into)
            .map_err(|_| PacketError::Payload),
        Some(b'-' | b'0'..=b'9') => Ok(text.slice_ref(raw)),
        _ => Err(PacketError::Payload),
    }
}

#[cfg(test)]
#[path = "packet_tests.rs"]
mod tests;
