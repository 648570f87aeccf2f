//! `X-Twilio-Signature`, as Twilio's libraries validate it.
//!
//! Base64 of an HMAC-SHA1 under the account's auth token (never an API key's secret). In all of it the URL is the one
//! that is called, to the letter: take it from the parsed URL and encode it no further. Twilio's validators try it
//! with and without the default port.

use std::collections::{BTreeMap, BTreeSet};

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};

/// The name of the header.
pub const HEADER: &str = "X-Twilio-Signature";

/// Signs a call without form parameters: GET (everything is in the query of `url`), or a body whose hash is in the
/// URL ([`with_body_hash`]).
#[must_use]
pub fn sign(auth_token: &str, url: &str) -> String {
    base64_hmac(auth_token, [url])
}

/// Signs a form POST. The parameters may come in any order; a repeated one counts once for each distinct value.
#[must_use]
pub fn sign_form<'a>(
    auth_token: &str,
    url: &str,
    parameters: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> String {
    let mut sorted = BTreeMap::<&str, BTreeSet<&str>>::new();
    for (name, value) in parameters {
        sorted.entry(name).or_default().insert(value);
    }
    let pairs = sorted
        .into_iter()
        .flat_map(|(name, values)| values.into_iter().flat_map(move |it| [name, it]));
    base64_hmac(auth_token, std::iter::once(url).chain(pairs))
}

/// The URL to call (and to [`sign`]) for a body that is not a form: `url` with `bodySHA256` appended to its query,
/// before the fragment if there is one.
#[must_use]
pub fn with_body_hash(url: &str, body: &[u8]) -> String {
    let (url, fragment) = url.find('#').map_or((url, ""), |at| url.split_at(at));
    let separator = match url.find('?') {
        None => "?",
        Some(at) if at + 1 == url.len() => "",
        Some(_) => "&",
    };
    format!(
        "{url}{separator}bodySHA256={}{fragment}",
        hex::encode(Sha256::digest(body))
    )
}

fn base64_hmac<'a>(key: &str, parts: impl IntoIterator<Item = &'a str>) -> String {
    #[expect(clippy::expect_used, reason = "HMAC takes keys of any length")]
    let mut mac = Hmac::<Sha1>::new_from_slice(key.as_bytes()).expect("a key of any length");
    for part in parts {
        mac.update(part.as_bytes());
    }
    STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const URL: &str = "https://mycompany.com/myapp.php?foo=1&bar=2";

    fn call<'a>(caller: &'a str, from: &'a str) -> [(&'a str, &'a str); 5] {
        [
            ("To", "+18005551212"),
            ("CallSid", "CA1234567890ABCDE"),
            ("Digits", "1234"),
            ("Caller", caller),
            ("From", from),
        ]
    }

    #[test]
    fn a_form_is_signed_like_twilio_does() {
        let one = call("+14158675309", "+14158675309");
        assert_eq!(sign_form("12345", URL, one), "RSOYDt4T1cUTdK1PDd93/VVr8B8=");
        let other = call("+12349013030", "+12349013030");
        assert_eq!(sign_form("12345", URL, other), "0/KCTR6DLpKmkAf8muzZqo1nDgQ=");
        let small = [("B", "2"), ("A", "1")];
        assert_eq!(
            sign_form("tok", "https://h/x?a=1", small),
            "HOtNrrc9zYbAx0FnWYpAbiLlAuk="
        );
    }

    #[test]
    fn a_json_body_is_signed_through_its_hash_in_the_url() {
        let url = with_body_hash(URL, br#"{"property": "value", "boolean": true}"#);
        let hash = "0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620";
        assert_eq!(url, format!("{URL}&bodySHA256={hash}"));
        assert_eq!(sign("12345", &url), "a9nBmqA0ju/hNViExpshrM61xv4=");
        let url = with_body_hash("https://h/x", br#"{"a":1}"#);
        assert_eq!(sign("tok", &url), "LKj/ukeLjeErGsN+Z+Mh1m0QLZY=");
    }

    #[test]
    fn the_body_hash_joins_whatever_query_there_is() {
        let after = |url| {
            with_body_hash(url, b"")
                .split_once("bodySHA256=")
                .map(|(start, _)| start.to_owned())
        };
        assert_eq!(after("https://h/x").as_deref(), Some("https://h/x?"));
        assert_eq!(after("https://h/x?").as_deref(), Some("https://h/x?"));
        assert_eq!(after("https://h/x?a=1#top").as_deref(), Some("https://h/x?a=1&"));
        assert!(with_body_hash("https://h/x#top", b"").ends_with("#top"));
    }

    #[test]
    fn a_get_is_signed_by_its_url_alone() {
        assert_eq!(sign("12345", URL), sign_form("12345", URL, []));
    }

    #[test]
    fn repeated_values_count_once_and_sorted() {
        let twice = [("A", "2"), ("A", "1"), ("A", "2")];
        assert_eq!(
            sign_form("tok", URL, twice),
            sign_form("tok", URL, [("A", "1"), ("A", "2")])
        );
        assert_eq!(sign_form("tok", URL, twice), sign("tok", &format!("{URL}A1A2")));
    }
}
