import { deepEqual } from "node:assert/strict";
import { BoundedMap } from "../../lib/base/bounded_map.ts";

Deno.test("BoundedMap evicts the oldest entry for a new key", () => {
  const map = new BoundedMap<string, number>(2);
  map.set("a", 1).set("b", 2).set("a", 3);
  deepEqual([...map], [["a", 3], ["b", 2]]);
  map.set("c", 4);
  deepEqual([...map], [["b", 2], ["c", 4]]);
});

Deno.test("BoundedMap.renew makes a key the newest and evicts nothing for a known one", () => {
  const map = new BoundedMap<string, number>(2);
  map.set("a", 1).set("b", 2);
  map.renew("a", 3);
  deepEqual([...map], [["b", 2], ["a", 3]]);
  map.renew("c", 4);
  deepEqual([...map], [["a", 3], ["c", 4]]);
});

Deno.test("BoundedMap grows while no entry may go, and shrinks to its limit when they may", () => {
  let isBusy = true;
  const map = new BoundedMap<string, number>(2, (value) => value > 1 && !isBusy);
  map.set("a", 1).set("b", 2).set("c", 3).set("d", 4);
  deepEqual([...map.keys()], ["a", "b", "c", "d"]);
  isBusy = false;
  map.set("e", 5);
  deepEqual([...map.keys()], ["a", "e"]);
});
