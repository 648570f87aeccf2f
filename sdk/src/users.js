import { User } from "./user.js";

/** How many users are followed; the one subscribed first goes first. */
const MOST = 100;
const REASONS = ["friendlyName", "attributes", "online", "notifiable"];

/** The users that the client follows, its own among them. */
export class Users {
  #session;
  #followed = new Map();
  #asked = new Map();
  own = null;

  constructor(session) {
    this.#session = session;
  }

  get all() {
    return [...this.#followed.values()];
  }

  has(user) {
    return user === this.own || this.#followed.get(user.identity) === user;
  }

  /** The user, followed from now on. */
  async get(identity) {
    if (!identity || identity === this.own?.identity) return this.own;
    const known = this.#followed.get(identity);
    if (known) return known;
    if (!this.#asked.has(identity)) {
      const asked = this.fetch(identity).finally(() => this.#asked.delete(identity));
      this.#asked.set(identity, asked.then((wire) => this.#subscribe(wire)));
    }
    return this.#asked.get(identity);
  }

  fetch(identity) {
    return this.#session.request("getUser", { identity }, { again: true });
  }

  unsubscribe(user) {
    if (this.#followed.get(user.identity) !== user) return;
    this.#followed.delete(user.identity);
    this.#session.emit("userUnsubscribed", user);
  }

  /** The client's own user, as the server says at every connect. */
  takeOwn(wire) {
    if (this.own) this.take(wire);
    else this.own = new User(this.#session, wire);
  }

  /** Takes note of how a user looks now. */
  take(wire) {
    const user = wire.identity === this.own?.identity ? this.own : this.#followed.get(wire.identity);
    if (!user) {
      // Not followed: what it looked like before is not known.
      this.#session.emit("userUpdated", { user: new User(this.#session, wire), updateReasons: [...REASONS] });
      return;
    }
    const updateReasons = user._apply(wire);
    if (!updateReasons.length) return;
    user.emit("updated", { user, updateReasons });
    this.#session.emit("userUpdated", { user, updateReasons });
  }

  /** Reads all of them anew. */
  async refresh() {
    for (const identity of [...this.#followed.keys()]) {
      const wire = await this.fetch(identity).catch(() => null);
      if (wire && this.#followed.has(identity)) this.take(wire);
    }
  }

  clear() {
    this.#followed.clear();
  }

  #subscribe(wire) {
    const known = this.#followed.get(wire.identity);
    if (known) return known;
    const user = new User(this.#session, wire);
    this.#followed.set(wire.identity, user);
    this.#session.emit("userSubscribed", user);
    if (this.#followed.size > MOST) this.unsubscribe(this.#followed.values().next().value);
    return user;
  }
}
