import { Channels } from "./channels.js";
import { Outbox } from "./outbox.js";
import { whole } from "./paginator.js";
import { Reader } from "./reader.js";
import { UserDescriptor } from "./user.js";
import { Users } from "./users.js";

/** Everything that a client knows, and its way to the server: what the parts of a client share. */
export class Session {
  #client;
  #connection;
  #reader;

  constructor(client, settings, backlog) {
    this.#client = client;
    this.settings = settings;
    /** The events of all parts that wait for a listener. */
    this.backlog = backlog;
    this.identity = null;
    this.users = new Users(this);
    this.channels = new Channels(this);
    this.outbox = new Outbox(this);
    this.#reader = new Reader(this);
    /** Tidies up after messages and channels that nobody holds any more. */
    this.forgotten = new FinalizationRegistry(({ alive, sid }) => {
      if (alive.get(sid)?.deref() === undefined) alive.delete(sid);
    });
  }

  attach(connection) {
    this.#connection = connection;
  }

  emit(name, ...args) {
    this.#client.emit(name, ...args);
  }

  request(verb, argument, options) {
    return this.#connection.request(verb, argument, options);
  }

  mention(verb, argument) {
    this.#connection.mention(verb, argument);
  }

  initialized({ user }) {
    const isBack = this.users.own !== null;
    this.identity = user.identity;
    this.users.takeOwn(user);
    // Who came and went meanwhile is not told again.
    if (isBack && typeof user.is_online === "boolean") this.users.refresh();
  }

  take(event) {
    this.#reader.take(event);
  }

  /** The connection is gone. */
  offline() {
    for (const channel of this.channels.kept) channel._members.nobodyTypes();
  }

  async userDescriptor(identity) {
    return new UserDescriptor(this, await this.users.fetch(identity));
  }

  async userDescriptors(channel) {
    const members = await channel.getMembers();
    return whole(async (token = 0) => {
      // A few at a time: a channel may have a thousand members.
      const some = members.slice(token, token + 10);
      const items = await Promise.all(some.map((member) => this.userDescriptor(member.identity)));
      return { items, token: token + some.length < members.length ? token + some.length : null };
    });
  }

  /** The server cannot tell what was missed: everything that is known is read anew, and told as far as it changed. */
  async readAnew() {
    const entries = [...(await this.channels.everything("joined")), ...(await this.channels.everything("invited"))];
    const listed = new Map(entries.map((entry) => [entry.channel.sid, entry]));
    for (const channel of this.channels.kept) {
      // The count of events may have begun anew with the server's database.
      channel._seq = 0;
      const entry = listed.get(channel.sid);
      if (entry) this.channels.note(entry);
      else await this.#missing(channel);
    }
    for (const channel of this.channels.kept) {
      if (channel.status !== "joined") continue;
      await channel._members.refresh();
      await channel._messages.refresh();
    }
    await this.users.refresh();
  }

  end() {
    this.#reader.clear();
    this.channels.clear();
    this.users.clear();
  }

  async #missing(channel) {
    try {
      await this.channels.fetch(channel.sid);
    } catch (error) {
      if (error.status !== 404 && error.status !== 403) throw error;
      // Gone, or closed to the user, which looks the same from outside.
      if (error.status === 404) this.channels.removed(channel);
      else channel._became("notParticipating");
    }
  }
}
