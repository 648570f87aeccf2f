import { Emitter } from "./emitter.js";
import { assign, attributes, attributesText, date } from "./wire.js";

/**
 * A message. One that is being sent is there at once, with `state` "sending" and without `sid` and `index`; the
 * server's answer completes the same object.
 */
export class Message extends Emitter {
  #session;
  #channel;

  constructor(session, channel, fields) {
    super(session.backlog);
    this.#session = session;
    this.#channel = channel;
    this.sid = null;
    this.index = null;
    this.author = null;
    this.body = null;
    this.type = "text";
    this.media = null;
    this.attributes = {};
    /** The wire does not tell it; `getMember` finds the author. */
    this.memberSid = null;
    this.dateCreated = null;
    this.dateUpdated = null;
    this.lastUpdatedBy = null;
    this.wasEdited = false;
    /** The id that makes repeated sends one message. */
    this.clientId = null;
    /** "sending", "sent" or "failed". */
    this.state = "sent";
    /** Why it failed. */
    this.error = null;
    Object.assign(this, fields);
  }

  get channel() {
    return this.#channel;
  }

  async getMember() {
    return this.#channel.getMemberByIdentity(this.author);
  }

  async updateBody(body) {
    return this.#update({ body });
  }

  async updateAttributes(value) {
    return this.#update({ attributes: attributesText(value) });
  }

  /** Removes it; one that was not sent is forgotten. */
  async remove() {
    if (this.sid === null) {
      this.#session.outbox.discard(this);
    } else {
      await this.#session.request("removeMessage", { channel: this.#channel.sid, message: this.sid });
    }
    return this;
  }

  /** Sends one that failed again. @returns its index */
  async resend() {
    return this.#session.outbox.resend(this);
  }

  async #update(fields) {
    const argument = { channel: this.#channel.sid, message: this.sid, ...fields };
    this.#channel._messages.updated(await this.#session.request("updateMessage", argument, { again: true }));
    return this;
  }

  /** @internal @returns what changed */
  _apply(wire) {
    return assign(this, {
      sid: wire.sid,
      index: wire.index,
      author: wire.from,
      body: wire.body,
      type: wire.type,
      media: wire.media,
      attributes: attributes(wire.attributes),
      dateCreated: date(wire.date_created),
      dateUpdated: date(wire.date_updated),
      lastUpdatedBy: wire.last_updated_by,
      wasEdited: wire.was_edited,
      clientId: wire.client_id,
    });
  }
}
