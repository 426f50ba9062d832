import assert from "node:assert/strict";
import { nearest } from "../lib/nearest.ts";

Deno.test("nearest() finds what was meant", () => {
  const names = ["quiet", "quit", "help", "me", "msg", "verify"];
  const table: [typed: string, meant: string][] = [
    ["help", "help"],
    ["hlep", "help"],
    ["helpp", "help"],
    ["hel", "help"],
    ["he", "help"],
    ["exit", "quit"],
    ["q", "quit"],
    ["qui", "quit"],
    ["quiett", "quiet"],
    ["mgs", "msg"],
    ["verfiy", "verify"],
    ["v".repeat(10_000), "verify"],
  ];
  for (const [typed, meant] of table) assert.equal(nearest(typed, names), meant, typed);
});

Deno.test("nearest() takes the first of equally near names", () => {
  assert.equal(nearest("xx", ["ab", "cd"]), "ab");
});
