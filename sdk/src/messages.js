import { Message } from "./message.js";
import { Paginator } from "./paginator.js";

/** The most that one answer holds. */
const PAGE = 100;
/** What can change about a message. */
const CHANGING = ["body", "attributes", "lastUpdatedBy", "dateUpdated"];

/**
 * The messages of a channel. The newest, up to a number, are kept; older ones live as long as the app holds them,
 * and follow changes until then. A message is one object wherever it shows up.
 */
export class Messages {
  #session;
  #channel;
  /** Ascending by index. */
  #kept = [];
  #alive = new Map();
  /** The highest index that was ever seen. */
  #highest = -1;

  constructor(session, channel) {
    this.#session = session;
    this.#channel = channel;
  }

  get kept() {
    return [...this.#kept];
  }

  /** A message came, and is told. `own`: the object that the app has of it already. */
  added(wire, own = null) {
    const message = this.#one(wire, own);
    this.#keep(message);
    this.#channel._counted(message);
    this.#channel.emit("messageAdded", message);
    this.#session.emit("messageAdded", message);
  }

  /** A message changed, and is told if the app could not have known. */
  updated(wire) {
    // What nobody holds has no past to compare with: everything that can change may have.
    const known = this.#find(wire.sid);
    const updateReasons = known ? known._apply(wire) : [...CHANGING];
    const message = known ?? this.#one(wire);
    if (!updateReasons.length) return;
    const update = { message, updateReasons };
    message.emit("updated", update);
    this.#channel.emit("messageUpdated", update);
    this.#session.emit("messageUpdated", update);
  }

  /** A message is gone. */
  removed(wire) {
    const message = this.#one(wire);
    this.#kept = this.#kept.filter((other) => other.sid !== wire.sid);
    this.#alive.delete(wire.sid);
    this.#channel._uncounted(message);
    this.#channel.emit("messageRemoved", message);
    this.#session.emit("messageRemoved", message);
  }

  /** Without telling: what a page of history brings. */
  note(wire) {
    const message = this.#one(wire);
    this.#keep(message);
    return message;
  }

  /** A page in Twilio's terms: `anchor` is an index or "end", and is in the page. */
  page(size = 30, anchor = "end", direction = "backwards") {
    const limit = Math.min(PAGE, size);
    if (direction === "forward") {
      // There is nothing before 0 to start after.
      return this.#pageOf(limit, anchor === "end" ? {} : anchor > 0 ? { after: anchor - 1 } : { around: 0 });
    }
    return this.#pageOf(limit, anchor === "end" ? {} : { before: anchor + 1 });
  }

  async #pageOf(limit, where) {
    const { messages, has_before: hasOlder, has_after: hasNewer } = await this.#read({ ...where, limit });
    const items = messages.map((wire) => this.note(wire));
    const first = items[0]?.index ?? where.before ?? where.after + 1;
    const last = items.at(-1)?.index ?? where.after ?? where.before - 1;
    return new Paginator(
      items,
      hasNewer ? () => this.#pageOf(limit, { after: last }) : null,
      hasOlder ? () => this.#pageOf(limit, { before: first }) : null,
    );
  }

  /** Reads what is kept anew, and tells what came, changed and went; at most as much as is kept. */
  async refresh() {
    const highest = this.#highest;
    if (highest < 0) return;
    const most = Math.max(this.#session.settings.maxCachedMessages, 1);
    const present = [];
    let older = true;
    let before;
    while (older && present.length < most && (before ?? Infinity) > (this.#kept[0]?.index ?? highest + 1)) {
      const data = await this.#read({ limit: Math.min(PAGE, most), ...(before === undefined ? {} : { before }) });
      present.unshift(...data.messages);
      older = data.has_before && data.messages.length > 0;
      before = data.messages[0]?.index ?? before;
    }
    const sids = new Set(present.map((wire) => wire.sid));
    const lowest = older ? (present[0]?.index ?? 0) : 0;
    for (const message of this.kept) {
      if (sids.has(message.sid)) continue;
      // Older than what was read: too much has happened to tell it all.
      if (message.index < lowest) this.#kept = this.#kept.filter((other) => other !== message);
      else this.removed(message);
    }
    for (const wire of present) {
      if (this.#find(wire.sid)) this.updated(wire);
      else if (wire.index > highest) this.added(wire);
      else this.note(wire);
    }
  }

  /** Forgets what is kept. What the app holds goes on following changes. */
  drop() {
    this.#kept = [];
  }

  /** The one object of a message, as it is now. */
  #one(wire, own = null) {
    const known = own ?? this.#find(wire.sid);
    if (known && wire instanceof Message) return known;
    const message = known ?? new Message(this.#session, this.#channel, {});
    message._apply(wire);
    if (this.#find(wire.sid) !== message) {
      this.#alive.set(wire.sid, new WeakRef(message));
      this.#session.forgotten.register(message, { alive: this.#alive, sid: wire.sid });
    }
    return message;
  }

  /** Only the newest are kept. */
  #keep(message) {
    this.#highest = Math.max(this.#highest, message.index);
    const place = this.#kept.findLastIndex((other) => other.index <= message.index);
    if (this.#kept[place] === message) return;
    this.#kept.splice(place + 1, 0, message);
    if (this.#kept.length > this.#session.settings.maxCachedMessages) this.#kept.shift();
  }

  #find(sid) {
    return this.#alive.get(sid)?.deref();
  }

  #read(argument) {
    return this.#session.request("getMessages", { channel: this.#channel.sid, ...argument }, { again: true });
  }
}
