//! RFC 6455 frames, the server's side: masked frames come in, unmasked ones go out.
//!
//! Our own parser because a limit is only worth something when it is checked on the announced length,
//! before the bytes are buffered.

use bytes::{Buf, Bytes, BytesMut};
use bytestring::ByteString;

const FIN: u8 = 0x80;
const RESERVED: u8 = 0x70;
const OPCODE: u8 = 0x0f;
const MASKED: u8 = 0x80;
const LENGTH: u8 = 0x7f;
const MAX_CONTROL_PAYLOAD: usize = 125;
const MAX_HEADER: usize = 14;

/// So much memory is made ready ahead of what has come.
const MOST_AHEAD: usize = 64 * 1024;

const CONTINUATION: u8 = 0x0;
const TEXT: u8 = 0x1;
const BINARY: u8 = 0x2;
const CLOSE: u8 = 0x8;
const PING: u8 = 0x9;
const PONG: u8 = 0xa;

/// A whole message, or a control frame.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    Text(ByteString),
    Binary(Bytes),
    Ping(Bytes),
    Pong,
    Close,
}

/// Why the connection must be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum FrameError {
    #[error("protocol error")]
    Protocol,
    #[error("text that is not UTF-8")]
    NotUtf8,
    #[error("message too large")]
    TooLarge,
}

/// Cuts a byte stream into messages. Holds no memory between messages.
#[derive(Debug)]
pub(super) struct FrameReader {
    buffer: BytesMut,
    /// The opcode and the payload so far of a fragmented message.
    fragments: Option<(u8, BytesMut)>,
    max_payload: usize,
}

impl FrameReader {
    pub(super) fn new(buffer: BytesMut, max_payload: usize) -> Self {
        Self {
            buffer,
            fragments: None,
            max_payload,
        }
    }

    /// How many bytes of a message that is not complete are kept.
    pub(super) fn held(&self) -> usize {
        let fragments = self.fragments.as_ref().map_or(0, |(_, bytes)| bytes.capacity());
        self.buffer.capacity() + fragments
    }

    /// Adds what was read from the connection.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The next message, or `None` when more bytes are needed.
    pub(super) fn next(&mut self) -> Result<Option<Incoming>, FrameError> {
        loop {
            let Some((fin, opcode, payload)) = self.frame()? else {
                return Ok(None);
            };
            if let Some(message) = self.assemble(fin, opcode, payload)? {
                return Ok(Some(message));
            }
        }
    }

    fn frame(&mut self) -> Result<Option<(bool, u8, BytesMut)>, FrameError> {
        let Some(header) = Header::parse(&self.buffer)? else {
            self.release();
            return Ok(None);
        };
        let collected = self.fragments.as_ref().map_or(0, |(_, bytes)| bytes.len());
        if header.length.saturating_add(collected) > self.max_payload && !header.is_control() {
            return Err(FrameError::TooLarge);
        }
        let whole = header.size + header.length;
        if self.buffer.len() < whole {
            // The announced length is no reason to have that much memory ready: it may never come.
            self.buffer.reserve((whole - self.buffer.len()).min(MOST_AHEAD));
            return Ok(None);
        }
        self.buffer.advance(header.size);
        let mut payload = self.buffer.split_to(header.length);
        unmask(&mut payload, header.mask);
        Ok(Some((header.fin, header.opcode, payload)))
    }

    /// An emptied buffer would pin its allocation for as long as the connection idles.
    fn release(&mut self) {
        if self.buffer.is_empty() {
            self.buffer = BytesMut::new();
        }
    }

