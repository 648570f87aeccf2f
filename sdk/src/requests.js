import { HubbubError, refusal } from "./errors.js";

/** More than this the server closes the connection for: such a request would fail for ever. */
const LARGEST = 900_000;

/**
 * What is asked of the server: in the order asked, over whatever line there is, each until it is answered. What may
 * be repeated survives the loss of a line; of the rest nobody knows whether it happened, and it fails.
 */
export class Requests {
  #settings;
  #deaf;
  #line = null;
  #open = new Set();
  #ended = false;

  /** @param {() => void} deaf called when a line does not answer */
  constructor(settings, deaf) {
    this.#settings = settings;
    this.#deaf = deaf;
  }

  /** `patience`: how long it may take in all, in milliseconds; 0 is for ever. */
  add(verb, argument, { again = false, patience = this.#settings.patience } = {}) {
    if (this.#ended) return Promise.reject(gone());
    if (size(argument) > LARGEST) {
      const message = `${verb} is too large: a request may have ${LARGEST} bytes`;
      return Promise.reject(new HubbubError(message, { code: 20413, status: 413 }));
    }
    return new Promise((resolve, reject) => {
      const request = { verb, argument, again, resolve, reject, line: null, overdue: null, late: null };
      if (patience) request.late = setTimeout(() => this.#fail(request, late(request)), patience);
      this.#open.add(request);
      if (this.#line) this.#put(request);
    });
  }

  /** There is a line: what waits goes out. */
  serve(line) {
    this.#line = line;
    for (const request of this.#open) {
      if (this.#line !== line) return;
      this.#put(request);
    }
  }

  /** The line is gone. */
  unserve() {
    this.#line = null;
    for (const request of this.#open) {
      if (!request.line) continue;
      clearTimeout(request.overdue);
      request.line = null;
      if (!request.again) {
        const message = `the connection was lost before ${request.verb} was answered: it may have happened or not`;
        this.#fail(request, new HubbubError(message, { reason: "connection" }));
      }
    }
  }

  end() {
    this.#ended = true;
    this.#line = null;
    for (const request of this.#open) this.#fail(request, gone());
  }

  #put(request) {
    const line = this.#line;
    request.line = line;
    request.overdue = setTimeout(this.#deaf, this.#settings.ackTimeout);
    line.send(request.verb, request.argument, (answer) => {
      if (request.line !== line) return;
      this.#close(request);
      if (answer?.ok) request.resolve(answer.data);
      else request.reject(refusal(answer?.error ?? {}));
    });
  }

  #fail(request, error) {
    this.#close(request);
    request.reject(error);
  }

  #close(request) {
    clearTimeout(request.overdue);
    clearTimeout(request.late);
    request.line = null;
    this.#open.delete(request);
  }
}

/** In bytes of UTF-8, at most. */
function size(argument) {
  return JSON.stringify(argument).length * 3;
}

function late({ verb, line }) {
  const why = line ? "the server did not answer" : "there was no connection";
  return new HubbubError(`${verb} was given up: ${why}`, { reason: "timeout" });
}

function gone() {
  return new HubbubError("the client was shut down", { reason: "shutdown" });
}
