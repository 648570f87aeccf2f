//! The query of an Engine.IO request, and the refusals a request may meet.

use std::borrow::Cow;

use actix_http::{RequestHead, StatusCode, header};

use super::sid::Sid;

/// Which transport a request speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestedTransport {
    Polling,
    WebSocket,
}

/// The parameters of the protocol; all others belong to the application.
#[derive(Debug, Default)]
pub(super) struct Query<'a> {
    version: Option<Cow<'a, str>>,
    transport: Option<Cow<'a, str>>,
    sid: Option<Cow<'a, str>>,
    /// The client asked for text only, so that binary on a WebSocket must be written as base64.
    pub(super) base64: bool,
}

impl<'a> Query<'a> {
    pub(super) fn of(head: &'a RequestHead) -> Self {
        let mut query = Self::default();
        for (key, value) in url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes()) {
            match key.as_ref() {
                "EIO" => query.version = Some(value),
                "transport" => query.transport = Some(value),
                "sid" => query.sid = Some(value),
                "b64" => query.base64 = value != "0" && value != "false",
                _ => {}
            }
        }
        query
    }

    pub(super) fn transport(&self) -> Result<RequestedTransport, Refusal> {
        match self.transport.as_deref() {
            Some("polling") => Ok(RequestedTransport::Polling),
            Some("websocket") => Ok(RequestedTransport::WebSocket),
            _ => Err(Refusal::UnknownTransport),
        }
    }

    /// The session that is meant; `None` asks for a new one.
    pub(super) fn sid(&self) -> Result<Option<Sid>, Refusal> {
        self.sid
            .as_deref()
            .map(|text| Sid::parse(text).ok_or(Refusal::UnknownSid))
            .transpose()
    }

    pub(super) fn is_version_4(&self) -> bool {
        self.version.as_deref() == Some("4")
    }
}

/// The `Origin` header, if it is readable.
pub(super) fn origin(head: &RequestHead) -> Option<&str> {
    head.headers
        .get(header::ORIGIN)
        .and_then(|value| value.to_str().ok())
}

/// A request that is not served. Clients match on the codes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Refusal {
    UnknownTransport,
    UnknownSid,
    BadHandshakeMethod,
    BadRequest,
    /// The application, or the list of origins, says no.
    Forbidden(Cow<'static, str>),
    UnsupportedVersion,
    TooLarge,
    /// No place for another session, or going down; clients retry with a back-off.
    Unavailable(&'static str),
}

impl Refusal {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// Seconds after which it is worth trying again.
    pub(super) fn retry_after(&self) -> Option<u32> {
        matches!(self, Self::Unavailable(_)).then_some(1)
    }

    /// The JSON body that the protocol asks for.
    pub(super) fn body(&self) -> String {
        let (code, message) = match self {
            Self::UnknownTransport => (0, "Transport unknown"),
            Self::UnknownSid => (1, "Session ID unknown"),
            Self::BadHandshakeMethod => (2, "Bad handshake method"),
            Self::BadRequest => (3, "Bad request"),
            Self::TooLarge => (3, "Payload too large"),
            Self::Forbidden(reason) => (4, reason.as_ref()),
            Self::Unavailable(reason) => (4, *reason),
            Self::UnsupportedVersion => (5, "Unsupported protocol version"),
        };
        format!(
            r#"{{"code":{code},"message":{}}}"#,
            serde_json::Value::from(message)
        )
    }
}

#[cfg(test)]
mod tests {
    use actix_http::test::TestRequest;

    use super::*;

    #[test]
    fn the_parameters_are_found_in_any_order() {
        let sid = Sid::random();
        let request =
            TestRequest::with_uri(&format!("/?b64=1&sid={sid}&t=x&transport=polling&EIO=4")).finish();
        let query = Query::of(request.head());
        assert_eq!(query.transport(), Ok(RequestedTransport::Polling));
        assert_eq!(query.sid(), Ok(Some(sid)));
        assert!(query.is_version_4() && query.base64);
    }

    #[test]
    fn what_is_missing_or_wrong_is_refused() {
        for uri in ["/", "/?transport=", "/?transport=webtransport"] {
            let request = TestRequest::with_uri(uri).finish();
            assert_eq!(
                Query::of(request.head()).transport(),
                Err(Refusal::UnknownTransport),
                "{uri}"
            );
        }
        let request = TestRequest::with_uri("/?sid=xyz&EIO=abc").finish();
        let query = Query::of(request.head());
        assert_eq!(query.sid(), Err(Refusal::UnknownSid));
        assert!(!query.is_version_4());
    }

    #[test]
    fn refusals_read_as_the_protocol_wants_them() {
        assert_eq!(
            Refusal::UnknownSid.body(),
            r#"{"code":1,"message":"Session ID unknown"}"#
        );
        assert_eq!(
            Refusal::Forbidden("say \"no\"".into()).body(),
            r#"{"code":4,"message":"say \"no\""}"#
        );
    }
}
