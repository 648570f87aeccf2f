//! Campaigns by SMS and e-mail: a step hands over some recipients of a portion, sends to them and writes down what came of
//! it. Before anybody is called the recipient is noted as handed over. Whoever is found handed over without an outcome
//! when all calls must have ended is looked for at the provider, and never sent to again.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use hubbub_core::{
    Result, Timestamp,
    campaigns::{
        Message, QuietHours,
        engine::{self, Next, Portion, Step},
    },
    entities::{campaign, provider},
    input::SYSTEM,
    providers::{
        self, Kind, address,
        recipients::{self, Fate, Recipient, Settlement},
    },
    templates::Person,
};
use tokio::time::{Instant, timeout};

use super::{Letter, Mail, Post, SMS_AT_ONCE, Sms, Text, Verdict};

/// How many letters are handed over together: they go out one after the other.
const LETTERS: usize = 8;
/// When letters have taken so long, those that were handed over with them and not begun are given back.
const LETTERS_LIMIT: Duration = Duration::from_secs(60);
/// How long a portion waits for its turn at a provider; then others have theirs, and it is handed out again.
const PATIENCE: Duration = Duration::from_secs(3);
/// How often a recipient is tried whom the provider refuses for now.
const ATTEMPTS: i32 = 8;
/// How long the first of these waits; each waits twice as long as the one before.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// The longest wait of our own.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// The longest wait that a provider may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(900);

/// A recipient with what it is to get.
struct Addressed<W> {
    recipient: Recipient,
    what: W,
}

/// What fills in the campaign's texts.
struct Texts<'c> {
    campaign: &'c campaign::Model,
    message: Message,
    quiet: Option<QuietHours>,
}

impl<'c> Texts<'c> {
    fn of(campaign: &'c campaign::Model) -> Result<Self> {
        Ok(Self {
            campaign,
            message: Message::of(campaign)?,
            quiet: campaign
                .quiet_hours
                .as_deref()
                .map(QuietHours::parse)
                .transpose()?,
        })
    }

    /// What the recipient gets, or what becomes of it instead.
    fn text(&self, recipient: &Recipient) -> std::result::Result<Text, Fate> {
        self.awake(recipient)?;
        self.text_as_it_was(recipient)
    }

    /// The same, whatever the hour.
    fn text_as_it_was(&self, recipient: &Recipient) -> std::result::Result<Text, Fate> {
        let number = reach(recipient, "phone")?;
        let to = address::phone(number)
            .ok_or_else(|| failed("attributes.phone is not a phone number such as +15017122661"))?;
        let said = self.said(recipient)?;
        Ok(Text {
            to,
            from: self.sender().and_then(address::sms_sender),
            body: said.body,
            status_callback: None,
        })
    }

    /// The same for a letter.
    fn letter(&self, recipient: &Recipient) -> std::result::Result<Letter, Fate> {
        self.awake(recipient)?;
        let mailbox = reach(recipient, "email")?;
        let to = address::mailbox(mailbox)
            .ok_or_else(|| failed("attributes.email is not an address such as ada@example.com"))?;
        let said = self.said(recipient)?;
        Ok(Letter {
            to,
            from: self.sender().and_then(address::mailbox),
            subject: said.subject.unwrap_or_default(),
            body: said.body,
            id: format!("{}.{}", self.campaign.id, recipient.place),
        })
    }

    /// Refuses those for whom it is night.
    fn awake(&self, recipient: &Recipient) -> std::result::Result<(), Fate> {
        let quiet = self.quiet.as_ref();
        match quiet.and_then(|quiet| quiet.over_at(Timestamp::now(), &recipient.attributes)) {
            Some(until) => Err(Fate::Asleep { until }),
            None => Ok(()),
        }
    }

    fn said(&self, recipient: &Recipient) -> std::result::Result<hubbub_core::campaigns::Rendered, Fate> {
        let person = Person {
            identity: &recipient.identity,
            friendly_name: recipient.friendly_name.as_deref(),
            attributes: &recipient.attributes,
        };
        self.message.render(&person).map_err(|error| failed(&error))
    }

    fn sender(&self) -> Option<&str> {
        self.campaign.sender.as_deref().filter(|sender| *sender != SYSTEM)
    }
}

/// The recipient's address at this name.
fn reach<'r>(recipient: &'r Recipient, name: &str) -> std::result::Result<&'r str, Fate> {
    if !recipient.exists {
        return Err(failed("there is no such user"));
    }
    address::of_user(&recipient.attributes, name)
        .ok_or_else(|| failed(&format!("the user has no attributes.{name}")))
}

fn failed(error: &str) -> Fate {
    Fate::Failed {
        sid: None,
        error: error.to_owned(),
    }
}

