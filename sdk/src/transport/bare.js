import { pollingEngine } from "./polling.js";
import { websocketEngine } from "./websocket.js";

/**
 * Lines without a library: as much of Socket.IO v5 over Engine.IO v4 as the chat needs (one namespace, events and
 * acks in JSON, no binary), over one transport from start to end.
 */
export function bareLines() {
  return dialBare;
}

const ENGINES = { websocket: websocketEngine, polling: pollingEngine };

function dialBare({ url, path, transport, auth, timeout }, hooks) {
  let over = false;
  let engine = null;
  let lastId = 0;
  let silence = null;
  let patience = 0;
  const answers = new Map();

  const finish = (isAlive) => {
    over = true;
    clearTimeout(silence);
    answers.clear();
    engine?.close(isAlive);
  };
  const end = (tell, isAlive) => {
    if (over) return;
    finish(isAlive);
    tell();
  };
  const lost = (reason) => end(() => hooks.closed(reason, false), false);
  const listenFor = (milliseconds, reason) => {
    clearTimeout(silence);
    silence = setTimeout(() => lost(reason), milliseconds);
  };

  const takeMessage = (text) => {
    const type = text[0];
    const rest = text.slice(1);
    if (type === "0") return; // let in; what counts is the server's `initialized`
    if (type === "1") return end(() => hooks.closed("io server disconnect", true), true);
    if (type === "4") {
      const { message, data } = JSON.parse(rest);
      return end(() => hooks.refused({ message, ...data }), true);
    }
    const [, id, json] = /^(\d*)(\[.*)$/s.exec(rest) ?? [];
    if (json === undefined || (type !== "2" && type !== "3")) return lost("parse error");
    const values = JSON.parse(json);
    if (type === "2") return hooks.event(values[0], values[1]);
    const answered = answers.get(Number(id));
    answers.delete(Number(id));
    answered?.(values[0]);
  };
  const take = (packet) => {
    if (over) return;
    try {
      const type = packet[0];
      if (type === "0") {
        const { pingInterval, pingTimeout } = JSON.parse(packet.slice(1));
        patience = pingInterval + pingTimeout;
        listenFor(patience, "ping timeout");
        engine.send(`40${JSON.stringify(auth)}`);
      } else if (type === "1") {
        lost("transport close");
      } else if (type === "2") {
        listenFor(patience, "ping timeout");
        engine.send("3");
      } else if (type === "4") {
        takeMessage(packet.slice(1));
      }
    } catch {
      lost("parse error");
    }
  };

  listenFor(timeout, "timeout");
  const address = new URL(path, url);
  address.searchParams.set("EIO", "4");
  address.searchParams.set("transport", transport);
  // Not before the caller holds the line: an engine that cannot even start would tell it too soon.
  queueMicrotask(() => {
    if (over) return;
    try {
      engine = ENGINES[transport](address, take, lost);
    } catch (error) {
      lost(error.message);
    }
  });

  return {
    transport,
    send(name, argument, answered) {
      if (over || !engine) return;
      lastId += 1;
      answers.set(lastId, answered);
      engine.send(`42${lastId}${JSON.stringify([name, argument])}`);
    },
    close() {
      if (over) return;
      engine?.send("41");
      finish(true);
    },
  };
}
