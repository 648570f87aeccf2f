/** The events that wait for a listener, of all emitters that share it: a number in all, the oldest go first. */
export class Backlog {
  #waiting = new Set();
  #most;

  constructor(most = 1_000) {
    this.#most = most;
  }

  add(event) {
    this.#waiting.add(event);
    if (this.#waiting.size <= this.#most) return;
    const [oldest] = this.#waiting;
    this.#waiting.delete(oldest);
    // Of its own list it is the oldest too.
    oldest.list.shift();
  }

  take(event) {
    this.#waiting.delete(event);
  }

  clear() {
    this.#waiting.clear();
  }
}

/**
 * Tells events to listeners. Events that are emitted before the first listener of their name wait for it: an app
 * that awaits something before it listens misses nothing.
 */
export class Emitter {
  /** @type {Map<string, {listener: Function, once: boolean}[]>} */
  #listeners = new Map();
  /** Events without a listener so far, by name; null once there was one. */
  #unheard = new Map();
  #backlog;

  constructor(backlog = new Backlog()) {
    this.#backlog = backlog;
  }

  /** Listens. What was emitted before the first listener of this name is told at once. */
  on(name, listener) {
    this.#add(name, { listener, once: false });
    const unheard = this.#unheard.get(name);
    this.#unheard.set(name, null);
    for (const event of unheard ?? []) {
      this.#backlog.take(event);
      call(listener, event.args);
    }
    return this;
  }

  addListener(name, listener) {
    return this.on(name, listener);
  }

  /** Listens for one event, which may have happened already. */
  once(name, listener) {
    const unheard = this.#unheard.get(name);
    if (unheard?.length) {
      const event = unheard.shift();
      this.#backlog.take(event);
      call(listener, event.args);
    } else {
      this.#add(name, { listener, once: true });
    }
    return this;
  }

  off(name, listener) {
    const kept = (this.#listeners.get(name) ?? []).filter((entry) => entry.listener !== listener);
    if (kept.length) this.#listeners.set(name, kept);
    else this.#listeners.delete(name);
    return this;
  }

  removeListener(name, listener) {
    return this.off(name, listener);
  }

  removeAllListeners(name) {
    if (name === undefined) this.#listeners.clear();
    else this.#listeners.delete(name);
    return this;
  }

  listenerCount(name) {
    if (name !== undefined) return this.#listeners.get(name)?.length ?? 0;
    return [...this.#listeners.values()].reduce((count, entries) => count + entries.length, 0);
  }

  /** @returns whether somebody listened */
  emit(name, ...args) {
    const entries = this.#listeners.get(name);
    if (!entries) {
      this.#keep(name, args);
      return false;
    }
    for (const entry of entries) {
      if (entry.once) this.#drop(name, entry);
      call(entry.listener, args);
    }
    return true;
  }

  #add(name, entry) {
    // A new list each time: a listener may come or go while another one is told.
    this.#listeners.set(name, [...(this.#listeners.get(name) ?? []), entry]);
  }

  #drop(name, gone) {
    const kept = (this.#listeners.get(name) ?? []).filter((entry) => entry !== gone);
    if (kept.length) this.#listeners.set(name, kept);
    else this.#listeners.delete(name);
  }

  #keep(name, args) {
    let list = this.#unheard.get(name);
    if (list === null) return;
    if (!list) this.#unheard.set(name, (list = []));
    const event = { list, args };
    list.push(event);
    this.#backlog.add(event);
  }
}

/** A listener that throws must not keep others from hearing: its error surfaces as an uncaught one. */
function call(listener, args) {
  try {
    listener(...args);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
