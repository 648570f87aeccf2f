//! A verb's argument: one object, whose wrong fields are named.

use hubbub_core::{
    Error, Result,
    error::ErrorCode,
    input::ChannelRef,
    paging::{PageRequest, PageToken},
    sid::MessageSid,
};
use serde_json::{Map, Value};

/// The argument of a verb.
#[derive(Debug)]
pub(super) struct Args(Map<String, Value>);

impl Args {
    /// Reads the argument.
    ///
    /// # Errors
    /// 20001 when it is not an object, or is nested too deep.
    pub(super) fn parse(json: &str) -> Result<Self> {
        let refused = |why| Err(Error::with(ErrorCode::InvalidParameter, why));
        match serde_json::from_str(json) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Err(cause) if json.starts_with('{') => {
                refused(format!("The argument of a verb cannot be read: {cause}"))
            }
            _ => refused("The argument of a verb must be one object".to_owned()),
        }
    }

    /// A field; null is as good as absent.
    fn field(&self, name: &str) -> Option<&Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    pub(super) fn text(&self, name: &str) -> Result<Option<&str>> {
        match self.field(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(Error::parameter(name, "must be a text")),
        }
    }

    pub(super) fn owned_text(&self, name: &str) -> Result<Option<String>> {
        Ok(self.text(name)?.map(str::to_owned))
    }

    /// JSON, as itself or as its text.
    pub(super) fn json_text(&self, name: &str) -> Result<Option<String>> {
        match self.field(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(value @ (Value::Object(_) | Value::Array(_))) => Ok(Some(value.to_string())),
            Some(_) => Err(Error::parameter(
                name,
                "must be JSON: an object or a list, or its text",
            )),
        }
    }

    pub(super) fn required_text(&self, name: &str) -> Result<&str> {
        self.text(name)?
            .ok_or_else(|| Error::parameter(name, "is missing"))
    }

    pub(super) fn integer(&self, name: &str) -> Result<Option<i64>> {
        match self.field(name) {
            None => Ok(None),
            Some(value) => value
                .as_i64()
                .map(Some)
                .ok_or_else(|| Error::parameter(name, "must be a whole number")),
        }
    }

    /// A number that null takes away: `Some(None)`.
    pub(super) fn clearable_integer(&self, name: &str) -> Result<Option<Option<i64>>> {
        match self.0.get(name) {
            Some(Value::Null) => Ok(Some(None)),
            _ => Ok(self.integer(name)?.map(Some)),
        }
    }

    /// `channel`: a SID or a unique name.
    ///
    /// # Errors
    /// 50301 when it is missing, 20001 when it is no text.
    pub(super) fn channel(&self) -> Result<ChannelRef> {
        match self.text("channel")? {
            None | Some("") => Err(ErrorCode::ChannelKeyMissing.into()),
            Some(text) if text.contains('\0') => {
                Err(Error::parameter("channel", "must not contain a NUL character"))
            }
            Some(text) => Ok(text.into()),
        }
    }

    /// `message`: a SID.
    ///
    /// # Errors
    /// 20001 when it is missing, 20404 when it is no message SID and so cannot exist.
    pub(super) fn message(&self) -> Result<MessageSid> {
        let text = self.required_text("message")?;
        text.parse()
            .map_err(|_| Error::not_found(format_args!("/Messages/{}", shorten(text))))
    }

    /// `limit` and `page_token` of a list.
    ///
    /// # Errors
    /// 20001 naming the one that is wrong.
    pub(super) fn page(&self, default: u64, most: u64) -> Result<PageRequest> {
        let unknown = |_| Error::parameter("page_token", "is unknown: take it from next_page_token");
        Ok(PageRequest {
            size: self.limit(default, most)?,
            token: self
                .text("page_token")?
                .map(PageToken::decode)
                .transpose()
                .map_err(unknown)?,
        })
    }

    /// `limit`, 1 to `most`.
    ///
    /// # Errors
    /// 20001 when it is not a positive whole number; more than `most` is clamped.
    pub(super) fn limit(&self, default: u64, most: u64) -> Result<u64> {
        match self.integer("limit")? {
            None => Ok(default),
            Some(limit) => match u64::try_from(limit) {
                Ok(limit) if limit > 0 => Ok(limit.min(most)),
                _ => Err(Error::parameter("limit", "must be a positive whole number")),
            },
        }
    }
}

/// A text as it may stand in a message.
pub(super) fn shorten(text: &str) -> String {
    text.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code<T: std::fmt::Debug>(result: Result<T>) -> u32 {
        result.unwrap_err().code().code()
    }

    #[test]
    fn only_objects_are_arguments() {
        for json in ["null", "[]", "\"x\"", "7", ""] {
            assert_eq!(code(Args::parse(json)), 20001, "{json}");
        }
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
        let refused = Args::parse(&deep).unwrap_err();
        assert_eq!(refused.code().code(), 20001);
        assert!(refused.message().contains("recursion"), "{}", refused.message());
    }

    #[test]
    fn wrong_fields_are_named() {
        let args =
            Args::parse(r#"{"channel":7,"limit":0,"index":1.5,"message":"nope","body":null}"#).unwrap();
        assert!(args.channel().unwrap_err().message().starts_with("channel "));
        assert!(args.limit(30, 100).unwrap_err().message().starts_with("limit "));
        assert!(args.integer("index").unwrap_err().message().starts_with("index "));
        assert_eq!(args.text("body").unwrap(), None);
        assert_eq!(code(args.message()), 20404);
        assert_eq!(code(Args::parse("{}").unwrap().channel()), 50301);
    }
}
