//! What is remembered of the request that opened a session.

use std::{fmt, net::IpAddr};

use actix_http::RequestHead;

/// Headers that say something about the transport only; not worth their memory in an idle session.
const FORGOTTEN: [&str; 10] = [
    "accept",
    "accept-encoding",
    "cache-control",
    "connection",
    "content-length",
    "content-type",
    "dnt",
    "pragma",
    "transfer-encoding",
    "upgrade",
];

/// Most bytes of a host name with its port.
const MOST_HOST: usize = 300;

/// Most bytes of the query, and of all headers together. What is longer is not kept: a session lives long, and the
/// client chooses how many there are.
const MOST_KEPT: usize = 4 * 1024;

/// The request that opened a session, copied into a few hundred bytes. `Debug` shows nothing of it, for
/// headers and queries carry secrets.
pub struct Handshake {
    peer: Option<IpAddr>,
    secure: bool,
    host: Box<str>,
    query: Box<str>,
    /// `name\0value\0` for each header.
    headers: Box<str>,
}

impl Handshake {
    pub(super) fn from_head(head: &RequestHead, trust_forwarded: bool) -> Self {
        let header = |name: &str| head.headers.get(name).and_then(|value| value.to_str().ok());
        let forwarded = |name: &str| {
            let first = header(name)?.split(',').next()?.trim();
            (trust_forwarded && !first.is_empty()).then_some(first)
        };
        let connected = head.peer_addr.map(|address| address.ip());
        let peer = forwarded("x-forwarded-for")
            .and_then(|text| text.parse().ok())
            .or(connected);
        let host = forwarded("x-forwarded-host")
            .or_else(|| header("host"))
            .filter(|host| host.len() <= MOST_HOST)
            .unwrap_or_default();
        let secure =
            forwarded("x-forwarded-proto").is_some_and(|scheme| scheme.eq_ignore_ascii_case("https"));
        let mut headers = String::new();
        for (name, value) in &head.headers {
            let name = name.as_str();
            if name.starts_with("sec-") || FORGOTTEN.contains(&name) {
                continue;
            }
            if let Ok(value) = value.to_str()
                && headers.len() + name.len() + value.len() < MOST_KEPT
            {
                headers.extend([name, "\0", value, "\0"]);
            }
        }
        Self {
            peer,
            secure,
            host: host.into(),
            query: head
                .uri
                .query()
                .filter(|query| query.len() <= MOST_KEPT)
                .unwrap_or_default()
                .into(),
            headers: headers.into(),
        }
    }

    /// The address of the client, as far as it is known: the first of `X-Forwarded-For` when that is trusted.
    #[must_use]
    pub fn peer_addr(&self) -> Option<IpAddr> {
        self.peer
    }

    /// The host name, with port, by which the client knows us; empty when it sent none.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// `http` or `https`, as the client sees it.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    /// The first header of that name, which is given in lower case. Those about the transport itself
    /// (`upgrade`, `accept`, `sec-…` and their like) are not kept, nor are values that are not ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut fields = self.headers.split('\0');
        while let (Some(key), Some(value)) = (fields.next(), fields.next()) {
            if key == name {
                return Some(value);
            }
        }
        None
    }

    /// The first query parameter of that name, decoded.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<String> {
        url::form_urlencoded::parse(self.query.as_bytes())
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
    }
}

impl fmt::Debug for Handshake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handshake").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use actix_http::test::TestRequest;

    use super::*;

    fn handshake(trust_forwarded: bool) -> Handshake {
        let mut request = TestRequest::with_uri("/socket.io/?EIO=4&name=J%C3%BCrgen+M&name=x")
            .insert_header(("host", "chat.example"))
            .insert_header(("cookie", "a=b"))
            .insert_header(("upgrade", "websocket"))
            .insert_header(("x-forwarded-for", "192.0.2.7, 10.0.0.1"))
            .insert_header(("x-forwarded-proto", "https"))
            .insert_header(("x-forwarded-host", "outside.example"))
            .finish();
        request.head_mut().peer_addr = Some(([10, 0, 0, 1], 9).into());
        Handshake::from_head(request.head(), trust_forwarded)
    }

    #[test]
    fn headers_and_query_can_be_looked_up() {
        let handshake = handshake(false);
        assert_eq!(handshake.header("cookie"), Some("a=b"));
        assert_eq!(handshake.header("upgrade"), None);
        assert_eq!(handshake.query("name").as_deref(), Some("Jürgen M"));
        assert_eq!(handshake.query("token"), None);
    }

    #[test]
    fn what_is_too_long_is_not_kept() {
        let long = "x".repeat(MOST_KEPT + 1);
        let request = TestRequest::with_uri(&format!("/?a={long}"))
            .insert_header(("host", long.clone()))
            .insert_header(("cookie", long))
            .insert_header(("x-short", "kept"))
            .finish();
        let handshake = Handshake::from_head(request.head(), false);
        assert_eq!((handshake.host(), handshake.query("a")), ("", None));
        assert_eq!(
            (handshake.header("cookie"), handshake.header("x-short")),
            (None, Some("kept"))
        );
    }

    #[test]
    fn forwarded_headers_count_only_when_trusted() {
        let direct = handshake(false);
        assert_eq!((direct.host(), direct.scheme()), ("chat.example", "http"));
        assert_eq!(direct.peer_addr(), Some(IpAddr::from([10, 0, 0, 1])));
        let proxied = handshake(true);
        assert_eq!((proxied.host(), proxied.scheme()), ("outside.example", "https"));
        assert_eq!(proxied.peer_addr(), Some(IpAddr::from([192, 0, 2, 7])));
    }
}
