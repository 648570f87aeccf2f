//! The fields of each resource that a filter may name beside its attributes: those of its REST JSON.

/// How the values of a field compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// By code point.
    Text,
    /// A SID with these two letters; it compares as the text that it is.
    Sid(&'static str),
    /// A whole number.
    Number,
    /// true or false.
    Truth,
    /// A point in time, at the whole second that answers show.
    Date,
}

/// A field of a resource's own.
#[derive(Debug, PartialEq, Eq)]
pub struct OwnField {
    /// Its name in the REST JSON.
    pub name: &'static str,
    /// How its values compare.
    pub kind: Kind,
    /// The column that holds it, or an expression in SQL: a text in quotes, or one in which `{}` is the row.
    pub(crate) column: &'static str,
    /// Whether it can be null.
    pub(crate) nullable: bool,
    /// Whether an index of the database has it behind the list's scope, in the order in which its values compare: the
    /// table's key, or `ix_TABLE_COLUMN`.
    pub(crate) indexed: bool,
}

impl OwnField {
    const fn new(name: &'static str, kind: Kind, column: &'static str) -> Self {
        Self {
            name,
            kind,
            column,
            nullable: false,
            indexed: false,
        }
    }

    const fn nullable(mut self) -> Self {
        self.nullable = true;
        self
    }

    const fn indexed(mut self) -> Self {
        self.indexed = true;
        self
    }
}

/// A kind of resource whose lists take filters.
#[derive(Debug, PartialEq, Eq)]
pub struct Subject {
    /// Its name in the plural, as the REST paths have it.
    pub name: &'static str,
    /// Its own fields.
    pub fields: &'static [OwnField],
}

impl Subject {
    /// The field of this name.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'static OwnField> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// The channels of a service.
pub static CHANNELS: Subject = Subject {
    name: "channels",
    fields: &[
        OwnField::new("sid", Kind::Sid("CH"), "id").indexed(),
        OwnField::new("unique_name", Kind::Text, "unique_name").nullable(),
        OwnField::new("friendly_name", Kind::Text, "friendly_name")
            .nullable()
            .indexed(),
        OwnField::new("type", Kind::Text, "kind"),
        OwnField::new("created_by", Kind::Text, "created_by").indexed(),
        OwnField::new("members_count", Kind::Number, "members_count"),
        OwnField::new("messages_count", Kind::Number, "messages_count"),
        OwnField::new("date_created", Kind::Date, "date_created").indexed(),
        OwnField::new("date_updated", Kind::Date, "date_updated").indexed(),
        OwnField::new("state", Kind::Text, "case_state").nullable(),
        OwnField::new("assignee", Kind::Text, "assignee").nullable(),
        OwnField::new("pool_sid", Kind::Sid("OP"), "pool_id").nullable(),
        OwnField::new("date_snoozed_until", Kind::Date, "snoozed_until").nullable(),
        OwnField::new("last_message_at", Kind::Date, "last_message_at").nullable(),
        // Removed messages are not taken off: a filter looks at one row.
        OwnField::new(
            "unread_messages_count",
            Kind::Number,
            "({}.next_index - 1 - COALESCE({}.pool_read_index, -1))",
        ),
    ],
};

/// The members of a channel.
pub static MEMBERS: Subject = Subject {
    name: "members",
    fields: &[
        OwnField::new("sid", Kind::Sid("MB"), "id").indexed(),
        OwnField::new("identity", Kind::Text, "identity"),
        OwnField::new("role_sid", Kind::Sid("RL"), "role_id"),
        OwnField::new(
            "last_consumed_message_index",
            Kind::Number,
            "last_consumed_message_index",
        )
        .nullable(),
        OwnField::new(
            "last_consumption_timestamp",
            Kind::Date,
            "last_consumption_timestamp",
        )
        .nullable(),
        OwnField::new("date_created", Kind::Date, "date_created"),
        OwnField::new("date_updated", Kind::Date, "date_updated"),
    ],
};

/// The users of a service.
pub static USERS: Subject = Subject {
    name: "users",
    fields: &[
        OwnField::new("sid", Kind::Sid("US"), "id").indexed(),
        OwnField::new("identity", Kind::Text, "identity"),
        OwnField::new("friendly_name", Kind::Text, "friendly_name")
            .nullable()
            .indexed(),
        OwnField::new("role_sid", Kind::Sid("RL"), "role_id"),
        OwnField::new("joined_channels_count", Kind::Number, "joined_channels_count"),
        OwnField::new("date_created", Kind::Date, "date_created").indexed(),
        OwnField::new("date_updated", Kind::Date, "date_updated").indexed(),
    ],
};

/// The messages of a channel.
pub static MESSAGES: Subject = Subject {
    name: "messages",
    fields: &[
        OwnField::new("sid", Kind::Sid("IM"), "id").indexed(),
        OwnField::new("index", Kind::Number, "idx").indexed(),
        OwnField::new("from", Kind::Text, "author"),
        OwnField::new("body", Kind::Text, "body").nullable(),
        OwnField::new("type", Kind::Text, "'text'"),
        OwnField::new("last_updated_by", Kind::Text, "last_updated_by").nullable(),
        OwnField::new("was_edited", Kind::Truth, "was_edited"),
        OwnField::new("date_created", Kind::Date, "date_created"),
        OwnField::new("date_updated", Kind::Date, "date_updated"),
    ],
};

/// A user's channels. Their attributes are those of the channels.
pub static USER_CHANNELS: Subject = Subject {
    name: "user channels",
    fields: &[
        OwnField::new("channel_sid", Kind::Sid("CH"), "channel_id"),
        OwnField::new("member_sid", Kind::Sid("MB"), "id"),
        OwnField::new("status", Kind::Text, "status"),
        OwnField::new("notification_level", Kind::Text, "notification_level"),
        OwnField::new(
            "last_consumed_message_index",
            Kind::Number,
            "last_consumed_message_index",
        )
        .nullable(),
        OwnField::new("unread_messages_count", Kind::Number, "unread_messages_count").nullable(),
    ],
};
