import { expiry } from "./wire.js";

/** How long until a provider that failed is asked again, at first and at most. */
const PAUSE = 1_000;
const LONGEST_PAUSE = 30_000;

/** The access token, and where the next one comes from. */
export class TokenKeeper {
  token;
  /** How many tokens in a row the server has refused as expired. */
  refusals = 0;
  #provider;
  #renewing = false;
  #pause = null;
  #ended = false;

  constructor(token, provider) {
    this.token = token ?? null;
    this.#provider = provider ?? null;
  }

  /** The token to connect with; asks the provider when there is none. */
  async current() {
    if (this.token === null && this.#provider) {
      const token = await this.#provider();
      // The app may have given one meanwhile.
      this.token ??= token;
    }
    return this.token;
  }

  take(token) {
    this.token = token;
    this.refusals = 0;
  }

  /** The server took it. */
  good() {
    this.refusals = 0;
  }

  /** Milliseconds until the token ends. */
  left() {
    const end = expiry(this.token ?? "");
    return end === null ? 0 : Math.max(0, end - Date.now());
  }

  /** Gives a token up that has expired. False when there is nobody to ask for another. */
  drop() {
    if (!this.#provider) return false;
    this.refusals += 1;
    this.token = null;
    return true;
  }

  /** Gets a new token and shows it to the server by `show`; tries again until that works. */
  async renew(show) {
    if (!this.#provider || this.#renewing) return;
    this.#renewing = true;
    for (let pause = PAUSE; !this.#ended; pause = Math.min(pause * 2, LONGEST_PAUSE)) {
      try {
        const token = await this.#provider();
        await show(token);
        this.take(token);
        break;
      } catch {
        // When the old one ends before that, the server says so, and the next connection asks anew.
        await new Promise((resolve) => {
          this.#pause = { resolve, timer: setTimeout(resolve, pause) };
        });
        if (this.token === null) break;
      }
    }
    this.#renewing = false;
  }

  end() {
    this.#ended = true;
    clearTimeout(this.#pause?.timer);
    this.#pause?.resolve();
  }
}
