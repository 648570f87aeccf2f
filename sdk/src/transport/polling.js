/** Parts packets in the bodies of requests and answers. */
const SEPARATOR = "\x1e";
/** How many packets one request carries at most. */
const PACKETS = 16;

/** Engine.IO over HTTP long-polling: one GET is always out, and at most one POST. */
export function pollingEngine(address, take, lost) {
  const abort = new AbortController();
  const queue = [];
  let over = false;
  let session = null;
  let most = 1_000_000;
  let posting = null;
  let count = 0;

  const request = async (options) => {
    const url = new URL(address);
    if (session) url.searchParams.set("sid", session);
    url.searchParams.set("t", `${Date.now().toString(36)}.${(count += 1)}`);
    const answer = await fetch(url, { cache: "no-store", signal: abort.signal, ...options });
    const body = await answer.text();
    if (!answer.ok) throw new Error(`polling was answered with ${answer.status}`);
    return body;
  };
  const fail = (error) => {
    if (!over) lost(error.message || "xhr poll error");
  };

  const poll = async () => {
    while (!over) {
      for (const packet of (await request({})).split(SEPARATOR)) {
        if (over) return;
        if (packet[0] === "0") {
          const opened = JSON.parse(packet.slice(1));
          session = opened.sid;
          most = opened.maxPayload ?? most;
        }
        take(packet);
      }
    }
  };
  const post = async () => {
    // What is sent in one go travels together.
    await null;
    while (queue.length) await request({ method: "POST", body: batch() });
    posting = null;
  };
  const batch = () => {
    let size = 0;
    let packets = 0;
    for (const packet of queue) {
      // A character is at most three bytes of UTF-8.
      size += packet.length * 3 + 1;
      if (packets && (size > most || packets === PACKETS)) break;
      packets += 1;
    }
    return queue.splice(0, packets).join(SEPARATOR);
  };

  const flush = () => {
    if (session) posting ??= post();
    return posting;
  };

  poll().catch(fail);
  return {
    send(packet) {
      queue.push(packet);
      flush()?.catch(fail);
    },
    /** `isAlive`: whether the server should be told; an abandoned session lasts until its ping runs out. */
    close(isAlive) {
      if (over) return;
      over = true;
      const goodbye = isAlive && session ? (queue.push("1"), flush()) : null;
      // The answer to the goodbye ends the GET that is out.
      Promise.resolve(goodbye).catch(() => {}).finally(() => abort.abort());
    },
  };
}
