//! RFC 6455, the client's side: frames come in unmasked and go out masked.
//!
//! Our own, because a frame here is looked at where it lies in the buffer that it was read into.

use anyhow::bail;

const FIN: u8 = 0x80;
const MASKED: u8 = 0x80;
const TEXT: u8 = 0x1;
const CLOSE: u8 = 0x8;

/// The longest frame that is waited for.
const MOST: u64 = 16 * 1024 * 1024;

/// A frame at the start of the bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    /// A whole text message.
    Text(&'a [u8]),
    /// The server takes its leave.
    Close,
}

/// The first frame and its size; `None` when more bytes are needed.
///
/// # Errors
/// When it is none that this server sends: masked, fragmented, binary.
pub(crate) fn read(bytes: &[u8]) -> anyhow::Result<Option<(Frame<'_>, usize)>> {
    let &[first, second, ref rest @ ..] = bytes else {
        return Ok(None);
    };
    let (length, header) = match (second, rest) {
        (0..=125, _) => (u64::from(second), 2),
        (126, &[a, b, ..]) => (u64::from(u16::from_be_bytes([a, b])), 4),
        (127, &[a, b, c, d, e, f, g, h, ..]) => (u64::from_be_bytes([a, b, c, d, e, f, g, h]), 10),
        (126 | 127, _) => return Ok(None),
        _ => bail!("the server sent a masked frame"),
    };
    if length > MOST {
        bail!("the server announced a frame of {length} bytes");
    }
    let size = header + usize::try_from(length)?;
    let Some(payload) = bytes.get(header..size) else {
        return Ok(None);
    };
    match first {
        _ if first == FIN | TEXT => Ok(Some((Frame::Text(payload), size))),
        _ if first == FIN | CLOSE => Ok(Some((Frame::Close, size))),
        _ => bail!("the server sent a frame that starts with {first:#04x}"),
    }
}

/// Appends a text frame. Its mask is zero, which leaves the payload as it is: there is no proxy to protect here.
pub(crate) fn write_text(payload: &[u8], out: &mut Vec<u8>) {
    out.push(FIN | TEXT);
    match payload.len() {
        length @ 0..=125 => out.push(MASKED | length as u8),
        length @ 126..=0xffff => {
            out.push(MASKED | 126);
            out.extend_from_slice(&(length as u16).to_be_bytes());
        }
        length => {
            out.push(MASKED | 127);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(&[0; 4]);
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server_frame(payload: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        write_text(payload, &mut frame);
        frame[1] &= !MASKED;
        let mask = frame.len() - payload.len() - 4;
        frame.drain(mask..mask + 4);
        frame
    }

    #[test]
    fn frames_of_all_lengths_are_read_where_they_lie() {
        for length in [0, 1, 125, 126, 127, 0xffff, 0x1_0000] {
            let payload = vec![b'x'; length];
            let mut bytes = server_frame(&payload);
            let size = bytes.len();
            bytes.extend_from_slice(b"more");
            assert_eq!(
                read(&bytes).unwrap(),
                Some((Frame::Text(&payload), size)),
                "{length}"
            );
            assert_eq!(read(&bytes[..size - 1]).unwrap(), None, "{length}");
        }
        assert_eq!(read(&[FIN | CLOSE, 0]).unwrap(), Some((Frame::Close, 2)));
    }

    #[test]
    fn frames_that_the_server_never_sends_are_refused() {
        assert!(read(&[FIN | TEXT, MASKED]).is_err());
        assert!(read(&[TEXT, 0]).is_err());
        assert!(read(&[FIN | 0x2, 0]).is_err());
        assert!(read(&[FIN | TEXT, 127, 0xff, 0, 0, 0, 0, 0, 0, 0]).is_err());
    }
}
