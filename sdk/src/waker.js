/** Notices in a browser that the network is back, or that the page is looked at again. */
export class Waker {
  #wake;
  #online = () => this.#wake();
  #shown = () => {
    if (document.visibilityState === "visible") this.#wake();
  };

  constructor(wake) {
    this.#wake = wake;
  }

  start() {
    if (typeof document === "undefined") return;
    addEventListener("online", this.#online);
    document.addEventListener("visibilitychange", this.#shown);
  }

  stop() {
    if (typeof document === "undefined") return;
    removeEventListener("online", this.#online);
    document.removeEventListener("visibilitychange", this.#shown);
  }
}
