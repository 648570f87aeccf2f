import assert from "node:assert/strict";
import { test } from "node:test";
import { Backlog, Emitter } from "../src/emitter.js";

test("events wait for the first listener of their name, and only for that", () => {
  const emitter = new Emitter();
  emitter.emit("a", 1);
  emitter.emit("b", 2);
  emitter.emit("a", 3);
  const heard = [];
  const listener = (value) => heard.push(value);
  emitter.on("a", listener).emit("a", 4);
  assert.deepEqual(heard, [1, 3, 4]);
  emitter.off("a", listener).emit("a", 5);
  emitter.on("a", listener);
  assert.deepEqual(heard, [1, 3, 4]);
  assert.equal(emitter.listenerCount(), 1);
});

test("once takes one event, of those that wait first", () => {
  const emitter = new Emitter();
  emitter.emit("a", 1);
  emitter.emit("a", 2);
  const heard = [];
  emitter.once("a", (value) => heard.push(value));
  emitter.on("a", (value) => heard.push(value));
  emitter.once("a", (value) => heard.push(`once ${value}`));
  emitter.emit("a", 3).valueOf();
  emitter.emit("a", 4);
  assert.deepEqual(heard, [1, 2, 3, "once 3", 4]);
});

test("the events that wait are bounded over all emitters that share a backlog", () => {
  const backlog = new Backlog(3);
  const [one, other] = [new Emitter(backlog), new Emitter(backlog)];
  for (let n = 0; n < 10; n += 1) (n % 2 ? one : other).emit("a", n);
  const heard = [];
  one.on("a", (n) => heard.push(n));
  other.on("a", (n) => heard.push(n));
  assert.deepEqual(heard, [7, 9, 8]);
});

test("a listener that throws keeps nobody from hearing, and its error surfaces", async () => {
  const emitter = new Emitter();
  const heard = [];
  emitter.on("a", () => {
    throw new Error("mine");
  });
  emitter.on("a", (value) => heard.push(value));
  // The test runner listens too, and would take it for a failure.
  const others = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  const surfaced = new Promise((resolve) => process.once("uncaughtException", resolve));
  emitter.emit("a", 1);
  assert.equal((await surfaced).message, "mine");
  for (const listener of others) process.on("uncaughtException", listener);
  assert.deepEqual(heard, [1]);
});

test("listeners may come and go while they are told", () => {
  const emitter = new Emitter();
  const heard = [];
  const second = () => heard.push("second");
  emitter.on("a", () => {
    heard.push("first");
    emitter.off("a", second);
    emitter.on("a", () => heard.push("late"));
  });
  emitter.on("a", second);
  emitter.emit("a");
  assert.deepEqual(heard, ["first", "second"]);
});
