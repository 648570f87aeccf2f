/**
 * Why something did not happen. `code` and `status` are the server's (the same as over REST), or null when the
 * server was not reached; `reason` says which: `refused`, `connection` (lost on the way: it may have happened),
 * `timeout`, `shutdown` or `usage`.
 */
export class HubbubError extends Error {
  constructor(message, { code = null, status = null, moreInfo = null, reason = "refused", cause } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = "HubbubError";
    this.code = code;
    this.status = status;
    this.moreInfo = moreInfo;
    this.reason = reason;
  }
}

/** What a refusal on the wire says. */
export function refusal({ message, code, status, more_info: moreInfo }) {
  return new HubbubError(message ?? "refused", { code, status, moreInfo });
}
