//! E-mail through SMTP: one connection to each service's server, kept for a while.
//!
//! Up to the end of the message the server can be left without harm: nothing was sent. Once the end was written, only
//! its answer tells; without one, nobody knows.

use std::{
    collections::HashMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use hubbub_core::{Result, Secret, entities::provider, providers, sid::ServiceSid};
use lettre::{
    Message,
    message::{Mailbox, header::ContentType},
    transport::smtp::{
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, TlsParameters},
        commands::{Data, Mail as MailFrom, Rcpt, Rset},
        extension::{ClientId, Extension, MailParameter},
    },
};
use parking_lot::Mutex as Lock;
use tokio::{sync::Mutex, time::timeout};

use super::{Post, Verdict};
use crate::outbound::CallError;

/// For a connection to be there, encrypted and let in.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// For the answer to a command.
const COMMAND_LIMIT: Duration = Duration::from_secs(10);
/// For the answer to a whole message, which many servers look through before they take it.
const MESSAGE_LIMIT: Duration = Duration::from_secs(60);
/// For how long a connection is kept that nobody needs.
const IDLE_LIMIT: Duration = Duration::from_secs(30);
/// After so long a connection is asked whether it is still there.
const DOUBT: Duration = Duration::from_secs(2);
/// How many services' connections are remembered before those that nobody uses are forgotten.
const TIDY_FROM: usize = 256;
/// How much of a server's own words is kept, in characters.
const QUOTED: usize = 300;

/// A letter.
#[derive(Debug, Clone)]
pub(crate) struct Letter {
    /// To whom.
    pub(crate) to: Mailbox,
    /// From whom, unless it is the provider's own mailbox.
    pub(crate) from: Option<Mailbox>,
    /// The subject; it is one line, whatever is in it.
    pub(crate) subject: String,
    /// The text.
    pub(crate) body: String,
    /// What is before the `@` of its `Message-ID`: the same for the same message, so that people can look for it.
    pub(crate) id: String,
}

/// A service's SMTP server, ready to be spoken to.
pub(crate) struct Mail {
    service: ServiceSid,
    host: String,
    port: u16,
    tls: String,
    credentials: Option<Credentials>,
    sender: Mailbox,
    /// A connection that was made by other settings is not used.
    version: i64,
}

/// A connection that waits for the next letter.
struct Open {
    connection: AsyncSmtpConnection,
    version: i64,
    used: Instant,
}

/// The connections of a process, one a service.
#[derive(Default)]
pub(super) struct Slots(Lock<HashMap<ServiceSid, Arc<Mutex<Option<Open>>>>>);

impl Slots {
    fn of(&self, service: ServiceSid) -> Arc<Mutex<Option<Open>>> {
        let mut slots = self.0.lock();
        if slots.len() >= TIDY_FROM {
            slots.retain(|_, slot| Arc::strong_count(slot) > 1);
        }
        Arc::clone(slots.entry(service).or_default())
    }
}

/// How far a letter came.
enum Failure {
    /// The server said no.
    Said { permanent: bool, words: String },
    /// Nobody answered, or the connection broke, before the message was there.
    Before(String),
    /// The same after its end was written.
    After(String),
}

impl Failure {
    fn from_answer(error: &lettre::transport::smtp::Error, is_after: bool) -> Self {
        let words = words(error);
        if error.is_permanent() || error.is_transient() {
            Self::Said {
                permanent: error.is_permanent(),
                words,
            }
        } else if is_after {
            Self::After(words)
        } else {
            Self::Before(words)
        }
    }
}

impl From<Failure> for Verdict {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Said {
                permanent: true,
                words,
            } => Self::refused(words),
            Failure::Said { words, .. } => Self::busy(words),
            Failure::Before(words) => Self::busy(words),
            Failure::After(words) => Self::Unknown { error: words },
        }
    }
}

fn words(error: &impl fmt::Display) -> String {
    error
        .to_string()
        .chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .take(QUOTED)
        .collect()
}

