//! For the fuzz targets, which know nothing of what is private.

use bytes::BytesMut;

use super::frame::{FrameError, FrameReader, Incoming, write_binary, write_pong, write_text};

/// More than this is refused here.
pub const MAX_PAYLOAD: usize = 4096;

const FIN: u8 = 0x80;
const CONTINUATION: u8 = 0;
const PING: u8 = 9;

/// What a stream of bytes is read as: its messages, and the error that ends it, if one does.
type Read = (Vec<Incoming>, Option<FrameError>);

/// Reads a stream of bytes as it arrives in one piece, byte by byte, and in pieces of these lengths, over and over: the
/// messages must be the same. Then writes them as a client would, in fragments of these lengths with pings between
/// them, and in one piece each, and reads them again.
///
/// # Panics
/// When they are not the same, or more is held than the limit and a piece allow.
pub fn check(bytes: &[u8], lengths: &[u8]) {
    let whole = read([bytes]);
    assert_eq!(read(bytes.chunks(1)), whole);
    assert_eq!(read(pieces(bytes, lengths)), whole);

    let (messages, _) = whole;
    let messages: Vec<_> = messages
        .into_iter()
        .filter(|message| matches!(message, Incoming::Text(_) | Incoming::Binary(_)))
        .collect();
    // Only a message in one piece has a length of more than a byte.
    for lengths in [lengths, &[]] {
        let mut stream = Vec::new();
        for message in &messages {
            fragments(message, lengths, &mut stream);
        }
        let (mut again, error) = read(pieces(&stream, lengths));
        again.retain(|message| !matches!(message, Incoming::Ping(_)));
        assert_eq!((&again, error), (&messages, None));
    }
}

/// A stream in pieces of these lengths, over and over, or in one when there are none; an empty one is still a piece.
fn pieces<'a>(mut bytes: &'a [u8], lengths: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let last = if lengths.is_empty() {
        usize::MAX
    } else {
        u8::MAX.into()
    };
    let mut lengths = lengths
        .iter()
        .map(|&length| usize::from(length))
        .chain([last])
        .cycle();
    std::iter::from_fn(move || {
        let length = lengths.next()?.min(bytes.len());
        let piece = bytes.split_off(..length)?;
        (!bytes.is_empty() || length > 0).then_some(piece)
    })
}

fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Read {
    let mut reader = FrameReader::new(BytesMut::new(), MAX_PAYLOAD);
    let mut messages = Vec::new();
    for piece in pieces {
        reader.extend(piece);
        loop {
            match reader.next() {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Some(error)),
            }
        }
        let most = 8 * (MAX_PAYLOAD + piece.len()) + 128 * 1024;
        assert!(reader.held() <= most, "{} bytes are held", reader.held());
    }
    (messages, None)
}

/// Appends a message as masked frames: our own, with another first byte and a mask.
fn fragments(message: &Incoming, lengths: &[u8], stream: &mut Vec<u8>) {
    let payload: &[u8] = match message {
        Incoming::Text(text) => text.as_bytes(),
        Incoming::Binary(bytes) => bytes,
        Incoming::Ping(_) | Incoming::Pong | Incoming::Close => return,
    };
    let mut parts: Vec<_> = pieces(payload, lengths).collect();
    // A payload that is empty is a frame as well.
    parts.push(&[]);
    let last = parts.len() - 1;
    for (number, part) in parts.into_iter().enumerate() {
        let mut frame = Vec::new();
        match message {
            Incoming::Text(_) => write_text(&[part], &mut frame),
            _ => write_binary(part, &mut frame),
        }
        frame[0] &= !FIN;
        if number > 0 {
            frame[0] = CONTINUATION;
        }
        if number == last {
            frame[0] |= FIN;
        }
        mask(frame, part.len(), stream);
        let mut ping = Vec::new();
        write_pong(&part[..part.len().min(125)], &mut ping);
        ping[0] = FIN | PING;
        mask(ping, part.len().min(125), stream);
    }
}

fn mask(mut frame: Vec<u8>, payload: usize, stream: &mut Vec<u8>) {
    const KEY: [u8; 4] = [7, 11, 13, 255];
    frame[1] |= 0x80;
    let body = frame.split_off(frame.len() - payload);
    stream.extend(frame);
    stream.extend(KEY);
    stream.extend(body.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
}
