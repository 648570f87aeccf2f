import { Emitter } from "./emitter.js";
import { assign, attributes, attributesText, given } from "./wire.js";

/** A user. One that is subscribed follows every change. */
export class User extends Emitter {
  #session;

  constructor(session, wire) {
    super(session.backlog);
    this.#session = session;
    this.identity = wire.identity;
    this.sid = wire.sid;
    this.friendlyName = null;
    this.attributes = {};
    /** Null unless the service tells who is online. */
    this.online = null;
    this.notifiable = null;
    this._apply(wire);
  }

  get isSubscribed() {
    return this.#session.users.has(this);
  }

  async updateFriendlyName(friendlyName) {
    return this.#update({ friendly_name: friendlyName });
  }

  async updateAttributes(value) {
    return this.#update({ attributes: attributesText(value) });
  }

  /** Stops following changes. The client's own user cannot be let go. */
  async unsubscribe() {
    this.#session.users.unsubscribe(this);
  }

  async #update(fields) {
    // Whom the verb is about is the caller, unless it is said.
    const identity = this.identity === this.#session.identity ? undefined : this.identity;
    const argument = given({ identity, ...fields });
    this.#session.users.take(await this.#session.request("updateUser", argument, { again: true }));
    return this;
  }

  /** @internal @returns what changed */
  _apply(wire) {
    return assign(this, {
      friendlyName: wire.friendly_name,
      attributes: attributes(wire.attributes),
      online: wire.is_online,
      notifiable: wire.is_notifiable,
    });
  }
}

/** What a user looked like when it was asked for. */
export class UserDescriptor {
  #session;

  constructor(session, wire) {
    this.#session = session;
    this.identity = wire.identity;
    this.friendlyName = wire.friendly_name;
    this.attributes = attributes(wire.attributes);
    this.online = wire.is_online;
    this.notifiable = wire.is_notifiable;
  }

  /** The user itself, which follows changes. */
  async subscribe() {
    return this.#session.users.get(this.identity);
  }
}