impl Mail {
    /// The provider of these settings.
    ///
    /// # Errors
    /// When its secret was sealed under another master key, or the settings are damaged.
    pub(crate) fn of(post: &Post, provider: &provider::Model) -> Result<Self> {
        let damaged = || hubbub_core::Error::internal("an e-mail provider is damaged");
        let password = providers::secret(&post.core.vault, provider)?.unwrap_or_else(|| Secret::new(""));
        Ok(Self {
            service: provider.service_id,
            host: provider.host.clone().ok_or_else(damaged)?,
            port: provider
                .port
                .and_then(|port| u16::try_from(port).ok())
                .ok_or_else(damaged)?,
            tls: provider.tls.clone().ok_or_else(damaged)?,
            credentials: provider
                .login
                .as_ref()
                .map(|login| Credentials::new(login.clone(), password.expose().to_owned())),
            sender: providers::address::mailbox(&provider.sender).ok_or_else(damaged)?,
            version: provider.date_updated.0,
        })
    }

    /// Hands one letter to the server, once.
    pub(crate) async fn send(&self, post: &Post, letter: &Letter) -> Verdict {
        let from = letter.from.as_ref().unwrap_or(&self.sender);
        let message = match write(from, letter) {
            Ok(message) => message,
            Err(problem) => return Verdict::refused(problem),
        };
        let slot = post.mail.of(self.service);
        let mut slot = slot.lock().await;
        let mut kept = self.kept(&mut slot).await;
        loop {
            let was_kept = kept.is_some();
            let mut connection = match kept.take() {
                Some(connection) => connection,
                None => match timeout(CONNECT_LIMIT, self.connect(post, from)).await {
                    Ok(Ok(connection)) => connection,
                    Ok(Err(verdict)) => return verdict,
                    Err(_) => return Verdict::busy("the connection timed out"),
                },
            };
            match deliver(&mut connection, &message).await {
                Ok(()) => {
                    *slot = Some(self.open(connection));
                    return Verdict::Taken { sid: None };
                }
                // It had gone while nobody looked.
                Err(Failure::Before(_)) if was_kept => {}
                Err(Failure::Said { permanent, words }) => {
                    if matches!(timeout(COMMAND_LIMIT, connection.command(Rset)).await, Ok(Ok(_))) {
                        *slot = Some(self.open(connection));
                    }
                    return Failure::Said { permanent, words }.into();
                }
                Err(failure) => return failure.into(),
            }
        }
    }

    fn open(&self, connection: AsyncSmtpConnection) -> Open {
        Open {
            connection,
            version: self.version,
            used: Instant::now(),
        }
    }

    /// The connection that is there, if it is still good.
    async fn kept(&self, slot: &mut Option<Open>) -> Option<AsyncSmtpConnection> {
        let Open {
            mut connection,
            version,
            used,
        } = slot.take()?;
        let idle = used.elapsed();
        let is_good = version == self.version
            && idle < IDLE_LIMIT
            && (idle < DOUBT
                || timeout(COMMAND_LIMIT, connection.test_connected())
                    .await
                    .unwrap_or(false));
        if is_good {
            return Some(connection);
        }
        let _ = timeout(DOUBT, connection.abort()).await;
        None
    }

    async fn connect(
        &self,
        post: &Post,
        from: &Mailbox,
    ) -> std::result::Result<AsyncSmtpConnection, Verdict> {
        let addresses = post
            .client
            .resolve(&self.host, self.port)
            .await
            .map_err(|error| match error {
                CallError::Refused(_) => Verdict::refused(error.to_string()),
                _ => Verdict::busy(error.to_string()),
            })?;
        let unreached =
            |error: lettre::transport::smtp::Error| Verdict::from(Failure::from_answer(&error, false));
        let hello = hello(from);
        // The certificate must be the name's, wherever the name led.
        let name = self.host.trim_start_matches('[').trim_end_matches(']').to_owned();
        let encrypted = |wanted: &str| {
            (self.tls == wanted)
                .then(|| TlsParameters::new(name.clone()))
                .transpose()
                .map_err(unreached)
        };
        let mut connection = AsyncSmtpConnection::connect_tokio1(
            addresses.as_slice(),
            Some(CONNECT_LIMIT),
            &hello,
            encrypted(providers::TLS)?,
            None,
        )
        .await
        .map_err(unreached)?;
        if let Some(parameters) = encrypted(providers::STARTTLS)? {
            if !connection.can_starttls() {
                return Err(Verdict::refused(
                    "the server does not offer STARTTLS: set Tls to tls or none, or another Port",
                ));
            }
            connection.starttls(parameters, &hello).await.map_err(unreached)?;
        }
        if let Some(credentials) = &self.credentials {
            connection
                .auth(DEFAULT_MECHANISMS, credentials)
                .await
                .map_err(|error| match Verdict::from(Failure::from_answer(&error, false)) {
                    Verdict::Refused { error, .. } => {
                        Verdict::refused(format!("the log-in was refused: {error}"))
                    }
                    verdict if error.is_client() => match verdict {
                        Verdict::Busy { error, .. } => Verdict::refused(error),
                        other => other,
                    },
                    verdict => verdict,
                })?;
        }
        Ok(connection)
    }
}

