/**
 * Carries events out: each once, and those of a channel in their order, also when the channel has to be asked for
 * first.
 */
export class Reader {
  #session;
  /** Events of channels that are being asked for, by SID. */
  #waiting = new Map();

  constructor(session) {
    this.#session = session;
  }

  take(event) {
    const sid = event.channel_sid;
    if (!sid) {
      if (event.user) this.#session.users.take(event.user);
      return;
    }
    if (this.#session.channels.isGone(sid)) return;
    const waiting = this.#waiting.get(sid);
    if (waiting) {
      waiting.push(event);
      return;
    }
    const channel = this.#session.channels.get(sid);
    if (channel) {
      this.#carryOut(event, channel);
    } else if (event.type !== "typingStarted" && event.type !== "typingEnded") {
      this.#waiting.set(sid, [event]);
      this.#meet(sid);
    }
  }

  clear() {
    this.#waiting.clear();
  }

  async #meet(sid) {
    const { channels } = this.#session;
    // A channel that is gone, or that the user has left, is what its last events say.
    const asked = this.#session.request("getChannel", { channel: sid }, { again: true });
    const entry = await asked.catch(() => null);
    const events = this.#waiting.get(sid) ?? [];
    this.#waiting.delete(sid);
    const isNew = !channels.get(sid);
    const found = entry && channels.note(entry);
    // The events tell the news, not the answer that was given after them.
    if (found && isNew && BEGINNINGS.has(events[0]?.type)) found.status = "notParticipating";
    for (const event of events) {
      const channel = channels.get(sid) ?? (event.channel && channels.introduce(event.channel));
      if (channel) this.#carryOut(event, channel);
    }
    if (found && events.some((event) => event.type === "messageRemoved")) found._refresh();
  }

  #carryOut(event, channel) {
    if (event.seq !== undefined) {
      if (event.seq <= channel._seq) return;
      channel._seq = event.seq;
    }
    const act = ACTS[event.type];
    if (act) act(this.#session, channel, event);
  }
}

/** Events that begin a user's time in a channel; for apps it begins with the first of them that is about the user. */
const BEGINNINGS = new Set(["channelAdded", "channelInvited", "channelJoined"]);

const ACTS = {
  channelJoined: (session, channel, { channel: wire, member }) => {
    channel._updated(wire);
    channel._became("joined");
    if (member) channel._members.note(member);
  },
  channelInvited: (session, channel) => channel._became("invited"),
  channelLeft: (session, channel) => channel._became("notParticipating"),
  channelUpdated: (session, channel, { channel: wire }) => channel._updated(wire),
  channelRemoved: (session, channel) => session.channels.removed(channel),
  memberJoined: (session, channel, { member }) => channel._members.joined(member),
  memberLeft: (session, channel, { member }) => channel._members.left(member),
  memberUpdated: (session, channel, { member }) => {
    channel._members.take(member);
    if (member.identity === session.identity) channel._ownMember(member);
  },
  messageAdded: (session, channel, { message }) => {
    channel._members.typingEnded(message.from);
    if (session.outbox.confirm(message)) return;
    // Told when its ack came.
    if (session.outbox.isOwn(message)) channel._messages.updated(message);
    else channel._messages.added(message);
  },
  messageUpdated: (session, channel, { message }) => channel._messages.updated(message),
  messageRemoved: (session, channel, { message }) => channel._messages.removed(message),
  typingStarted: (session, channel, { identity }) => {
    if (identity !== session.identity) channel._members.typingStarted(identity);
  },
  typingEnded: (session, channel, { identity }) => channel._members.typingEnded(identity),
};
