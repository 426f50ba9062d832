/**
 * Clients of a {@linkcode TestRoom}, and what they were shown.
 *
 * @module
 */

import type { TestClient, TestRoom } from "./test_room.ts";

// Seeds in the order of their fingerprints: Anna's is the smallest, so she is always the initiator.
export const ANNA = { seed: 5, nick: "anna" };
export const BERT = { seed: 3, nick: "bert" };
export const CARL = { seed: 2, nick: "carl" };
export const DORA = { seed: 1, nick: "dora" };

/** Several clients in a room that see each other. */
export async function meet(room: TestRoom, ...who: Parameters<TestRoom["enter"]>[0][]) {
  const clients: TestClient[] = [];
  for (const one of who) clients.push(await room.enter(one));
  for (const client of clients) client.take();
  return clients as [TestClient, TestClient, TestClient, TestClient];
}

/** The texts a client was shown. */
export function texts(client: TestClient): string[] {
  return client.events.flatMap((event) => event.event === "chat" ? [event.text] : []);
}
