//! HTTP/1.1 over one connection that is kept alive: as little as the REST door needs, and as cheap.

use std::{io::Write as _, net::SocketAddr, time::Duration};

use anyhow::{Context as _, bail};
use memchr::memmem;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

/// Longer than any answer takes that is still worth having.
const PATIENCE: Duration = Duration::from_secs(60);
/// No answer here is longer.
const MOST: usize = 16 * 1024 * 1024;

/// What requests carry unless they say otherwise.
const FORM: &str = "application/x-www-form-urlencoded";

/// What came back.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

/// A connection, with one request at a time.
pub(crate) struct Connection {
    stream: TcpStream,
    host: SocketAddr,
    buffer: Vec<u8>,
}

impl Connection {
    pub(crate) async fn open(address: SocketAddr) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(address)
            .await
            .with_context(|| format!("nothing listens at {address}"))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            host: address,
            buffer: Vec::new(),
        })
    }

    /// Sends the request with a form and reads the whole answer.
    pub(crate) async fn request(
        &mut self,
        method: &str,
        path: &str,
        authorization: &str,
        form: &str,
    ) -> anyhow::Result<Response> {
        self.request_with(method, path, authorization, FORM, form).await
    }

    /// Sends the request with a body of any type and reads the whole answer.
    pub(crate) async fn request_with(
        &mut self,
        method: &str,
        path: &str,
        authorization: &str,
        content_type: &str,
        body: &str,
    ) -> anyhow::Result<Response> {
        self.compose(method, path, authorization, content_type, &[], body)?;
        timeout(PATIENCE, self.exchange())
            .await
            .with_context(|| format!("no answer to {method} {path}"))?
            .with_context(|| format!("{method} {path}"))
    }

    /// Posts the form with further headers, and waits so long for the answer.
    pub(crate) async fn post_with(
        &mut self,
        path: &str,
        authorization: &str,
        headers: &[(&str, &str)],
        form: &str,
        patience: Duration,
    ) -> anyhow::Result<Response> {
        self.compose("POST", path, authorization, FORM, headers, form)?;
        timeout(patience, self.exchange())
            .await
            .with_context(|| format!("no answer to POST {path} within {patience:?}"))?
    }

    fn compose(
        &mut self,
        method: &str,
        path: &str,
        authorization: &str,
        content_type: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> anyhow::Result<()> {
        self.buffer.clear();
        let (host, length) = (self.host, body.len());
        write!(
            self.buffer,
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nAuthorization: {authorization}\r\n\
             Content-Type: {content_type}\r\nContent-Length: {length}\r\n"
        )?;
        for (name, value) in headers {
            write!(self.buffer, "{name}: {value}\r\n")?;
        }
        write!(self.buffer, "\r\n{body}")?;
        Ok(())
    }

    async fn exchange(&mut self) -> anyhow::Result<Response> {
        self.stream.write_all(&self.buffer).await?;
        self.buffer.clear();
        let head = loop {
            if let Some(head) = Head::parse(&self.buffer)? {
                break head;
            }
            self.read().await?;
        };
        while self.buffer.len() < head.size + head.length {
            self.read().await?;
        }
        Ok(Response {
            status: head.status,
            body: self.buffer[head.size..head.size + head.length].to_vec(),
        })
    }

    async fn read(&mut self) -> anyhow::Result<()> {
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            bail!("the connection ended before the answer did");
        }
        if self.buffer.len() > MOST {
            bail!("the answer is longer than {MOST} bytes");
        }
        Ok(())
    }
}

/// The status line and the one header that matters.
struct Head {
    status: u16,
    length: usize,
    /// Bytes of the head itself.
    size: usize,
}

impl Head {
    /// `None` when more bytes are needed.
    fn parse(bytes: &[u8]) -> anyhow::Result<Option<Self>> {
        let Some(end) = memmem::find(bytes, b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = std::str::from_utf8(&bytes[..end])?;
        let mut lines = head.split("\r\n");
        let status = lines
            .next()
            .and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok())
            .context("the answer is not HTTP/1.1")?;
        let length = lines
            .filter_map(|line| line.split_once(':'))
            .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
            .map(|(_, value)| value.trim().parse());
        let length = match (length, status) {
            (Some(length), _) => length?,
            (None, 204 | 304) => 0,
            (None, _) => bail!("the answer does not tell its length"),
        };
        Ok(Some(Self {
            status,
            length,
            size: end + 4,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_when_it_is_whole() {
        let text = b"HTTP/1.1 201 Created\r\nContent-length: 12\r\nserver: x\r\n\r\n{";
        assert!(Head::parse(&text[..text.len() - 3]).unwrap().is_none());
        let head = Head::parse(text).unwrap().unwrap();
        assert_eq!((head.status, head.length, head.size), (201, 12, text.len() - 1));
        let bare = Head::parse(b"HTTP/1.1 204 No Content\r\n\r\n").unwrap().unwrap();
        assert_eq!((bare.status, bare.length), (204, 0));
        assert!(Head::parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
        assert!(Head::parse(b"nonsense\r\n\r\n").is_err());
    }
}
