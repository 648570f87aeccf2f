import { HubbubError } from "./errors.js";
import { Message } from "./message.js";
import { given, randomId } from "./wire.js";

/** How many sends wait for their ack at once. */
const WINDOW = 32;
/** How long to wait when the server has trouble, at first and at most, and how often an error of its is borne. */
const PAUSE = 500;
const LONGEST_PAUSE = 10_000;
const PATIENCE = 5;

/**
 * What the user has said and the server has not confirmed, in order. It outlives connections: a message goes out
 * again, with the same id, until the server has answered, and is stored once.
 */
export class Outbox {
  #session;
  /** Begins the ids that this client gives, so that it knows its own. */
  #mark = randomId();
  #count = 0;
  #waiting = [];
  /** Not confirmed and not failed, by client id. */
  #unconfirmed = new Map();
  #failed = new Set();
  #flying = 0;
  #pause = null;
  #pauses = 0;

  constructor(session) {
    this.#session = session;
  }

  /** Says it. Resolves to the message's index when the server has it. */
  send(channel, body, attributes) {
    this.#count += 1;
    const message = new Message(this.#session, channel, {
      author: this.#session.identity,
      body,
      attributes: attributes === undefined ? {} : JSON.parse(attributes),
      clientId: `${this.#mark}-${this.#count}`,
      state: "sending",
    });
    const argument = given({ channel: channel.sid, body, attributes, client_id: message.clientId });
    const sent = this.#add({ message, argument, order: this.#count, refusals: 0 });
    channel.emit("messageSending", message);
    this.#session.emit("messageSending", message);
    return sent;
  }

  resend(message) {
    const failed = [...this.#failed].find((entry) => entry.message === message);
    if (!failed) return Promise.reject(new HubbubError("only a message that failed can be sent again", { reason: "usage" }));
    this.#failed.delete(failed);
    message.state = "sending";
    message.error = null;
    this.#count += 1;
    return this.#add({ ...failed, order: this.#count, refusals: 0 });
  }

  /** Forgets a message that failed. */
  discard(message) {
    for (const entry of this.#failed) {
      if (entry.message === message) this.#failed.delete(entry);
    }
  }

  /** What is not confirmed of a channel's, in the order said; what failed included. */
  of(channel) {
    const entries = [...this.#unconfirmed.values(), ...this.#failed];
    const messages = entries.sort((one, other) => one.order - other.order).map((entry) => entry.message);
    return messages.filter((message) => message.channel === channel);
  }

  /** Takes what the server says of a message. False when it is none that waits for confirmation. */
  confirm(wire) {
    const entry = wire.from === this.#session.identity && this.#unconfirmed.get(wire.client_id);
    if (!entry) return false;
    this.#unconfirmed.delete(wire.client_id);
    entry.message.state = "sent";
    entry.message.channel._messages.added(wire, entry.message);
    entry.message.emit("updated", { message: entry.message, updateReasons: ["state", "sid", "index", "dateCreated"] });
    entry.resolve(entry.message.index);
    return true;
  }

  /** Whether the message was sent by this very client. */
  isOwn(wire) {
    return wire.from === this.#session.identity && Boolean(wire.client_id?.startsWith(this.#mark));
  }

  end() {
    clearTimeout(this.#pause);
    this.#waiting = [];
    const error = new HubbubError("the client was shut down", { reason: "shutdown" });
    for (const entry of this.#unconfirmed.values()) this.#fail(entry, error);
    this.#failed.clear();
  }

  #add(entry) {
    return new Promise((resolve, reject) => {
      Object.assign(entry, { resolve, reject });
      this.#unconfirmed.set(entry.message.clientId, entry);
      this.#waiting.push(entry);
      this.#pump();
    });
  }

  #pump() {
    while (this.#pause === null && this.#flying < WINDOW && this.#waiting.length) {
      this.#fly(this.#waiting.shift());
    }
  }

  async #fly(entry) {
    this.#flying += 1;
    try {
      const data = await this.#session.request("sendMessage", entry.argument, { again: true, patience: 0 });
      this.#pauses = 0;
      this.confirm(data);
    } catch (error) {
      this.#refused(entry, error);
    } finally {
      this.#flying -= 1;
    }
    this.#pump();
  }

  #refused(entry, error) {
    if (!this.#unconfirmed.has(entry.message.clientId)) return;
    const busy = error.status === 429 || error.status === 503;
    entry.refusals += busy ? 0 : 1;
    if (!busy && (!(error.status >= 500) || entry.refusals >= PATIENCE)) return this.#fail(entry, error);
    this.#waiting.push(entry);
    this.#waiting.sort((one, other) => one.order - other.order);
    if (this.#pause !== null) return;
    const pause = Math.min(PAUSE * 2 ** this.#pauses, LONGEST_PAUSE);
    this.#pauses += 1;
    this.#pause = setTimeout(() => {
      this.#pause = null;
      this.#pump();
    }, pause);
  }

  #fail(entry, error) {
    const { message } = entry;
    this.#unconfirmed.delete(message.clientId);
    this.#failed.add(entry);
    message.state = "failed";
    message.error = error;
    message.emit("updated", { message, updateReasons: ["state"] });
    message.channel.emit("messageFailed", message);
    this.#session.emit("messageFailed", message);
    entry.reject(error);
  }
}
