import assert from "node:assert/strict";
import { MAX_PIECE_BYTES } from "../../../lib/protocol/file_messages.ts";
import {
  FileWindow,
  MAX_FILE_WINDOW_BYTES,
  MIN_FILE_WINDOW_BYTES,
} from "../../../lib/session/files/window.ts";

/** Sends a window full, which is answered after so many milliseconds. */
function turn(
  window: FileWindow,
  state: { position: number; now: number },
  roundTrip: number,
): void {
  state.position += window.roomFor(1);
  window.sent(1, state.position, state.now);
  state.now += roundTrip;
  window.got(1, state.position, state.now);
}

Deno.test("the window doubles while nothing is delayed, up to its limit, and halves where it is", () => {
  const window = new FileWindow();
  const state = { position: 0, now: 0 };
  window.begin(1, 0);
  assert.equal(window.size, MIN_FILE_WINDOW_BYTES);
  for (const size of [131_072, 262_144, 524_288, MAX_FILE_WINDOW_BYTES, MAX_FILE_WINDOW_BYTES]) {
    turn(window, state, 10);
    assert.equal(window.size, size);
  }
  turn(window, state, 61);
  assert.equal(window.size, MAX_FILE_WINDOW_BYTES, "between the two it stays");
  for (const size of [393_216, 196_608, 98_304, MIN_FILE_WINDOW_BYTES, MIN_FILE_WINDOW_BYTES]) {
    turn(window, state, 110);
    assert.equal(window.size, size);
  }
  turn(window, state, 60);
  assert.equal(window.size, 2 * MIN_FILE_WINDOW_BYTES);
});

Deno.test("the window is one for all transfers, and changes once in a round trip", () => {
  const window = new FileWindow();
  window.begin(1, 0);
  window.begin(2, 1000);
  window.sent(1, 30_000, 0);
  window.sent(2, 21_000, 0);
  assert.equal(window.roomFor(1), MIN_FILE_WINDOW_BYTES / 2 - 30_000);
  assert.equal(window.roomFor(2), MIN_FILE_WINDOW_BYTES / 2 - 20_000);
  window.got(1, 15_000, 5);
  window.got(1, 30_000, 6);
  assert.equal(window.size, 2 * MIN_FILE_WINDOW_BYTES);
  window.got(2, 21_000, 7);
  assert.equal(window.size, 2 * MIN_FILE_WINDOW_BYTES);
  assert.equal(window.roomFor(1), window.size / 2);
});

Deno.test("however many transfers share the window, each may have one PIECE under way", () => {
  const window = new FileWindow();
  for (let i = 0; i < 10; i++) window.begin(i, 0);
  assert.equal(window.roomFor(3), MAX_PIECE_BYTES);
  window.sent(3, MAX_PIECE_BYTES, 0);
  assert.equal(window.roomFor(3), 0);
});

Deno.test("what was under way of a transfer that ended or began anew no longer counts", () => {
  const window = new FileWindow();
  window.begin(1, 0);
  window.sent(1, 60_000, 0);
  window.begin(1, 15_000);
  assert.equal(window.roomFor(1), window.size);
  window.got(1, 60_000, 1);
  assert.equal(window.roomFor(1), window.size, "beyond what was sent: ignored");
  window.sent(1, 60_000, 1);
  window.begin(2, 0);
  window.end(1);
  assert.equal(window.roomFor(2), window.size);
  window.got(1, 60_000, 2);
});

Deno.test("a way that has become slower is measured anew after a while, with little under way", () => {
  const window = new FileWindow();
  const state = { position: 0, now: 0 };
  window.begin(1, 0);
  for (let i = 0; i < 5; i++) turn(window, state, 10);
  assert.equal(window.size, MAX_FILE_WINDOW_BYTES);
  const slowSince = state.now;
  while (state.now - slowSince < 9800) turn(window, state, 200);
  assert.equal(window.size, MIN_FILE_WINDOW_BYTES, "it delays what else is there");
  turn(window, state, 200);
  for (let i = 0; i < 5; i++) turn(window, state, 200);
  assert.equal(window.size, MAX_FILE_WINDOW_BYTES, "it was not this transfer");
  // What it delays itself is not taken for the way: it is measured with little of it under way.
  const own = () => (window.size - MIN_FILE_WINDOW_BYTES) / 8000;
  while (state.now - slowSince < 60_000) turn(window, state, 200 + own());
  turn(window, state, 310);
  assert.ok(window.size < MAX_FILE_WINDOW_BYTES);
});
