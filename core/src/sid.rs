//! Typed identifiers. A SID is two letters and 32 lower-case hex digits; behind it is a time-ordered UUID (v7).

use std::{fmt, str::FromStr};

use sea_orm::{
    ColIdx, DbErr, QueryResult, TryFromU64, TryGetError, TryGetable,
    sea_query::{ArrayType, ColumnType, Nullable, Value, ValueType, ValueTypeErr},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

use crate::timestamp::Timestamp;

/// A text that is not the SID that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a {prefix} SID ({prefix} and 32 hexadecimal digits)")]
pub struct InvalidSid {
    /// The letters that the SID must begin with.
    pub prefix: &'static str,
    /// What was given.
    pub text: String,
}

/// Whether `text` has the form of a SID that begins with `prefix` (letters exact, digits in either case).
#[must_use]
pub fn looks_like(prefix: &str, text: &str) -> bool {
    text.len() == 34 && text.starts_with(prefix) && text.as_bytes()[2..].iter().all(u8::is_ascii_hexdigit)
}

fn parse(prefix: &'static str, text: &str) -> Result<Uuid, InvalidSid> {
    let invalid = || InvalidSid {
        prefix,
        text: text.chars().take(80).collect(),
    };
    if !looks_like(prefix, text) {
        return Err(invalid());
    }
    Uuid::try_parse(&text[2..]).map_err(|_| invalid())
}

/// The smallest identifier that is made at this moment: lists in the order of SIDs are cut by time with it.
pub(crate) fn first_at(moment: Timestamp) -> Uuid {
    let millis = <u64 as TryFrom<i64>>::try_from(moment.0 / 1000)
        .unwrap_or(0)
        .min((1 << 48) - 1);
    Uuid::from_u128(u128::from(millis) << 80)
}

macro_rules! sids {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub Uuid);

        impl $name {
            /// The two letters in front.
            pub const PREFIX: &'static str = $prefix;

            /// A new identifier, later ones sorting after earlier ones of the same process.
            #[must_use]
            pub fn generate() -> Self {
                Self(Uuid::now_v7())
            }

            /// Whether `text` has the form of this kind of SID.
            #[must_use]
            pub fn matches(text: &str) -> bool {
                looks_like($prefix, text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = InvalidSid;
            fn from_str(text: &str) -> Result<Self, InvalidSid> {
                parse($prefix, text).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                text.parse().map_err(de::Error::custom)
            }
        }

        impl From<$name> for Value {
            fn from(sid: $name) -> Self {
                Value::Uuid(Some(sid.0.into()))
            }
        }

        impl From<&$name> for Value {
            fn from(sid: &$name) -> Self {
                (*sid).into()
            }
        }

        impl TryGetable for $name {
            fn try_get_by<I: ColIdx>(row: &QueryResult, index: I) -> Result<Self, TryGetError> {
                Uuid::try_get_by(row, index).map(Self)
            }
        }

        impl ValueType for $name {
            fn try_from(value: Value) -> Result<Self, ValueTypeErr> {
                <Uuid as ValueType>::try_from(value).map(Self)
            }
            fn type_name() -> String {
                stringify!($name).to_owned()
            }
            fn array_type() -> ArrayType {
                <Uuid as ValueType>::array_type()
            }
            fn column_type() -> ColumnType {
                <Uuid as ValueType>::column_type()
            }
        }

        impl Nullable for $name {
            fn null() -> Value {
                Uuid::null()
            }
        }

        impl TryFromU64 for $name {
            fn try_from_u64(_: u64) -> Result<Self, DbErr> {
                Err(DbErr::ConvertFromU64(stringify!($name)))
            }
        }

    )*};
}

sids! {
    /// An account: the tenant.
    AccountSid = "AC";
    /// An API key of an account.
    ApiKeySid = "SK";
    /// A service instance: an isolated silo of users and channels.
    ServiceSid = "IS";
    /// A role: a named set of permissions.
    RoleSid = "RL";
    /// A user of a service.
    UserSid = "US";
    /// A channel.
    ChannelSid = "CH";
    /// A user's membership of one channel.
    MemberSid = "MB";
    /// A message.
    MessageSid = "IM";
    /// A media file.
    MediaSid = "ME";
    /// An event.
    EventSid = "EV";
    /// A webhook delivery in the ledger.
    DeliverySid = "WD";
    /// An invite to a channel.
    InviteSid = "IN";
    /// A device that push notifications go to.
    BindingSid = "BS";
    /// The credentials of a push service.
    CredentialSid = "CR";
    /// A webhook of a channel.
    WebhookSid = "WH";
    /// A webhook endpoint of a service.
    WebhookEndpointSid = "WE";
    /// A declared index over an attribute.
    AttributeIndexSid = "AI";
    /// An entry of the audit log.
    AuditEventSid = "AE";
    /// An audience: whom campaigns go to.
    AudienceSid = "AU";
    /// A campaign, or a broadcast.
    CampaignSid = "CP";
    /// A pool of operators.
    OperatorPoolSid = "OP";
    /// A request to the REST door.
    RequestSid = "RQ";
}
