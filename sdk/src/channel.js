import { Emitter } from "./emitter.js";
import { HubbubError } from "./errors.js";
import { Horizon } from "./horizon.js";
import { Members } from "./members.js";
import { Messages } from "./messages.js";
import { assign, attributes, attributesText, date, given } from "./wire.js";

/** A channel, and the user's place in it. */
export class Channel extends Emitter {
  #session;
  #horizon;
  #lastTyping = -Infinity;
  /** Messages up to this index are in the unread count. */
  #counted = -1;

  constructor(session, wire) {
    super(session.backlog);
    this.#session = session;
    this.#horizon = new Horizon(session, this);
    /** @internal */
    this._messages = new Messages(session, this);
    /** @internal */
    this._members = new Members(session, this);
    /** @internal The last event of it that was told. */
    this._seq = 0;
    this.sid = wire.sid;
    this.status = "unknown";
    this.lastConsumedMessageIndex = null;
    this.unconsumedMessagesCount = null;
    this.notificationLevel = "default";
    this.lastMessage = null;
    this._apply(wire);
  }

  get isPrivate() {
    return this.type === "private";
  }

  // --- members

  async add(identity) {
    await this.#ask("addMember", { identity });
  }

  async invite(identity) {
    await this.#ask("inviteMember", { identity });
  }

  /** Joins it; an invited user accepts. */
  async join() {
    const verb = this.status === "invited" ? "acceptInvite" : "joinChannel";
    this.#session.channels.note(await this.#ask(verb, {}));
    return this;
  }

  async leave() {
    await this.#ask("leaveChannel", {});
    this._became("notParticipating");
    return this;
  }

  async decline() {
    await this.#ask("declineInvite", {});
    this._became("notParticipating");
    return this;
  }

  async delete() {
    await this.#ask("removeChannel", {});
    this.#session.channels.removed(this);
    return this;
  }

  async removeMember(member) {
    await this.#ask("removeMember", { identity: typeof member === "string" ? member : member.identity });
  }

  async getMembers() {
    return this._members.all();
  }

