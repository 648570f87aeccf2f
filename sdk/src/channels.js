import { Channel } from "./channel.js";
import { pages, whole } from "./paginator.js";
import { ChannelDescriptor } from "./descriptors.js";

/** How many channels one request lists. */
const PAGE = 50;
/** How many channels that are gone are remembered: late events of them say nothing new. */
const REMEMBERED = 1_000;

/**
 * The channels that are known. Those that the user is in or invited to are kept; others live as long as the app
 * holds them.
 */
export class Channels {
  #session;
  #kept = new Map();
  #alive = new Map();
  #gone = new Set();

  constructor(session) {
    this.#session = session;
  }

  get kept() {
    return [...this.#kept.values()];
  }

  get(sid) {
    return this.#alive.get(sid)?.deref();
  }

  byUniqueName(name) {
    return this.kept.find((channel) => channel.uniqueName === name);
  }

  /** The channel of a SID or unique name, from the server. */
  async fetch(reference) {
    const entry = await this.#session.request("getChannel", { channel: reference }, { again: true });
    return this.note(entry);
  }

  /** Takes a channel in, as `getChannels`, `getChannel` and others tell it with the user's place. */
  note(entry) {
    const wire = entry.channel ?? entry;
    const known = this.get(wire.sid);
    if (!known) return this.#meet(wire, entry);
    const changed = [...known._apply(wire), ...known._applyPlace(entry)];
    if (entry.status) known._became(entry.status);
    known._tell(changed);
    return known;
  }

  /** A channel as an event tells it, which is new to the client. */
  introduce(wire) {
    return this.get(wire.sid) ?? this.#meet(wire, {});
  }

  /** Keeps it, or lets it go, by its status. */
  hold(channel) {
    if (channel.status === "joined" || channel.status === "invited") this.#kept.set(channel.sid, channel);
    else this.#kept.delete(channel.sid);
  }

  /** Whether the channel was removed, and that was told. */
  isGone(sid) {
    return this.#gone.has(sid);
  }

  /** The channel does not exist any more. */
  removed(channel) {
    if (!this.#alive.delete(channel.sid)) return;
    this.#gone.add(channel.sid);
    if (this.#gone.size > REMEMBERED) this.#gone.delete(this.#gone.values().next().value);
    this.#kept.delete(channel.sid);
    channel._members.clear();
    channel.status = "notParticipating";
    channel.emit("removed", channel);
    this.#session.emit("channelRemoved", channel);
  }

  /** The user's channels, latest activity first. */
  joined(status = "joined") {
    return pages(async (token) => {
      const data = await this.#list(status, token);
      return { items: data.channels.map((entry) => this.note(entry)), token: data.next_page_token };
    });
  }

  descriptors() {
    return pages(async (token) => {
      const data = await this.#list("joined", token);
      return {
        items: data.channels.map((entry) => new ChannelDescriptor(this.#session, entry)),
        token: data.next_page_token,
      };
    });
  }

  publicDescriptors() {
    return pages(async (token) => {
      const argument = { limit: PAGE, ...(token ? { page_token: token } : {}) };
      const data = await this.#session.request("getPublicChannels", argument, { again: true });
      return {
        items: data.channels.map((wire) => new ChannelDescriptor(this.#session, { channel: wire })),
        token: data.next_page_token,
      };
    });
  }

  /** Every entry of the user's list. */
  everything(status) {
    return whole(async (token) => {
      const data = await this.#list(status, token);
      return { items: data.channels, token: data.next_page_token };
    });
  }

  clear() {
    for (const channel of this.kept) channel._members.clear();
    this.#kept.clear();
    this.#alive.clear();
  }

  #list(status, token) {
    const argument = { status, limit: PAGE, ...(token ? { page_token: token } : {}) };
    return this.#session.request("getChannels", argument, { again: true });
  }

  #meet(wire, entry) {
    const channel = new Channel(this.#session, wire);
    channel._applyPlace(entry);
    channel.status = entry.status ?? "unknown";
    this.#alive.set(channel.sid, new WeakRef(channel));
    this.#session.forgotten.register(channel, { alive: this.#alive, sid: channel.sid });
    this.hold(channel);
    return channel;
  }
}
