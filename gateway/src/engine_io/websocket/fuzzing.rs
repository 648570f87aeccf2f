//! For the fuzz targets, which know nothing of what is private.

use std::fmt::Write as _;

use bytes::BytesMut;

use super::frame::FrameReader;

/// More than this is refused here.
pub const MAX_PAYLOAD: usize = 4096;

/// What a stream of bytes is read as when it arrives in pieces of this size: its messages, and the error that ends it.
///
/// # Panics
/// When more is held than the limit and a piece allow.
#[must_use]
pub fn read(bytes: &[u8], piece: usize) -> String {
    let mut reader = FrameReader::new(BytesMut::new(), MAX_PAYLOAD);
    let mut read = String::new();
    for piece in bytes.chunks(piece.max(1)) {
        reader.extend(piece);
        loop {
            match reader.next() {
                Ok(Some(message)) => {
                    let _ = writeln!(read, "{message:?}");
                }
                Ok(None) => break,
                Err(error) => {
                    let _ = writeln!(read, "{error:?}");
                    return read;
                }
            }
        }
        let most = 8 * (MAX_PAYLOAD + piece.len()) + 128 * 1024;
        assert!(reader.held() <= most, "{} bytes are held", reader.held());
    }
    read
}
