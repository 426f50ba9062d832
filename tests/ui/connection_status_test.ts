import assert from "node:assert/strict";
import type { SessionEvent } from "../../lib/session/events.ts";
import { ConnectionStatus } from "../../lib/ui/connection_status.ts";
import type { Notice } from "../../lib/ui/notices.ts";
import { ServerWords } from "../../lib/ui/server_words.ts";
import { FakeClock } from "../support/fake_clock.ts";

const connected = (server: "new" | "known"): SessionEvent => (
  { event: "connected", address: "host:1", fingerprint: "SHA256:key", server }
);
const welcome = (members: number): SessionEvent => ({
  event: "welcome",
  room: "lobby",
  members,
  authenticated: "key",
});
const left = (fingerprint: string): SessionEvent => (
  { event: "left", nick: fingerprint, fingerprint, why: "left" }
);
const searching = (active: boolean): SessionEvent => ({ event: "searching", host: "anna", active });
const moved = (host: string, by: string | null, own = false): SessionEvent => ({
  event: "moved",
  address: "10.0.0.2:1",
  fingerprint: "SHA256:bobs",
  host,
  by,
  own,
});
const ended = (reason: string): SessionEvent => ({ event: "disconnected", reason });
const again: SessionEvent = { event: "reconnecting", seconds: 1 };

function follow(events: readonly SessionEvent[], serving = false): [string[], ConnectionStatus] {
  const shown: string[] = [];
  const words = new ServerWords(new FakeClock());
  const print = ({ text }: Notice) => void shown.push(text);
  const status = new ConnectionStatus({
    serving,
    nickOf: (it) => it,
    fingerprint: "me",
    words,
    print,
  });
  for (const event of events) assert.equal(status.take(event), event.event !== "left");
  return [shown, status];
}

Deno.test("ConnectionStatus says at a first contact how the server was authenticated", () => {
  const verified = { ...welcome(0), authenticated: "password" } as SessionEvent;
  assert.deepEqual(follow([connected("new"), verified])[0], [
    "connected to host:1 for the first time, verified by the password; its key is SHA256:key",
    "you are in lobby, alone so far",
  ]);
  assert.deepEqual(follow([connected("known"), verified])[0], [
    "connected to host:1: you are in lobby, alone so far",
  ]);
  assert.deepEqual(follow([connected("new"), ended("wrong password")])[0], [
    "connected to host:1 for the first time; its key is SHA256:key",
  ]);
});

Deno.test("ConnectionStatus shows the server with the first welcome, but a new key before", () => {
  assert.deepEqual(follow([connected("known"), welcome(0)])[0], [
    "connected to host:1: you are in lobby, alone so far",
  ]);
  assert.deepEqual(follow([connected("new"), welcome(1)])[0], [
    "connected to host:1 for the first time; its key is SHA256:key",
    "you are in lobby, with one other",
  ]);
  assert.deepEqual(follow([connected("new"), welcome(9)], true)[0], [
    "you are in lobby, with 9 others",
  ]);
});

Deno.test("ConnectionStatus shows an outage in one line at its start and one at its end", () => {
  const events = [ended("cut"), again, again, again, connected("known"), ended("cut"), again];
  const [shown, status] = follow([connected("known"), welcome(0), ...events]);
  assert.equal(status.state, "offline");
  assert.deepEqual(shown.splice(0), [
    "connected to host:1: you are in lobby, alone so far",
    "connection lost: interrupted; your messages will wait",
  ]);
  for (const event of [ended("full"), again, connected("known"), welcome(2)]) status.take(event);
  assert.deepEqual(shown, [
    "connection lost: the server is full; your messages will wait",
    "connected again, with 2 others",
  ]);
  assert.equal(status.state, "online");
});

Deno.test("ConnectionStatus does not show a final refusal, which the program reports", () => {
  const [shown, status] = follow([connected("known"), ended("wrong password")]);
  assert.deepEqual(shown, []);
  assert.equal(status.state, "offline");
});

Deno.test("ConnectionStatus says that the first connection has not succeeded yet", () => {
  const [shown, status] = follow([]);
  assert.equal(status.state, "connecting");
  for (const event of [ended("full"), again, welcome(0)]) status.take(event);
  assert.deepEqual(shown, [
    "not connected yet: the server is full; retrying",
    "you are in lobby, alone so far",
  ]);
});

Deno.test("ConnectionStatus ignores other events", () => {
  const [, status] = follow([]);
  assert.equal(status.take({ event: "notice", text: "" }), false);
});

Deno.test("ConnectionStatus says in one line where the room goes on", () => {
  const start = [connected("known"), welcome(2)];
  const [shown] = follow([
    ...start,
    left("anna"),
    ended("shutting down"),
    connected("new"),
    moved("bob", "anna"),
    welcome(1),
    ended("timeout"),
    connected("new"),
    moved("carl", "bob", true),
    welcome(0),
    ended("moved"),
    connected("known"),
    moved("anna", null),
    welcome(1),
    ended("cut"),
    connected("known"),
    moved("dora", null),
    welcome(1),
    ended("shutting down"),
    connected("new"),
    moved("emil", "dora"),
    welcome(1),
    left("emil"),
    ended("shutting down"),
    connected("new"),
    moved("dora", "emil"),
    welcome(0),
    ended("shutting down"),
    connected("new"),
    moved("emil", "me"),
    welcome(1),
  ]);
  assert.deepEqual(shown.slice(1), [
    "anna has left and bob's computer carries on (SHA256:bobs, named by anna)",
    "bob's computer is gone; this computer carries on",
    "back at anna's computer",
    "the room goes on at dora's computer (SHA256:bobs)",
    "the room goes on at emil's computer (SHA256:bobs, named by dora)",
    "emil has left; back at dora's computer",
    "back at emil's computer",
  ]);
});

Deno.test("ConnectionStatus says that a search takes long, and how it ends", () => {
  const start = [connected("known"), welcome(2)];
  const [shown, status] = follow([...start, searching(true)]);
  assert.equal(status.state, "searching");
  status.take(searching(false));
  assert.equal(status.state, "online");
  for (const event of [searching(true), ended("timeout")]) status.take(event);
  assert.equal(status.state, "searching");
  for (const event of [connected("known"), moved("bob", "anna"), welcome(1)]) status.take(event);
  assert.deepEqual(shown.slice(1), [
    "anna's computer does not answer; looking for the room, your messages will wait",
    "anna's computer answers again",
    "anna's computer does not answer; looking for the room, your messages will wait",
    "anna's computer is gone; bob's computer carries on (SHA256:bobs, named by anna)",
  ]);
  const back = [left("anna"), ended("shutting down"), searching(true), connected("known")];
  assert.deepEqual(follow([...start, ...back, welcome(2)])[0].slice(1), [
    "anna has left; looking for the room, your messages will wait",
    "connected again, with 2 others",
  ]);
  assert.deepEqual(follow([searching(true), welcome(0)])[0], [
    "not connected yet: looking for the room",
    "you are in lobby, alone so far",
  ]);
});
