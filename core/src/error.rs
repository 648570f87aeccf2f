//! One table of everything that can be refused. Codes are part of the contract: clients match on them.

use std::{borrow::Cow, fmt};

macro_rules! catalogue {
    ($($name:ident $code:literal $status:literal $message:literal;)*) => {
        /// What can be refused, each with its stable code, HTTP status and standard message.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ErrorCode {
            $(#[doc = $message] $name,)*
        }

        impl ErrorCode {
            /// Every entry, for documentation and tests.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The number that clients match on.
            #[must_use]
            pub const fn code(self) -> u32 {
                match self { $(Self::$name => $code,)* }
            }

            /// The HTTP status that goes with it.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }

            /// The standard message.
            #[must_use]
            pub const fn message(self) -> &'static str {
                match self { $(Self::$name => $message,)* }
            }

            /// The name in the catalogue.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }
        }
    };
}

catalogue! {
    InvalidParameter 20001 400 "Invalid or missing parameter";
    InvalidFriendlyName 20002 400 "Invalid FriendlyName";
    Unauthenticated 20003 401 "Authenticate: the account SID or API key, or its secret, is wrong";
    MethodNotAllowed 20004 405 "Method not allowed";
    AccountNotActive 20005 401 "Account not active";
    AccessDenied 20006 403 "Access denied";
    TokenInvalid 20101 401 "Invalid access token: it is missing or cannot be read";
    TokenIssuer 20103 401 "Invalid access token issuer or subject: unknown or deleted API key, or another account";
    TokenExpired 20104 401 "Access token expired, or its expiry is missing";
    TokenNotYetValid 20105 401 "Access token not yet valid";
    TokenGrants 20106 401 "Invalid access token grants: a chat grant with service_sid of an existing service, and an identity, are needed";
    TokenSignature 20107 401 "Access token signature invalid, or its algorithm is not HS256, HS384 or HS512";
    TokenLifetime 20157 401 "Access token lifetime over 24 hours";
    UpdateWithoutParameters 20161 400 "Update without parameters";
    Forbidden 20403 403 "Forbidden";
    NotFound 20404 404 "The requested resource was not found";
    Conflict 20409 409 "Conflict";
    TooLarge 20413 413 "Request entity too large";
    InvalidSid 20423 400 "Invalid SID";
    TooManyRequests 20429 429 "Too many requests";
    Internal 20500 500 "Internal server error";
    Unavailable 20503 503 "Service unavailable, try again";
    FriendlyNameMissing 50000 400 "FriendlyName is missing";
    FriendlyNameTooLong 50003 400 "FriendlyName is too long (at most 256 characters)";
    UniqueNameTooLong 50004 400 "UniqueName is too long (at most 256 characters)";
    ServiceNotFound 50050 404 "Service not found";
    ConsumptionIntervalFormat 50052 400 "ConsumptionReportInterval must be a whole number of seconds";
    TypingTimeoutFormat 50053 400 "TypingIndicatorTimeout must be a whole number of seconds, 1 to 60";
    WebhookFormat 50054 400 "A webhook URL must be an absolute http or https URL that may be called";
    WebhookMethod 50055 400 "WebhookMethod must be GET or POST";
    PreEventRejected 50056 403 "The action was rejected by a pre-event webhook";
    UserChannelsFormat 50060 400 "Limits.UserChannels must be a whole number from 1 to the plan's ceiling";
    ChannelMembersFormat 50061 400 "Limits.ChannelMembers must be a whole number from 1 to the plan's ceiling";
    WebhookRetryCount 50065 400 "A webhook retry count must be a whole number, 0 to 3";
    PreEventSilent 50076 503 "A pre-event webhook that must be asked did not answer, try again";
    RoleNotFound 50100 404 "Role not found";
    ChannelRoleRequired 50101 400 "A role of type channel is needed here";
    DeploymentRoleRequired 50102 400 "A role of type deployment is needed here";
    PermissionUnknown 50104 400 "Permission not found";
    RoleType 50105 400 "Type of a role must be channel or deployment";
    NotAuthorized 50107 403 "User not authorized for command";
    UserNotFound 50200 404 "User not found";
    UserExists 50201 409 "User already exists";
    IdentityReserved 50203 400 "Identity 'system' is reserved";
    IdentityMissing 50204 400 "Identity is missing";
    RoleNotSettable 50205 403 "User may not set a role";
    IdentityLooksLikeSid 50206 400 "Identity must not look like a user SID";
    IdentityTooLong 50207 400 "Identity is too long (at most 256 characters)";
    UserChannelLimit 50208 403 "The user's channel limit is reached";
    BindingType 50209 400 "BindingType must be apn, gcm or fcm";
    NotificationLevel 50210 400 "NotificationLevel must be default or muted";
    AlreadyInvited 50212 409 "User is already invited to the channel";
    ChannelNotFound 50300 404 "Channel not found";
    ChannelKeyMissing 50301 400 "The channel is missing: give its SID or unique_name";
    AttributesTooLong 50303 400 "Attributes are too long";
    AttributesNotJson 50304 400 "Attributes are not valid JSON";
    UniqueNameLooksLikeSid 50306 400 "UniqueName must not look like a channel SID";
    UniqueNameTaken 50307 409 "A channel with this UniqueName already exists";
    DateCreatedInvalid 50308 400 "DateCreated must be an ISO 8601 date, such as 2015-12-16T22:18:37Z";
    DateUpdatedInvalid 50309 400 "DateUpdated must be an ISO 8601 date, such as 2015-12-16T22:18:37Z";
    AuthorTooLong 50310 400 "The author is too long (at most 256 characters)";
    TooManyWebhooks 50321 400 "A channel can have at most 5 webhooks";
    TooManyTriggers 50322 400 "A webhook can have at most 5 triggers";
    ChannelWebhookType 50324 400 "Type must be webhook, trigger or studio";
    ChannelWebhookFilter 50325 400 "Configuration.Filters must name post-events";
    ChannelWebhookTrigger 50326 400 "Configuration.Triggers must be keywords";
    ChannelWebhookFlowSid 50327 400 "Configuration.FlowSid must be FW and 32 hexadecimal digits";
    ChannelWebhookTypeMissing 50328 400 "Type is missing: webhook, trigger or studio";
    ChannelWebhookUrlMissing 50329 400 "Configuration.Url is missing";
    ChannelWebhookFilterMissing 50330 400 "Configuration.Filters is missing";
    ChannelWebhookTriggerMissing 50331 400 "Configuration.Triggers is missing";
    ChannelWebhookUrlTooLong 50332 400 "Configuration.Url is too long (at most 2048 characters)";
    NotAMember 50400 403 "User is not a member of the channel";
    MemberNotFound 50402 404 "Member not found";
    ChannelMemberLimit 50403 403 "The channel's member limit is reached";
    MemberExists 50404 409 "Member already exists";
    ConsumptionTimestamp 50405 400 "LastConsumptionTimestamp must be an ISO 8601 date";
    ConsumedIndex 50406 400 "LastConsumedMessageIndex must be a whole number of 0 or more";
    MessageNotFound 50500 404 "Message not found";
    BodyTooLong 50504 400 "Message body is too long (at most 32768 bytes of UTF-8)";
    LastUpdatedByTooLong 50505 400 "LastUpdatedBy is too long (at most 256 characters)";
    MediaNotFound 50507 400 "Media not found";
    MessageIndexFormat 50516 400 "The message index must be a whole number of 0 or more";
    InviteNotFound 50601 404 "Invite not found";
    InviteNotDeclinable 50602 409 "The invite cannot be declined: the user is a member already";
}

