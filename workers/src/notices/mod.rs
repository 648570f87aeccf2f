//! Sends notices of missed messages: walks on in the messages of each service that wants them, and sends what is due.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use hubbub_core::{
    Result, Timestamp,
    entities::provider,
    notices::{self, BODY, Fate, LEASE, Notice, NoticeText, SUBJECT, Walked},
    providers::address,
    sid::ServiceSid,
};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use crate::post::{Letter, Mail, Post, Verdict};

/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(1);
/// How many goes through one service's messages a round makes, so that others have their turn.
const GOES: usize = 10;
/// How many notices are handed over together.
const AT_ONCE: i64 = 10;
/// How often a notice is tried that the server does not take for now.
const ATTEMPTS: i32 = 6;
/// How long the first of these waits; each waits twice as long as the one before.
const FIRST_WAIT: Duration = Duration::from_secs(5);

/// Works until stopped.
pub(super) async fn run(post: Arc<Post>, stop: CancellationToken) {
    let mut ticks = tokio::time::interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut walker = Walker {
        post,
        leases: HashMap::new(),
    };
    let mut away = false;
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        match walker.round(&stop).await {
            Ok(()) => away = false,
            Err(error) => {
                if !away {
                    tracing::warn!(
                        ?error,
                        "notices of missed messages could not be worked on; trying again"
                    );
                }
                away = true;
            }
        }
    }
}

/// What is known of a service's lease.
struct Lease {
    /// How far its messages were looked through, when it is in hand.
    place: Option<i64>,
    /// When to ask again.
    until: Instant,
}

struct Walker {
    post: Arc<Post>,
    leases: HashMap<ServiceSid, Lease>,
}

impl Walker {
    async fn round(&mut self, stop: &CancellationToken) -> Result<()> {
        let wanted = notices::wanted(&self.post.core).await?;
        self.leases
            .retain(|service, _| wanted.iter().any(|provider| provider.service_id == *service));
        if wanted.is_empty() {
            return Ok(());
        }
        let reach = notices::reach(&self.post.core).await?;
        for provider in wanted {
            if stop.is_cancelled() {
                return Ok(());
            }
            // One service's trouble is not the others'.
            if let Err(error) = self.serve(&provider, reach, stop).await {
                self.leases.remove(&provider.service_id);
                tracing::warn!(
                    ?error,
                    service = %provider.service_id,
                    "a service's notices could not be worked on; trying again"
                );
            }
        }
        Ok(())
    }

    /// Goes on with one service.
    async fn serve(
        &mut self,
        provider: &provider::Model,
        reach: i64,
        stop: &CancellationToken,
    ) -> Result<()> {
        for _ in 0..GOES {
            let Some(place) = self.place(provider.service_id, reach).await? else {
                return Ok(());
            };
            let walked = notices::scan(&self.post.core, provider, place, reach).await?;
            match walked {
                Walked::On(place) => {
                    if let Some(lease) = self.leases.get_mut(&provider.service_id) {
                        lease.place = Some(place);
                    }
                }
                Walked::Through => {}
                Walked::Lost => {
                    self.leases.remove(&provider.service_id);
                    return Ok(());
                }
            }
            let sent = send(&self.post, provider).await?;
            if (walked == Walked::Through && !sent) || stop.is_cancelled() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// How far the service was looked through, when it is in hand.
    async fn place(&mut self, service: ServiceSid, reach: i64) -> Result<Option<i64>> {
        let now = Instant::now();
        if let Some(lease) = self.leases.get(&service)
            && now < lease.until
        {
            return Ok(lease.place);
        }
        let place = notices::lease(&self.post.core, service, reach).await?;
        let until = now + LEASE / 3;
        self.leases.insert(service, Lease { place, until });
        Ok(place)
    }
}

/// Sends what is due, some at a time; true when there was something.
async fn send(post: &Arc<Post>, provider: &provider::Model) -> Result<bool> {
    let due = notices::due(&post.core, provider.service_id, AT_ONCE).await?;
    if due.is_empty() {
        return Ok(false);
    }
    let mail = Mail::of(post, provider)?;
    let text = |field: &str, given: &Option<String>, own: &str| {
        NoticeText::parse(field, given.as_deref().unwrap_or(own))
    };
    let subject = text("NoticeSubject", &provider.notice_subject, SUBJECT)?;
    let body = text("NoticeBody", &provider.notice_body, BODY)?;
    for notice in due {
        let fate = match letter(&notice, &subject, &body) {
            Some(letter) => fate(mail.send(post, &letter).await, &notice),
            None => Fate::Failed("attributes.email is not an address".to_owned()),
        };
        notices::settle(&post.core, &notice, &fate).await?;
    }
    Ok(true)
}

fn letter(notice: &Notice, subject: &NoticeText, body: &NoticeText) -> Option<Letter> {
    Some(Letter {
        to: address::mailbox(address::of_user(&notice.attributes, "email")?)?,
        from: None,
        subject: subject.fill(notice),
        body: body.fill(notice),
        id: format!("{}.{}.{}", notice.channel, notice.message_index, notice.attempts),
    })
}

fn fate(verdict: Verdict, notice: &Notice) -> Fate {
    match verdict {
        Verdict::Taken { .. } => Fate::Sent,
        Verdict::Refused { error, .. } => Fate::Failed(error),
        Verdict::Unknown { error } => Fate::Failed(format!("outcome unknown: {error}")),
        Verdict::Busy { error, .. } if notice.attempts >= ATTEMPTS => Fate::Failed(error),
        Verdict::Busy { error, after } => {
            let doublings = u32::try_from(notice.attempts - 1).unwrap_or(0).min(16);
            let wait = (FIRST_WAIT * 2_u32.pow(doublings)).max(after.unwrap_or_default());
            Fate::Again(Timestamp::now().plus(wait), error)
        }
    }
}
