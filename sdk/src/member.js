import { Emitter } from "./emitter.js";
import { assign, attributes, attributesText, date } from "./wire.js";

/** A user's membership of a channel. */
export class Member extends Emitter {
  #session;
  #channel;

  constructor(session, channel, wire) {
    super(session.backlog);
    this.#session = session;
    this.#channel = channel;
    this.sid = wire.sid;
    this.identity = wire.identity;
    this.type = "chat";
    this.isTyping = false;
    this.roleSid = null;
    this.attributes = {};
    this.lastConsumedMessageIndex = null;
    this.lastConsumptionTimestamp = null;
    this._apply(wire);
  }

  get channel() {
    return this.#channel;
  }

  async getUser() {
    return this.#session.users.get(this.identity);
  }

  async getUserDescriptor() {
    return this.#session.userDescriptor(this.identity);
  }

  async updateAttributes(value) {
    const argument = { channel: this.#channel.sid, identity: this.identity, attributes: attributesText(value) };
    this.#channel._members.take(await this.#session.request("updateMember", argument, { again: true }));
    return this;
  }

  async remove() {
    await this.#channel.removeMember(this);
  }

  /** @internal @returns what changed */
  _apply(wire) {
    return assign(this, {
      sid: wire.sid,
      roleSid: wire.role_sid,
      attributes: attributes(wire.attributes),
      lastConsumedMessageIndex: wire.last_consumed_message_index,
      lastConsumptionTimestamp: date(wire.last_consumption_timestamp),
    });
  }
}
