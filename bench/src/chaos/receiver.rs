//! The tenant's receiver of webhooks: verifies every signature and keeps what was told under which id.

use std::{
    collections::BTreeMap,
    net::Ipv4Addr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use anyhow::Context as _;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;
use tokio::net::TcpListener;

use crate::receiver::{accept, field};

/// What was told of one message.
#[derive(Debug, Clone, Default)]
pub(crate) struct Told {
    /// Each id, and how often it came.
    pub(crate) ids: BTreeMap<String, u64>,
}

#[derive(Default)]
pub(crate) struct Calls {
    /// By the message's SID.
    pub(crate) told: BTreeMap<String, Told>,
    pub(crate) unsigned: u64,
    pub(crate) nameless: u64,
}

/// An address that webhooks go to.
pub(crate) struct Receiver {
    pub(crate) url: String,
    key: Mutex<Option<Vec<u8>>>,
    calls: Mutex<Calls>,
}

impl Receiver {
    pub(crate) async fn listen() -> anyhow::Result<Arc<Self>> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let receiver = Arc::new(Self {
            url: format!("http://{}/hook", listener.local_addr()?),
            key: Mutex::default(),
            calls: Mutex::default(),
        });
        let noting = Arc::clone(&receiver);
        accept(listener, Duration::ZERO, move |head, body| {
            noting.note(head, body);
        });
        Ok(receiver)
    }

    /// Says what calls are signed with, `whsec_…`: before the first of them comes.
    pub(crate) fn expect_secret(&self, secret: &str) -> anyhow::Result<()> {
        let encoded = secret
            .strip_prefix("whsec_")
            .context("the secret is no whsec_…")?;
        let key = BASE64_STANDARD.decode(encoded)?;
        *self.key.lock().unwrap_or_else(PoisonError::into_inner) = Some(key);
        Ok(())
    }

    pub(crate) fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, head: &[u8], body: &[u8]) {
        let head = String::from_utf8_lossy(head);
        let key = self.key.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let signed = key.is_some_and(|key| is_signed(&head, body, &key));
        let id = header(&head, "webhook-id").filter(|id| !id.is_empty());
        let message = field(body, b"MessageSid=").map(|sid| String::from_utf8_lossy(sid).into_owned());
        let mut calls = self.calls();
        if !signed {
            calls.unsigned += 1;
        }
        match (message, id) {
            (Some(message), Some(id)) => {
                *calls
                    .told
                    .entry(message)
                    .or_default()
                    .ids
                    .entry(id.to_owned())
                    .or_default() += 1;
            }
            _ => calls.nameless += 1,
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.split("\r\n")
        .filter_map(|line| line.split_once(':'))
        .find(|(given, _)| given.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim())
}

/// Whether one of the listed signatures fits: Standard Webhooks, symmetric.
fn is_signed(head: &str, body: &[u8], key: &[u8]) -> bool {
    let (Some(id), Some(timestamp), Some(signatures)) = (
        header(head, "webhook-id"),
        header(head, "webhook-timestamp"),
        header(head, "webhook-signature"),
    ) else {
        return false;
    };
    signatures.split(' ').any(|signature| {
        let Some(Ok(given)) = signature
            .strip_prefix("v1,")
            .map(|text| BASE64_STANDARD.decode(text))
        else {
            return false;
        };
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else {
            return false;
        };
        mac.update(format!("{id}.{timestamp}.").as_bytes());
        mac.update(body);
        mac.verify_slice(&given).is_ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification's own libraries.
    #[test]
    fn a_signature_is_verified_over_id_time_and_body() {
        let key = BASE64_STANDARD
            .decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
            .unwrap();
        let head = "POST / HTTP/1.1\r\nWebhook-Id: msg_p5jXN8AQM9LWM0D4loKWxJek\r\nwebhook-timestamp: 1614265330\r\n\
                    webhook-signature: v1,AAAA v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=\r\n\r\n";
        let body = br#"{"test": 2432232314}"#;
        assert!(is_signed(head, body, &key));
        assert!(!is_signed(head, b"{}", &key));
        assert!(!is_signed(&head.replace("1614265330", "1614265331"), body, &key));
        assert!(!is_signed(head, body, b"another"));
        assert!(!is_signed("POST / HTTP/1.1\r\n\r\n", body, &key));
    }
}
