//! Where a recipient stands, and which way leads on from there.

/// Where a recipient stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Standing {
    /// To be sent to.
    Pending,
    /// Sent to.
    Sent,
    /// It has arrived.
    Delivered,
    /// It was read.
    Read,
    /// It was answered.
    Replied,
    /// It could not be sent, or did not arrive.
    Failed,
    /// Left out.
    Skipped,
}

/// How an error begins that leaves open whether the message was sent.
pub(crate) const UNKNOWN: &str = "outcome unknown";

impl Standing {
    /// All, in the order of the columns of a portion.
    pub(crate) const ALL: [Self; 7] = [
        Self::Pending,
        Self::Sent,
        Self::Delivered,
        Self::Read,
        Self::Replied,
        Self::Failed,
        Self::Skipped,
    ];

    /// The name in the ledger.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Read => "read",
            Self::Replied => "replied",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        }
    }

    /// The column that counts it in a portion.
    pub(crate) fn column(self) -> &'static str {
        match self {
            // It is a keyword.
            Self::Read => "read_count",
            other => other.name(),
        }
    }

    /// Reads the name.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|standing| standing.name() == text)
    }

    /// Whether news of this kind move a recipient on who stands here, with this error: the way leads forward only, but a
    /// failure that left open what had happened is put right.
    pub(crate) fn gives_way_to(self, news: Self, error: Option<&str>) -> bool {
        let rank = |standing: Self| Self::ALL.iter().position(|it| *it == standing);
        match (self, news) {
            (_, Self::Pending | Self::Skipped) => false,
            (Self::Failed, Self::Sent | Self::Delivered | Self::Read) => {
                error.is_some_and(|error| error.starts_with(UNKNOWN))
            }
            // It was on its way when the campaign was cancelled.
            (Self::Skipped, _) => true,
            (Self::Failed, _) => false,
            (here, Self::Failed) => matches!(here, Self::Pending | Self::Sent),
            (here, news) => rank(news) > rank(here),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_leads_forward() {
        use Standing::{Delivered, Failed, Pending, Read, Replied, Sent, Skipped};
        let moves = |here: Standing, news: Standing| here.gives_way_to(news, Some("21211: no number"));
        assert!(
            moves(Pending, Sent) && moves(Pending, Delivered) && moves(Sent, Read) && moves(Sent, Failed)
        );
        assert!(moves(Pending, Failed) && moves(Skipped, Sent));
        for (here, news) in [
            (Delivered, Sent),
            (Read, Delivered),
            (Replied, Read),
            (Delivered, Failed),
            (Failed, Sent),
            (Failed, Failed),
            (Sent, Skipped),
        ] {
            assert!(!moves(here, news), "{here:?} {news:?}");
        }
        assert!(Failed.gives_way_to(Delivered, Some("outcome unknown: timed out")));
        for standing in Standing::ALL {
            assert_eq!(Standing::parse(standing.name()), Some(standing));
        }
    }
}