/// Works on a portion's next recipients, at most `most`.
///
/// # Errors
/// Whatever the database refuses.
pub(crate) async fn step(post: &Arc<Post>, portion: &Portion, most: usize) -> Result<Step> {
    match engine::load(&post.core, portion.key).await? {
        Some(campaign) => go(post, &campaign, portion.number, most).await,
        None => Ok(Step {
            done: 0,
            next: Next::Stopped,
        }),
    }
}

async fn go(post: &Arc<Post>, campaign: &campaign::Model, portion: i32, most: usize) -> Result<Step> {
    let core = &*post.core;
    let texts = Texts::of(campaign)?;
    let kind = if campaign.via == Kind::Email.name() {
        Kind::Email
    } else {
        Kind::Sms
    };
    let provider = providers::find(core.db.reader(), campaign.service_id, kind).await?;
    let done = find_out(post, &texts, provider.as_ref(), portion, most).await?;
    let at_once = most.min(match kind {
        Kind::Sms => SMS_AT_ONCE,
        Kind::Email => LETTERS,
    });
    let due = recipients::due(core, campaign, portion, at_once).await?;
    if due.is_empty() {
        recipients::note_next_moment(core, campaign, portion).await?;
        return Ok(Step {
            done,
            next: Next::Finished,
        });
    }
    let Some(provider) = provider else {
        let settlements: Vec<_> = due
            .iter()
            .map(|recipient| Settlement {
                place: recipient.place,
                fate: failed(&format!(
                    "the service has no provider for {kind}: set Providers/{kind}"
                )),
            })
            .collect();
        recipients::settle(core, campaign, &settlements).await?;
        return Ok(Step {
            done: done + settlements.len(),
            next: Next::More,
        });
    };
    let asked = due.len();
    // Before anybody is noted as handed over: whoever is gets called at once.
    let lines = post.lines(campaign.service_id, kind);
    let wanted = match kind {
        Kind::Sms => u32::try_from(asked).unwrap_or(u32::MAX),
        Kind::Email => 1,
    };
    let Ok(Ok(_held)) = timeout(PATIENCE, lines.acquire_many(wanted)).await else {
        return Ok(Step {
            done,
            next: Next::Busy,
        });
    };
    let settled = match kind {
        Kind::Sms => send_texts(post, &texts, &provider, due).await?,
        Kind::Email => send_letters(post, &texts, &provider, due).await?,
    };
    let Some(settled) = settled else {
        return Ok(Step {
            done,
            next: Next::Stopped,
        });
    };
    recipients::note_next_moment(core, campaign, portion).await?;
    Ok(Step {
        done: done + settled,
        next: if asked < at_once {
            Next::Finished
        } else {
            Next::More
        },
    })
}

/// Settles those who cannot be sent to, and hands the others over; `None` when nobody may be handed over any more.
async fn hand_over<W>(
    post: &Post,
    campaign: &campaign::Model,
    due: Vec<Recipient>,
    address: impl Fn(&Recipient) -> std::result::Result<W, Fate>,
) -> Result<(Option<Vec<Addressed<W>>>, usize)> {
    let core = &*post.core;
    let mut addressed = Vec::with_capacity(due.len());
    let mut settlements = Vec::new();
    let mut failures = 0;
    for recipient in due {
        match address(&recipient) {
            Ok(what) => addressed.push(Addressed { recipient, what }),
            Err(fate) => {
                failures += usize::from(matches!(fate, Fate::Failed { .. }));
                settlements.push(Settlement {
                    place: recipient.place,
                    fate,
                });
            }
        }
    }
    recipients::settle(core, campaign, &settlements).await?;
    if addressed.is_empty() {
        return Ok((Some(addressed), failures));
    }
    let places: Vec<i64> = addressed.iter().map(|one| one.recipient.place).collect();
    let ours = recipients::hand_over(core, campaign, &places).await?;
    if ours.is_empty() {
        return Ok((None, failures));
    }
    addressed.retain(|one| ours.contains(&one.recipient.place));
    for one in &mut addressed {
        one.recipient.attempts += 1;
    }
    Ok((Some(addressed), failures))
}

/// Sends SMS, all at the same time; answers how many recipients have a new status.
async fn send_texts(
    post: &Arc<Post>,
    texts: &Texts<'_>,
    provider: &provider::Model,
    due: Vec<Recipient>,
) -> Result<Option<usize>> {
    let campaign = texts.campaign;
    let sms = Sms::of(&post.core, provider)?;
    let (addressed, failures) = hand_over(post, campaign, due, |recipient| texts.text(recipient)).await?;
    let Some(addressed) = addressed else {
        return Ok(None);
    };
    let calls = addressed.into_iter().map(|one| {
        let sms = &sms;
        async move {
            let place = one.recipient.place;
            let text = Text {
                status_callback: recipients::status_url(&post.core, campaign.service_id, campaign.id, place),
                ..one.what
            };
            Settlement {
                place,
                fate: fate(sms.send(post, &text).await, &one.recipient, true),
            }
        }
    });
    let settlements = join_all(calls).await;
    Ok(Some(failures + settle(post, campaign, &settlements).await?))
}