fn hello(from: &Mailbox) -> ClientId {
    let domain = from.email.domain();
    if domain.is_ascii() {
        ClientId::Domain(domain.to_owned())
    } else {
        ClientId::default()
    }
}

/// The message as it is sent: ASCII, every header one of ours.
fn write(from: &Mailbox, letter: &Letter) -> std::result::Result<Message, String> {
    let subject: String = letter
        .subject
        .chars()
        .map(|character| if character.is_control() { ' ' } else { character })
        .collect();
    Message::builder()
        .from(from.clone())
        .to(letter.to.clone())
        .subject(subject.trim())
        .message_id(Some(format!("<{}@{}>", letter.id, from.email.domain())))
        .date_now()
        .header(ContentType::TEXT_PLAIN)
        .body(letter.body.clone())
        .map_err(|cause| words(&cause))
}

async fn deliver(
    connection: &mut AsyncSmtpConnection,
    message: &Message,
) -> std::result::Result<(), Failure> {
    let envelope = message.envelope();
    let mut options = Vec::new();
    let is_ascii = |address: &lettre::Address| AsRef::<str>::as_ref(address).is_ascii();
    if !envelope.from().into_iter().chain(envelope.to()).all(is_ascii) {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            return Err(Failure::Said {
                permanent: true,
                words: "the server takes no address with other than ASCII characters".to_owned(),
            });
        }
        options.push(MailParameter::SmtpUtfEight);
    }
    ask(connection, MailFrom::new(envelope.from().cloned(), options)).await?;
    for to in envelope.to() {
        ask(connection, Rcpt::new(to.clone(), Vec::new())).await?;
    }
    ask(connection, Data).await?;
    match timeout(MESSAGE_LIMIT, connection.message(&message.formatted())).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(Failure::from_answer(&error, true)),
        Err(_) => Err(Failure::After("the answer to the message timed out".to_owned())),
    }
}

async fn ask(
    connection: &mut AsyncSmtpConnection,
    command: impl fmt::Display,
) -> std::result::Result<(), Failure> {
    match timeout(COMMAND_LIMIT, connection.command(command)).await {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(Failure::from_answer(&error, false)),
        Err(_) => Err(Failure::Before("the server did not answer in time".to_owned())),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "a test may panic")]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_letter_makes_a_header_of_its_own() {
        let letter = Letter {
            to: "Ada <ada@example.com>".parse().unwrap(),
            from: None,
            subject: "Hello\r\nBcc: eve@example.com\u{0}".to_owned(),
            body: "One\r\n.\r\nTwo ü".to_owned(),
            id: "CP1.7".to_owned(),
        };
        let message = write(&"chat@example.org".parse().unwrap(), &letter).unwrap();
        let bytes = message.formatted();
        assert!(bytes.is_ascii());
        let text = String::from_utf8(bytes).unwrap();
        let (headers, _) = text.split_once("\r\n\r\n").unwrap();
        assert!(!headers.lines().any(|line| line.starts_with("Bcc")), "{headers}");
        assert!(headers.contains("Message-ID: <CP1.7@example.org>"), "{headers}");
        assert!(headers.contains("charset=utf-8"), "{headers}");
    }
}
