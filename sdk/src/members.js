import { Member } from "./member.js";
import { whole } from "./paginator.js";

/** How long somebody counts as typing when the end of it never arrives. */
const LONGEST_TYPING = 60_000;

/** The members of a channel that are known, by identity. */
export class Members {
  #session;
  #channel;
  #known = new Map();
  #typing = new Map();
  /** Whether everybody is known. */
  #complete = false;

  constructor(session, channel) {
    this.#session = session;
    this.#channel = channel;
  }

  async all() {
    if (!this.#complete) {
      for (const wire of await this.#read()) this.note(wire);
      this.#complete = true;
    }
    return [...this.#known.values()];
  }

  async byIdentity(identity) {
    const known = this.#known.get(identity);
    if (known) return known;
    const { items } = await this.#page(undefined, identity);
    return items.length ? this.note(items[0]) : null;
  }

  async bySid(sid) {
    const find = () => [...this.#known.values()].find((member) => member.sid === sid);
    if (!find()) await this.all();
    return find() ?? null;
  }

  /** Somebody came. */
  joined(wire) {
    if (this.#known.get(wire.identity)?.sid === wire.sid) return this.take(wire);
    this.#known.delete(wire.identity);
    this.#tell("memberJoined", this.note(wire));
  }

  /** Somebody went. */
  left(wire) {
    const member = this.#known.get(wire.identity) ?? new Member(this.#session, this.#channel, wire);
    this.typingEnded(wire.identity);
    this.#known.delete(wire.identity);
    this.#tell("memberLeft", member);
  }

  /** Takes note of how a member looks now. */
  take(wire) {
    const known = this.#known.get(wire.identity);
    const member = known ?? this.note(wire);
    const updateReasons = known ? known._apply(wire) : ["attributes", "lastConsumedMessageIndex", "roleSid"];
    if (!updateReasons.length) return;
    const update = { member, updateReasons };
    member.emit("updated", update);
    this.#channel.emit("memberUpdated", update);
    this.#session.emit("memberUpdated", update);
  }

  async typingStarted(identity) {
    this.#stopClock(identity);
    const clock = setTimeout(() => this.typingEnded(identity), LONGEST_TYPING);
    this.#typing.set(identity, clock);
    const member = await this.byIdentity(identity).catch(() => null);
    if (!member || member.isTyping || !this.#typing.has(identity)) return;
    member.isTyping = true;
    member.emit("typingStarted", member);
    this.#tell("typingStarted", member);
  }

  typingEnded(identity) {
    this.#stopClock(identity);
    const member = this.#known.get(identity);
    if (!member?.isTyping) return;
    member.isTyping = false;
    member.emit("typingEnded", member);
    this.#tell("typingEnded", member);
  }

  /** The connection is gone: nobody knows who types. */
  nobodyTypes() {
    for (const identity of [...this.#typing.keys()]) this.typingEnded(identity);
  }

  /** Reads those that are known anew; comings and goings are told. */
  async refresh() {
    if (!this.#known.size) return;
    const present = new Map((await this.#read()).map((wire) => [wire.identity, wire]));
    for (const [identity, member] of [...this.#known]) {
      const wire = present.get(identity);
      if (wire?.sid !== member.sid) this.left({ identity, sid: member.sid });
    }
    for (const [identity, wire] of present) {
      if (this.#known.has(identity)) this.take(wire);
      else if (this.#complete) this.joined(wire);
    }
  }

  clear() {
    for (const identity of [...this.#typing.keys()]) this.#stopClock(identity);
    this.#known.clear();
    this.#complete = false;
  }

  /** Without telling: the one object of a member, as it is now. */
  note(wire) {
    const known = this.#known.get(wire.identity);
    if (known) {
      known._apply(wire);
      return known;
    }
    const member = new Member(this.#session, this.#channel, wire);
    this.#known.set(wire.identity, member);
    return member;
  }

  #tell(name, member) {
    this.#channel.emit(name, member);
    this.#session.emit(name, member);
  }

  #stopClock(identity) {
    clearTimeout(this.#typing.get(identity));
    this.#typing.delete(identity);
  }

  #read() {
    return whole((token) => this.#page(token));
  }

  async #page(token, identity) {
    const argument = { channel: this.#channel.sid, limit: 100 };
    if (token) argument.page_token = token;
    if (identity !== undefined) argument.identity = identity;
    const data = await this.#session.request("getMembers", argument, { again: true });
    return { items: data.members, token: data.next_page_token };
  }
}
