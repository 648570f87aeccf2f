/**
 * Reports how far the user has read, forward only: one report is on its way at a time, and the highest index that
 * came up meanwhile follows it.
 */
export class Horizon {
  #session;
  #channel;
  #wanted = -1;
  #reporting = null;

  constructor(session, channel) {
    this.#session = session;
    this.#channel = channel;
  }

  /** Resolves to the number of unread messages. */
  advance(index) {
    this.#wanted = Math.max(this.#wanted, index);
    this.#reporting ??= this.#report().finally(() => {
      this.#reporting = null;
    });
    return this.#reporting;
  }

  async #report() {
    // What is read in one go is reported together.
    await null;
    for (;;) {
      const index = this.#wanted;
      const answer = await this.#session.request(
        "setLastConsumedMessageIndex",
        { channel: this.#channel.sid, index },
        { again: true },
      );
      if (this.#wanted > index) continue;
      this.#wanted = -1;
      this.#channel._read(answer);
      return answer.unread_messages_count;
    }
  }
}
