import assert from "node:assert/strict";
import { lookOf } from "../../lib/protocol/lookalikes.ts";

Deno.test("lookOf() gives nicks that look the same one form, and others different ones", () => {
  const same = [
    ["coco", "сосо", "ϲοϲο"],
    ["Anna", "Аnnа"],
    ["hope", "һоре"],
    ["noun", "ոօսո", "ηουη"],
    ["BOB", "ВОВ", "ΒΟΒ", "B0B"],
    ["Ivan", "lvan", "1van", "Ӏvan"],
    ["ALICE", "ᎪᏞᎥᏟᎬ"],
  ];
  for (const [first, ...others] of same) {
    for (const other of others) assert.equal(lookOf(other), lookOf(first!), `${first} ${other}`);
  }
  const forms = same.map(([nick]) => lookOf(nick!));
  assert.equal(new Set(forms).size, same.length);
  for (const nick of ["мир", "δήμος", "안나", "anna-2"]) {
    assert.equal(lookOf(nick).length, nick.length);
  }
});
