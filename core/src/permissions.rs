//! What a role may allow, and the default roles of a new service.

use std::fmt;

use sea_orm::DeriveValueType;
use serde::{Deserialize, Serialize};

macro_rules! permissions {
    ($($name:ident $text:literal $scope:ident;)*) => {
        /// A right. Its discriminant is its bit in [`Permissions`]: append only, never reorder.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Permission {
            $(#[doc = $text] $name,)*
        }

        impl Permission {
            /// Every right, in the order in which they are shown.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// In which types of role it may stand.
            #[must_use]
            pub const fn scope(self) -> PermissionScope {
                match self { $(Self::$name => PermissionScope::$scope,)* }
            }
        }
    };
}

/// In which types of role a right may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PermissionScope {
    /// Roles of type `deployment` only.
    Deployment,
    /// Roles of type `channel` only.
    Channel,
    /// Either; in a deployment role it counts in every channel.
    Both,
}

permissions! {
    CreateChannel "createChannel" Deployment;
    JoinChannel "joinChannel" Deployment;
    DestroyChannel "destroyChannel" Both;
    EditChannelName "editChannelName" Both;
    EditChannelAttributes "editChannelAttributes" Both;
    InviteMember "inviteMember" Both;
    AddMember "addMember" Both;
    RemoveMember "removeMember" Both;
    EditOwnMemberAttributes "editOwnMemberAttributes" Channel;
    EditAnyMemberAttributes "editAnyMemberAttributes" Both;
    SendMessage "sendMessage" Channel;
    SendMediaMessage "sendMediaMessage" Channel;
    LeaveChannel "leaveChannel" Channel;
    EditOwnMessage "editOwnMessage" Both;
    EditAnyMessage "editAnyMessage" Both;
    EditOwnMessageAttributes "editOwnMessageAttributes" Both;
    EditAnyMessageAttributes "editAnyMessageAttributes" Both;
    DeleteOwnMessage "deleteOwnMessage" Channel;
    DeleteAnyMessage "deleteAnyMessage" Both;
    EditNotificationLevel "editNotificationLevel" Channel;
    EditOwnUserInfo "editOwnUserInfo" Both;
    EditAnyUserInfo "editAnyUserInfo" Both;
}

impl Permission {
    /// Reads the name on the wire.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|permission| permission.name() == text)
    }
}

impl fmt::Display for Permission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of rights, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, DeriveValueType)]
#[serde(transparent)]
pub struct Permissions(pub i64);

impl Permissions {
    /// The set of these.
    #[must_use]
    pub fn of(permissions: &[Permission]) -> Self {
        Self(
            permissions
                .iter()
                .fold(0, |bits, permission| bits | bit(*permission)),
        )
    }

    /// Whether the right is in it.
    #[must_use]
    pub fn has(self, permission: Permission) -> bool {
        self.0 & bit(permission) != 0
    }

    /// Both together.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The names, in the order of [`Permission::ALL`].
    #[must_use]
    pub fn names(self) -> Vec<&'static str> {
        Permission::ALL
            .iter()
            .filter(|permission| self.has(**permission))
            .map(|permission| permission.name())
            .collect()
    }
}

fn bit(permission: Permission) -> i64 {
    1 << (permission as u8)
}

/// A role that every new service begins with.
pub struct DefaultRole {
    /// Its `friendly_name`.
    pub name: &'static str,
    /// `deployment` or `channel`.
    pub kind: &'static str,
    /// Its rights.
    pub permissions: &'static [Permission],
}

use Permission as P;

/// `service admin`: may do everything in every channel, except speak for others.
pub const SERVICE_ADMIN: DefaultRole = DefaultRole {
    name: "service admin",
    kind: "deployment",
    permissions: &[
        P::CreateChannel,
        P::JoinChannel,
        P::DestroyChannel,
        P::EditChannelAttributes,
        P::EditChannelName,
        P::AddMember,
        P::InviteMember,
        P::RemoveMember,
        P::EditAnyMemberAttributes,
        P::EditAnyMessage,
        P::DeleteAnyMessage,
        P::EditAnyMessageAttributes,
        P::EditAnyUserInfo,
    ],
};

/// `service user`: the default service role.
pub const SERVICE_USER: DefaultRole = DefaultRole {
    name: "service user",
    kind: "deployment",
    permissions: &[P::CreateChannel, P::JoinChannel, P::EditOwnUserInfo],
};

/// `channel admin`: the default role of a channel's creator.
pub const CHANNEL_ADMIN: DefaultRole = DefaultRole {
    name: "channel admin",
    kind: "channel",
    permissions: &[
        P::AddMember,
        P::DeleteAnyMessage,
        P::DestroyChannel,
        P::EditAnyMessage,
        P::EditAnyMessageAttributes,
        P::EditAnyMemberAttributes,
        P::EditChannelAttributes,
        P::EditChannelName,
        P::EditNotificationLevel,
        P::InviteMember,
        P::LeaveChannel,
        P::RemoveMember,
        P::SendMessage,
        P::SendMediaMessage,
    ],
};

/// `channel user`: the default role of a channel's members.
pub const CHANNEL_USER: DefaultRole = DefaultRole {
    name: "channel user",
    kind: "channel",
    permissions: &[
        P::SendMessage,
        P::LeaveChannel,
        P::EditOwnMessage,
        P::DeleteOwnMessage,
        P::SendMediaMessage,
        P::EditOwnMessageAttributes,
        P::EditOwnMemberAttributes,
        P::EditNotificationLevel,
    ],
};