/// Sends letters, one after the other; answers how many recipients have a new status.
async fn send_letters(
    post: &Arc<Post>,
    texts: &Texts<'_>,
    provider: &provider::Model,
    due: Vec<Recipient>,
) -> Result<Option<usize>> {
    let campaign = texts.campaign;
    let mail = Mail::of(post, provider)?;
    let (addressed, failures) = hand_over(post, campaign, due, |recipient| texts.letter(recipient)).await?;
    let Some(addressed) = addressed else {
        return Ok(None);
    };
    let until = Instant::now() + LETTERS_LIMIT;
    let mut settlements = Vec::with_capacity(addressed.len());
    for one in addressed {
        let fate = if Instant::now() < until {
            fate(mail.send(post, &one.what).await, &one.recipient, false)
        } else {
            Fate::Again {
                at: Timestamp::now(),
                error: "the mail server is slow".to_owned(),
            }
        };
        settlements.push(Settlement {
            place: one.recipient.place,
            fate,
        });
    }
    Ok(Some(failures + settle(post, campaign, &settlements).await?))
}

async fn settle(post: &Post, campaign: &campaign::Model, settlements: &[Settlement]) -> Result<usize> {
    recipients::settle(&post.core, campaign, settlements).await?;
    Ok(settlements
        .iter()
        .filter(|settlement| !matches!(settlement.fate, Fate::Again { .. } | Fate::Open { .. }))
        .count())
}

/// What follows a verdict. What is not known can be found out later, or not.
fn fate(verdict: Verdict, recipient: &Recipient, can_be_found_out: bool) -> Fate {
    match verdict {
        Verdict::Taken { sid } => Fate::Taken { sid },
        Verdict::Refused { sid, error } => Fate::Failed { sid, error },
        Verdict::Busy { error, .. } if recipient.attempts >= ATTEMPTS => Fate::Failed {
            sid: None,
            error: format!("gave up after {ATTEMPTS} attempts: {error}"),
        },
        Verdict::Busy { error, after } => {
            let doublings = u32::try_from(recipient.attempts - 1).unwrap_or(0).min(16);
            let wait = (FIRST_WAIT * 2_u32.pow(doublings)).min(LONGEST_WAIT);
            let asked = after.unwrap_or_default().min(LONGEST_ASKED);
            Fate::Again {
                at: Timestamp::now().plus(wait.max(asked)),
                error,
            }
        }
        Verdict::Unknown { error } if can_be_found_out => Fate::Open { error },
        Verdict::Unknown { error } => Fate::Lost { error },
    }
}

/// Finds out what became of those whose call has ended without an outcome; answers how many have a new status.
async fn find_out(
    post: &Arc<Post>,
    texts: &Texts<'_>,
    provider: Option<&provider::Model>,
    portion: i32,
    most: usize,
) -> Result<usize> {
    let core = &*post.core;
    let campaign = texts.campaign;
    let open = recipients::without_outcome(core, campaign, portion, most.min(SMS_AT_ONCE)).await?;
    let mut done = 0;
    for recipient in open {
        let fate = match provider.filter(|provider| provider.kind == Kind::Sms.name()) {
            Some(provider) => look_up(post, texts, provider, &recipient).await?,
            None => Fate::Lost {
                error: no_outcome(&recipient),
            },
        };
        let settlement = Settlement {
            place: recipient.place,
            fate,
        };
        // One after the other, so that two recipients with one number do not find the same message.
        done += settle(post, campaign, &[settlement]).await?;
    }
    Ok(done)
}

fn no_outcome(recipient: &Recipient) -> String {
    recipient
        .error
        .clone()
        .unwrap_or_else(|| "the process ended during the call".to_owned())
}

async fn look_up(
    post: &Arc<Post>,
    texts: &Texts<'_>,
    provider: &provider::Model,
    recipient: &Recipient,
) -> Result<Fate> {
    let lost = |why: &str| Fate::Lost {
        error: format!("{}; {why}", no_outcome(recipient)),
    };
    let Ok(text) = texts.text_as_it_was(recipient) else {
        return Ok(lost("the user has changed since, so it cannot be looked for"));
    };
    let sms = Sms::of(&post.core, provider)?;
    let since = recipient.handed_at.unwrap_or_else(Timestamp::now);
    let service = texts.campaign.service_id;
    let found = sms
        .look_up(post, &text, since, |sids| {
            let core = Arc::clone(&post.core);
            async move {
                recipients::known_sids(&core, service, &sids)
                    .await
                    .unwrap_or(sids)
            }
        })
        .await;
    Ok(match found {
        Ok(Some(verdict)) => fate(verdict, recipient, false),
        Ok(None) => lost("the provider does not list it"),
        Err(why) => lost(&format!("the provider could not be asked: {why}")),
    })
}