    fn assemble(&mut self, fin: bool, opcode: u8, payload: BytesMut) -> Result<Option<Incoming>, FrameError> {
        match opcode {
            CLOSE => Ok(Some(Incoming::Close)),
            PING => Ok(Some(Incoming::Ping(payload.freeze()))),
            PONG => Ok(Some(Incoming::Pong)),
            CONTINUATION => {
                let Some((kind, mut bytes)) = self.fragments.take() else {
                    return Err(FrameError::Protocol);
                };
                bytes.extend_from_slice(&payload);
                if fin {
                    return finish(kind, bytes).map(Some);
                }
                self.fragments = Some((kind, bytes));
                Ok(None)
            }
            _ if self.fragments.is_some() => Err(FrameError::Protocol),
            _ if fin => finish(opcode, payload).map(Some),
            _ => {
                self.fragments = Some((opcode, payload));
                Ok(None)
            }
        }
    }
}

fn finish(opcode: u8, payload: BytesMut) -> Result<Incoming, FrameError> {
    let payload = payload.freeze();
    if opcode == BINARY {
        return Ok(Incoming::Binary(payload));
    }
    ByteString::try_from(payload)
        .map(Incoming::Text)
        .map_err(|_| FrameError::NotUtf8)
}

struct Header {
    fin: bool,
    opcode: u8,
    length: usize,
    mask: [u8; 4],
    /// Bytes of the header itself.
    size: usize,
}

impl Header {
    fn is_control(&self) -> bool {
        self.opcode & CLOSE != 0
    }

