import assert from "node:assert/strict";
import type { SessionEvent } from "../lib/session/events.ts";
import { Standing } from "../lib/session/standing.ts";

const connected = (server: "new" | "known"): SessionEvent => (
  { event: "connected", address: "host:1", fingerprint: "SHA256:key", server }
);
const welcome = (members: number): SessionEvent => ({ event: "welcome", room: "lobby", members });
const ended = (reason: string): SessionEvent => ({ event: "disconnected", reason });
const again: SessionEvent = { event: "reconnecting", seconds: 1 };

function follow(events: readonly SessionEvent[], serving = false): [string[], Standing] {
  const told: string[] = [];
  const standing = new Standing({ serving, print: ({ text }) => void told.push(text) });
  for (const event of events) assert.equal(standing.take(event), true);
  return [told, standing];
}

Deno.test("Standing names the server with the first welcome, and what is new about it before", () => {
  assert.deepEqual(follow([connected("known"), welcome(0)])[0], [
    "connected to host:1: you are in lobby, alone so far",
  ]);
  assert.deepEqual(follow([connected("new"), welcome(1)])[0], [
    "connected to host:1 for the first time; its key is SHA256:key",
    "you are in lobby, with one other",
  ]);
  assert.deepEqual(follow([connected("new"), welcome(0)], true)[0], [
    "you are in lobby, alone so far",
  ]);
});

Deno.test("Standing tells an outage in one line at its beginning and one at its end", () => {
  const events = [ended("cut"), again, again, again, connected("known"), ended("cut"), again];
  const [told, standing] = follow([connected("known"), welcome(0), ...events]);
  assert.equal(standing.state, "offline");
  assert.deepEqual(told.splice(0), [
    "connected to host:1: you are in lobby, alone so far",
    "connection lost: it was cut; what you write waits",
  ]);
  for (const event of [ended("full"), again, connected("known"), welcome(2)]) standing.take(event);
  assert.deepEqual(told, [
    "connection lost: the server is full; what you write waits",
    "connected again, with 2 others",
  ]);
  assert.equal(standing.state, "online");
});

Deno.test("Standing leaves a refusal to who ends the program", () => {
  const [told, standing] = follow([connected("known"), ended("wrong password")]);
  assert.deepEqual(told, []);
  assert.equal(standing.state, "offline");
  assert.equal(standing.wasOnline, false);
});

Deno.test("Standing tells a first contact that does not succeed yet", () => {
  const [told, standing] = follow([]);
  assert.equal(standing.state, "connecting");
  for (const event of [ended("full"), again, welcome(0)]) standing.take(event);
  assert.deepEqual(told, [
    "no connection yet: the server is full; it is tried again",
    "you are in lobby, alone so far",
  ]);
  assert.equal(standing.wasOnline, true);
});

Deno.test("Standing leaves other events to others", () => {
  const standing = new Standing({ serving: false, print: () => {} });
  assert.equal(standing.take({ event: "notice", text: "" }), false);
});
