import assert from "node:assert/strict";
import { makeFileFace } from "../../lib/ui/file_face.ts";
import type { FaceContext } from "../../lib/ui/face.ts";

Deno.test("a face for files keeps the nick of somebody who has left", async () => {
  const fingerprint = `SHA256:${"A".repeat(43)}`;
  let people = [{ fingerprint, nick: "bob" }];
  const face = makeFileFace({
    quiet: true,
    ask: () => Promise.resolve(undefined),
    take: () => {},
    run: (_, { nickOf }) => Promise.resolve(nickOf(fingerprint) === "bob"),
  });
  const context = { session: { people: () => people } } as unknown as FaceContext;
  face.attach(context);
  face.emit({ event: "joined", nick: "bob", fingerprint, trust: "new", weak: false }, "lobby");
  assert.equal(await face.run(), true);
  people = [];
  assert.equal(await face.run(), true);
});
