import { attributes, date } from "./wire.js";

/** What a channel looked like when it was asked for. */
export class ChannelDescriptor {
  #session;

  constructor(session, { channel, status = "unknown", last_consumed_message_index: horizon = null }) {
    this.#session = session;
    this.sid = channel.sid;
    this.uniqueName = channel.unique_name;
    this.friendlyName = channel.friendly_name;
    this.type = channel.type;
    this.isPrivate = channel.type === "private";
    this.attributes = attributes(channel.attributes);
    this.createdBy = channel.created_by;
    this.dateCreated = date(channel.date_created);
    this.dateUpdated = date(channel.date_updated);
    this.messagesCount = channel.messages_count;
    this.membersCount = channel.members_count;
    this.status = status;
    this.lastConsumedMessageIndex = horizon;
  }

  /** The channel itself, which follows changes. */
  async getChannel() {
    return this.#session.channels.get(this.sid) ?? this.#session.channels.fetch(this.sid);
  }
}