    fn parse(bytes: &[u8]) -> Result<Option<Self>, FrameError> {
        let &[first, second, ref rest @ ..] = bytes else {
            return Ok(None);
        };
        let opcode = first & OPCODE;
        let known = matches!(opcode, CONTINUATION | TEXT | BINARY | CLOSE | PING | PONG);
        if first & RESERVED != 0 || second & MASKED == 0 || !known {
            return Err(FrameError::Protocol);
        }
        let extended = match second & LENGTH {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let Some((length, rest)) = rest.split_at_checked(extended) else {
            return Ok(None);
        };
        let length = match extended {
            0 => u64::from(second & LENGTH),
            _ => length
                .iter()
                .fold(0, |number, &byte| (number << 8) | u64::from(byte)),
        };
        let Some(&mask) = rest.first_chunk::<4>() else {
            return Ok(None);
        };
        let header = Self {
            fin: first & FIN != 0,
            opcode,
            length: usize::try_from(length).map_err(|_| FrameError::TooLarge)?,
            mask,
            size: 2 + extended + 4,
        };
        if header.is_control() && (!header.fin || header.length > MAX_CONTROL_PAYLOAD) {
            return Err(FrameError::Protocol);
        }
        Ok(Some(header))
    }
}

/// Takes the mask off, eight bytes at a time.
fn unmask(payload: &mut [u8], mask: [u8; 4]) {
    let [a, b, c, d] = mask;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(mask.iter().cycle()) {
        *byte ^= key;
    }
}

/// Appends a text frame whose payload is the parts in a row.
pub(crate) fn write_text(parts: &[&[u8]], out: &mut Vec<u8>) {
    write_frame(TEXT, parts, out);
}

/// Appends a binary frame.
pub(crate) fn write_binary(payload: &[u8], out: &mut Vec<u8>) {
    write_frame(BINARY, &[payload], out);
}

/// Appends the answer to a ping. The payload is one that [`FrameReader`] let in.
pub(super) fn write_pong(payload: &[u8], out: &mut Vec<u8>) {
    write_frame(PONG, &[payload], out);
}

/// Appends a close frame with a status code.
pub(super) fn write_close(code: u16, out: &mut Vec<u8>) {
    write_frame(CLOSE, &[&code.to_be_bytes()], out);
}

fn write_frame(opcode: u8, parts: &[&[u8]], out: &mut Vec<u8>) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.reserve(MAX_HEADER + length);
    out.push(FIN | opcode);
    match length {
        0..=125 => out.push(length as u8),
        126..=0xffff => {
            out.push(126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        _ => {
            out.push(127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    for part in parts {
        out.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 1000;

    /// A masked frame, as a client sends it.
    fn client_frame(first: u8, payload: &[u8]) -> Vec<u8> {
        let mask = [7, 11, 13, 17];
        let mut out = Vec::new();
        write_frame(first & OPCODE, &[payload], &mut out);
        out[0] = first;
        out[1] |= MASKED;
        let header = out.len() - payload.len();
        out.splice(header..header, mask);
        let body = header + 4;
        unmask(&mut out[body..], mask);
        out
    }

    fn read_all(bytes: &[u8]) -> Result<Vec<Incoming>, FrameError> {
        let mut reader = FrameReader::new(BytesMut::new(), MAX);
        let mut messages = Vec::new();
        // One byte at a time: every split must do.
        for byte in bytes {
            reader.extend(&[*byte]);
            while let Some(message) = reader.next()? {
                messages.push(message);
            }
        }
        assert_eq!(reader.buffer.capacity(), 0, "an idle reader holds no memory");
        Ok(messages)
    }

    #[test]
    fn messages_of_all_lengths_are_read() {
        for length in [0, 1, 7, 8, 9, 125, 126, 127, MAX] {
            let text = "x".repeat(length);
            let frame = client_frame(FIN | TEXT, text.as_bytes());
            assert_eq!(
                read_all(&frame).unwrap(),
                [Incoming::Text(text.into())],
                "{length}"
            );
        }
        let frame = client_frame(FIN | BINARY, &[1, 2, 3]);
        assert_eq!(
            read_all(&frame).unwrap(),
            [Incoming::Binary(vec![1, 2, 3].into())]
        );
    }

    #[test]
    fn fragments_are_joined_and_control_frames_may_come_between() {
        let mut bytes = client_frame(TEXT, "h€".as_bytes().split_at(2).0);
        bytes.extend(client_frame(FIN | PING, b"now"));
        bytes.extend(client_frame(CONTINUATION, "h€".as_bytes().split_at(2).1));
        bytes.extend(client_frame(FIN | CONTINUATION, b"llo"));
        let messages = read_all(&bytes).unwrap();
        assert_eq!(
            messages,
            [
                Incoming::Ping(Bytes::from_static(b"now")),
                Incoming::Text("h€llo".into())
            ]
        );
    }

    #[test]
    fn the_announced_length_is_refused_before_the_bytes_come() {
        let mut reader = FrameReader::new(BytesMut::new(), MAX);
        reader.extend(&client_frame(FIN | TEXT, &[b'x'; MAX + 1])[..8]);
        assert_eq!(reader.next(), Err(FrameError::TooLarge));

        let mut reader = FrameReader::new(BytesMut::new(), MAX);
        reader.extend(&[
            FIN | TEXT,
            MASKED | 127,
            255,
            255,
            255,
            255,
            255,
            255,
            255,
            255,
            0,
            0,
            0,
            0,
        ]);
        assert_eq!(reader.next(), Err(FrameError::TooLarge));

        let mut bytes = client_frame(TEXT, &[b'x'; MAX]);
        bytes.extend(client_frame(FIN | CONTINUATION, b"x"));
        assert_eq!(read_all(&bytes), Err(FrameError::TooLarge));
    }

    #[test]
    fn violations_are_errors() {
        let mut unmasked = Vec::new();
        write_text(&[b"hello"], &mut unmasked);
        let violations = [
            unmasked,
            client_frame(FIN | 0x40 | TEXT, b"compressed"),
            client_frame(FIN | 0x3, b"unknown opcode"),
            client_frame(FIN | CONTINUATION, b"of nothing"),
            client_frame(PING, b"fragmented control"),
            client_frame(FIN | PING, &[0; 126]),
            [client_frame(TEXT, b"a"), client_frame(FIN | TEXT, b"b")].concat(),
        ];
        for bytes in violations {
            assert_eq!(read_all(&bytes), Err(FrameError::Protocol), "{bytes:?}");
        }
        assert_eq!(
            read_all(&client_frame(FIN | TEXT, &[0xff])),
            Err(FrameError::NotUtf8)
        );
    }
}