/// A refusal: an entry of the catalogue, and a message that names the field or the missing permission.
pub struct Error {
    code: ErrorCode,
    message: Cow<'static, str>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// What domain functions return.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// A refusal with the catalogue's own message.
    #[must_use]
    pub fn new(code: ErrorCode) -> Self {
        Self {
            code,
            message: Cow::Borrowed(code.message()),
            source: None,
        }
    }

    /// A refusal with a message of its own.
    #[must_use]
    pub fn with(code: ErrorCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            code,
            message: message.into(),
            source: None,
        }
    }

    /// Something of ours failed. The caller sees the code only; the cause is for the log.
    #[must_use]
    pub fn internal(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self {
            code: ErrorCode::Internal,
            message: Cow::Borrowed(ErrorCode::Internal.message()),
            source: Some(source.into()),
        }
    }

    /// A dependency of ours is away for now.
    #[must_use]
    pub fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self {
            code: ErrorCode::Unavailable,
            message: Cow::Borrowed(ErrorCode::Unavailable.message()),
            source: Some(source.into()),
        }
    }

    /// `20001`: a parameter is missing or wrong; `field` is named first.
    #[must_use]
    pub fn parameter(field: &str, problem: &str) -> Self {
        Self::with(ErrorCode::InvalidParameter, format!("{field} {problem}"))
    }

    /// `20404` for a path under the service, such as `/Services/IS…/Channels/x`.
    #[must_use]
    pub fn not_found(path: impl fmt::Display) -> Self {
        Self::with(
            ErrorCode::NotFound,
            format!("The requested resource {path} was not found"),
        )
    }

    /// `50107`, naming the right that the caller's roles lack.
    #[must_use]
    pub fn lacks(permission: &str) -> Self {
        Self::with(
            ErrorCode::NotAuthorized,
            format!("User not authorized for command: the permission {permission} is missing"),
        )
    }

    /// The entry of the catalogue.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// The message for the caller.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where the code is explained.
    #[must_use]
    pub fn more_info(&self) -> String {
        format!("https://www.twilio.com/docs/errors/{}", self.code.code())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.code.code())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")?;
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}

impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

impl From<ErrorCode> for Error {
    fn from(code: ErrorCode) -> Self {
        Self::new(code)
    }
}