  async getMembersCount() {
    return (await this.#read()).members_count;
  }

  async getMemberBySid(sid) {
    return this._members.bySid(sid);
  }

  async getMemberByIdentity(identity) {
    return this._members.byIdentity(identity);
  }

  async getUserDescriptors() {
    return this.#session.userDescriptors(this);
  }

  // --- messages

  /**
   * Says something. It shows up as sending at once (`messageSending`, `pendingMessages`) and goes out when there is a
   * connection, exactly once.
   * @returns the message's index, when the server has it
   */
  sendMessage(body, messageAttributes) {
    if (typeof body !== "string") {
      return Promise.reject(new HubbubError("a message is a text; media cannot be sent yet", { reason: "usage" }));
    }
    this.#lastTyping = -Infinity;
    return this.#session.outbox.send(this, body, attributesText(messageAttributes));
  }

  /** The messages that are kept, in order; not the ones that are being sent. */
  get messages() {
    return this._messages.kept;
  }

  /** The messages that are being sent or have failed, in the order said. */
  get pendingMessages() {
    return this.#session.outbox.of(this);
  }

  /** Forgets the messages that are kept. */
  dropMessages() {
    this._messages.drop();
  }

  async getMessages(pageSize, anchor, direction) {
    return this._messages.page(pageSize, anchor, direction);
  }

  async getMessagesCount() {
    return (await this.#read()).messages_count;
  }

  /** Null until a horizon was set. */
  async getUnconsumedMessagesCount() {
    return (await this.#read()).unread_messages_count;
  }

  // --- the read horizon

  /** Moves the horizon forward, never back. @returns the number of unread messages */
  async advanceLastConsumedMessageIndex(index) {
    return this.#horizon.advance(index);
  }

  /** Puts the horizon anywhere. @returns the number of unread messages */
  async updateLastConsumedMessageIndex(index) {
    return this.#place({ last_consumed_message_index: index });
  }

  async setAllMessagesConsumed() {
    const { last_message: last } = await this.#read();
    return last ? this.updateLastConsumedMessageIndex(last.index) : this.unconsumedMessagesCount;
  }

  async setNoMessagesConsumed() {
    return this.#place({ last_consumed_message_index: null });
  }

  // --- the rest

  async setUserNotificationLevel(level) {
    await this.#place({ notification_level: level });
  }

  /** Tells the others that the user types. May be called at every key: the server hears of it now and then. */
  async typing() {
    const now = Date.now();
    if (now - this.#lastTyping < this.#session.settings.typingInterval) return;
    this.#lastTyping = now;
    this.#session.mention("typing", { channel: this.sid });
  }

  async getAttributes() {
    return this.attributes;
  }

  async updateAttributes(value) {
    return this.#update({ attributes: attributesText(value) });
  }

  async updateFriendlyName(friendlyName) {
    return this.#update({ friendly_name: friendlyName });
  }

  async updateUniqueName(uniqueName) {
    return this.#update({ unique_name: uniqueName ?? "" });
  }

  async #update(fields) {
    this._updated(await this.#ask("updateChannel", fields, { again: true }));
    return this;
  }

  async #place(fields) {
    const place = await this.#ask("updateUserChannel", fields, { again: true });
    this._read(place);
    return place.unread_messages_count;
  }

  /** The channel as it is now. */
  async #read() {
    for (;;) {
      const counted = this.#counted;
      const entry = await this.#ask("getChannel", {}, { again: true });
      // An answer that a message has overtaken would put the count back.
      if (this.#counted > counted && !(entry.last_message?.index >= this.#counted)) continue;
      this.#session.channels.note(entry);
      return entry;
    }
  }

  #ask(verb, fields, options) {
    return this.#session.request(verb, { channel: this.sid, ...given(fields) }, options);
  }

  // --- what the session tells it

  /** @internal @returns what changed */
  _apply(wire) {
    return assign(this, {
      uniqueName: wire.unique_name,
      friendlyName: wire.friendly_name,
      type: wire.type,
      attributes: attributes(wire.attributes),
      createdBy: wire.created_by,
      dateCreated: date(wire.date_created),
      dateUpdated: date(wire.date_updated),
    });
  }

  /** @internal The channel looks like this now. */
  _updated(wire) {
    this._tell(this._apply(wire));
  }

  /** @internal The user's place, as `getChannels` and others tell it. @returns what changed */
  _applyPlace(entry) {
    if (entry.status !== "joined") return [];
    const last = entry.last_message;
    this.#counted = last ? last.index : -1;
    return assign(this, {
      lastConsumedMessageIndex: entry.last_consumed_message_index,
      unconsumedMessagesCount: entry.unread_messages_count,
      notificationLevel: entry.notification_level,
      lastMessage: last ? { index: last.index, dateCreated: date(last.date_created) } : null,
    });
  }

  /** @internal The horizon is there now, with so many unread messages behind it. */
  _read(place) {
    const { last_consumed_message_index: horizon, unread_messages_count: unread, notification_level: level } = place;
    this._tell(
      assign(this, { lastConsumedMessageIndex: horizon, unconsumedMessagesCount: unread, notificationLevel: level }),
    );
  }

  /** @internal The own membership changed elsewhere: another device has read on, perhaps. */
  _ownMember(wire) {
    if (wire.last_consumed_message_index === this.lastConsumedMessageIndex) return;
    this._refresh();
  }

  /** @internal Asks how things are, without haste. */
  _refresh() {
    this.#read().catch(() => {});
  }

  /** @internal */
  _counted(message) {
    if (message.index <= this.#counted) return;
    this.#counted = message.index;
    if (this.unconsumedMessagesCount !== null && message.index > this.lastConsumedMessageIndex) {
      this.unconsumedMessagesCount += 1;
    }
    this._tell(assign(this, { lastMessage: { index: message.index, dateCreated: message.dateCreated } }));
  }

  /** @internal */
  _uncounted(message) {
    const unread = this.unconsumedMessagesCount > 0 && message.index > this.lastConsumedMessageIndex;
    if (unread) this.unconsumedMessagesCount -= 1;
    // Which message is the last one now, only the server knows.
    if (message.index === this.lastMessage?.index) this._refresh();
  }

  /** @internal Joined, invited or neither: told when it is news. */
  _became(status) {
    const before = this.status;
    if (before === status) return;
    this.status = status;
    this.#session.channels.hold(this);
    const wasThere = before === "joined" || before === "invited";
    if (status === "joined" || status === "invited") {
      if (!wasThere) this.#session.emit("channelAdded", this);
      this.#session.emit(status === "joined" ? "channelJoined" : "channelInvited", this);
    } else if (wasThere) {
      this._members.clear();
      this.#session.emit("channelLeft", this);
    }
    this._tell(["status"]);
  }

  /** @internal */
  _tell(updateReasons) {
    if (!updateReasons.length) return;
    const update = { channel: this, updateReasons };
    this.emit("updated", update);
    this.#session.emit("channelUpdated", update);
  }
}
