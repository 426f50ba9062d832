import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { systemClock } from "../lib/base/clock.ts";
import { UsageError } from "../lib/base/errors.ts";
import { encodeFingerprint } from "../lib/protocol/identity.ts";
import { ServerBook } from "../lib/session/known_servers.ts";
import {
  MAX_NICKS_PER_PEER,
  MAX_PEERS,
  MAX_PENDING_CHANGES,
  PeerBook,
} from "../lib/session/known_peers.ts";

const [ALICE, BOB, MALLORY] = [1, 2, 3].map(fingerprint) as [string, string, string];
const clock = { ...systemClock, wallTime: () => Date.UTC(2025, 0, 31, 23, 59) };

function fingerprint(number: number): string {
  const bytes = new Uint8Array(32);
  new DataView(bytes.buffer).setUint32(0, number);
  return encodeFingerprint(bytes);
}

function failOn(error: unknown): never {
  throw error;
}

async function withFolder(action: (folder: string, path: string) => Promise<void>) {
  const folder = await Deno.makeTempDir();
  try {
    await action(`${folder}/state`, `${folder}/state/known_peers`);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Runs `check` on a book, and on another one that reads what the first has written. */
async function twice(folder: string, book: PeerBook, check: (book: PeerBook) => void) {
  check(book);
  await book.flush();
  check(await PeerBook.load(folder, failOn));
}

Deno.test("PeerBook.judge() knows a key after it was remembered, also after a restart", async () => {
  await withFolder(async (folder, path) => {
    const book = await PeerBook.load(folder, failOn, { clock });
    assert.equal(book.judge(ALICE, "alice"), "new");
    book.remember(ALICE, "alice");
    await twice(folder, book, (book) => {
      assert.equal(book.judge(ALICE, "alice"), "known");
      assert.equal(book.judge(ALICE, "other"), "known");
      assert.equal(book.judge(BOB, "bob"), "new");
      assert.equal(book.ownerOf("ALICE"), ALICE);
      assert.equal(book.ownerOf("other"), undefined);
    });
    const [, entry] = (await Deno.readTextFile(path)).split("\n");
    assert.equal(entry, `${ALICE} 2025-01-31 known "alice"`);
  });
});

Deno.test("PeerBook.judge() sees a conflict until the key is accepted, whatever the case", async () => {
  await withFolder(async (folder) => {
    const book = await PeerBook.load(folder, failOn);
    book.remember(BOB, "bob");
    assert.equal(book.judge(MALLORY, "BoB"), "conflict");
    book.remember(MALLORY, "BoB");
    await twice(folder, book, (book) => {
      assert.equal(book.judge(MALLORY, "bob"), "conflict");
      assert.equal(book.judge(MALLORY, "mallory"), "known");
      assert.equal(book.judge(BOB, "bob"), "known");
    });
    book.accept(MALLORY, "bob");
    await twice(folder, book, (book) => {
      assert.equal(book.judge(MALLORY, "BOB"), "known");
      assert.equal(book.judge(BOB, "bob"), "conflict");
      assert.equal(book.ownerOf("bob"), MALLORY);
    });
    book.remember(BOB, "bob");
    assert.equal(book.judge(BOB, "bob"), "conflict");
    book.accept(BOB, "bob");
    await twice(folder, book, (book) => {
      assert.equal(book.judge(BOB, "bob"), "known");
      assert.equal(book.judge(MALLORY, "bob"), "conflict");
    });
  });
});

Deno.test("PeerBook.verify() holds for the key and gives it nobody's nick", async () => {
  await withFolder(async (folder) => {
    const book = await PeerBook.load(folder, failOn);
    book.remember(BOB, "bob");
    book.verify(MALLORY);
    await twice(folder, book, (book) => {
      assert.ok(book.isVerified(MALLORY));
      assert.ok(!book.isVerified(BOB));
      assert.ok(!book.isVerified(ALICE));
      assert.equal(book.judge(MALLORY, "mallory"), "verified");
      assert.equal(book.judge(MALLORY, "bob"), "conflict");
      assert.equal(book.judge(BOB, "bob"), "known");
    });
    book.accept(MALLORY, "bob");
    book.verify(BOB);
    await twice(folder, book, (book) => {
      assert.equal(book.judge(MALLORY, "bob"), "verified");
      assert.equal(book.judge(BOB, "bob"), "conflict");
    });
  });
});

Deno.test("PeerBook keeps the last nicks of a key, and frees the one used longest ago", async () => {
  await withFolder(async (folder) => {
    const book = await PeerBook.load(folder, failOn);
    for (let i = 0; i < MAX_NICKS_PER_PEER; i++) book.remember(BOB, `bob${i}`);
    await twice(folder, book, (book) => assert.equal(book.judge(MALLORY, "bob0"), "conflict"));
    book.remember(BOB, "Bob0");
    book.remember(BOB, "bob8");
    await twice(folder, book, (book) => {
      assert.equal(book.judge(MALLORY, "bob0"), "conflict");
      assert.equal(book.judge(MALLORY, "bob1"), "new");
      assert.equal(book.judge(MALLORY, "bob2"), "conflict");
      assert.equal(book.judge(MALLORY, "bob8"), "conflict");
    });
  });
});

Deno.test("PeerBook lets nobody push out who is remembered", async () => {
  await withFolder(async (folder) => {
    const errors: unknown[] = [];
    const book = await PeerBook.load(folder, (error) => errors.push(error));
    for (let i = 1; i < MAX_PEERS; i++) {
      book.remember(fingerprint(i), `n${i}`);
      if (i % MAX_PENDING_CHANGES === 0) await book.flush();
    }
    assert.equal(book.judge(fingerprint(MAX_PEERS), "new"), "new");
    book.remember(fingerprint(MAX_PEERS), "last");
    assert.equal(book.judge(fingerprint(MAX_PEERS), "last"), "known");
    assert.equal(errors.length, 0);
    for (let i = 1; i < 3; i++) book.remember(fingerprint(MAX_PEERS + i), "beyond");
    assert.equal(book.judge(fingerprint(MAX_PEERS + 1), "beyond"), "new");
    assert.equal(errors.filter((error) => error instanceof UsageError).length, 1);
    // What the user does always counts.
    book.verify(fingerprint(MAX_PEERS + 1));
    assert.ok(book.isVerified(fingerprint(MAX_PEERS + 1)));
    assert.equal(book.judge(fingerprint(7), "n7"), "known");
    await book.flush();
  });
});

Deno.test("PeerBook remembers what the user does, and no strangers, when the disk is too slow", async () => {
  await withFolder(async (folder) => {
    const errors: unknown[] = [];
    const book = await PeerBook.load(folder, (error) => errors.push(error));
    for (let i = 1; i <= MAX_PENDING_CHANGES; i++) book.remember(fingerprint(i), `n${i}`);
    assert.equal(errors.length, 0);
    book.remember(fingerprint(5000), "beyond");
    assert.equal(book.judge(fingerprint(5000), "beyond"), "new");
    assert.deepEqual(errors.map((error) => error instanceof UsageError), [true]);
    book.accept(fingerprint(5001), "chosen");
    await twice(folder, book, (book) => {
      assert.equal(book.ownerOf("chosen"), fingerprint(5001));
      assert.equal(book.ownerOf(`n${MAX_PENDING_CHANGES}`), fingerprint(MAX_PENDING_CHANGES));
      assert.equal(book.ownerOf("beyond"), undefined);
    });
    book.remember(fingerprint(5000), "beyond");
    assert.equal(book.judge(fingerprint(5000), "beyond"), "known");
    await book.flush();
  });
});

Deno.test("PeerBook writes any nick so that it reads back and forges no line", async () => {
  const hostile = [
    `x"\n${MALLORY} 2025-01-01 verified "bob`,
    `\\`,
    `"`,
    `\u2028\u0085\u202e\ufeff\ufffd`,
    "\ud800",
    "# end",
    "日本",
    "",
  ];
  await withFolder(async (folder) => {
    const book = await PeerBook.load(folder, failOn);
    for (const [i, nick] of hostile.entries()) book.remember(fingerprint(100 + i), nick);
    await twice(folder, book, (book) => {
      for (const [i, nick] of hostile.entries()) {
        assert.equal(book.ownerOf(nick), fingerprint(100 + i));
      }
      assert.equal(book.judge(MALLORY, "mallory"), "new");
    });
  });
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: "binary" }), async (nick) => {
      await withFolder(async (folder) => {
        const book = await PeerBook.load(folder, failOn);
        book.remember(ALICE, nick);
        await twice(folder, book, (book) => assert.equal(book.ownerOf(nick), ALICE));
      });
    }),
    { numRuns: 50 },
  );
});

Deno.test("PeerBook puts its changes into what another process has written", async () => {
  await withFolder(async (folder) => {
    const [one, other] = [await PeerBook.load(folder, failOn), await PeerBook.load(folder, failOn)];
    one.remember(BOB, "bob");
    await one.flush();
    // The other one does not know of Bob yet: the nick stays his all the same.
    assert.equal(other.judge(MALLORY, "bob"), "new");
    other.remember(MALLORY, "bob");
    other.remember(ALICE, "alice");
    other.verify(ALICE);
    await other.flush();
    one.accept(BOB, "robert");
    await one.flush();
    const book = await PeerBook.load(folder, failOn);
    assert.equal(book.judge(BOB, "bob"), "known");
    assert.equal(book.judge(BOB, "robert"), "known");
    assert.equal(book.judge(MALLORY, "bob"), "conflict");
    assert.equal(book.judge(ALICE, "alice"), "verified");
  });
});

Deno.test("PeerBook goes on in memory when the disk cannot be written, and says so once", async () => {
  await withFolder(async (folder) => {
    const errors: unknown[] = [];
    const book = await PeerBook.load(folder, (error) => errors.push(error));
    await Deno.writeTextFile(folder, "a file where the folder should be");
    book.remember(BOB, "bob");
    await book.flush();
    book.verify(BOB);
    await book.flush();
    assert.equal(errors.length, 1);
    assert.equal(book.judge(BOB, "bob"), "verified");
    assert.equal(book.judge(MALLORY, "bob"), "conflict");
    await Deno.remove(folder);
    await book.flush();
    assert.equal((await PeerBook.load(folder, failOn)).judge(BOB, "bob"), "verified");
  });
});

Deno.test("PeerBook.load() believes nothing of a damaged file and leaves it as it is", async () => {
  await withFolder(async (folder, path) => {
    const book = await PeerBook.load(folder, failOn);
    book.remember(ALICE, "alice");
    book.remember(BOB, "bob");
    book.remember(BOB, "robert");
    await book.flush();
    const whole = await Deno.readTextFile(path);
    const nicks = (count: number) =>
      Array.from({ length: count }, (_, i) => ` "nick${i}"`).join("");
    await Deno.writeTextFile(path, whole.replace(` "alice"`, nicks(MAX_NICKS_PER_PEER)));
    await PeerBook.load(folder, failOn);
    const bad: [content: string, line?: number][] = [
      [whole.replace(` "alice"`, nicks(MAX_NICKS_PER_PEER + 1)), 2],
      [whole.replace(`"robert"`, `"Alice"`), 3], // a nick that belongs to two
      [whole.replace(`"robert"`, `"BOB"`), 3],
      [whole.replace(BOB, ALICE), 3],
      [whole.replace(`known "`, `trusted "`), 2],
      [whole.replace(`"alice"`, `"\\u0061lice"`), 2], // not as it is written here
      [whole.replace(`"alice"`, `"\\x"`), 2],
      [whole.replace(`"alice"`, `"al\u202eice"`), 2],
      [whole.replace(`"alice"`, `alice`), 2],
      [whole.replace(`"alice"`, `"alice" `), 2],
      [whole.replace("# end", "# End"), 5],
      ["# another file\n# end\n", 1],
    ];
    for (let length = 0; length < whole.length; length++) bad.push([whole.slice(0, length)]);
    for (const [content, line] of bad) {
      await Deno.writeTextFile(path, content);
      await assert.rejects(PeerBook.load(folder, failOn), (error) => {
        assert.ok(error instanceof UsageError, content);
        assert.ok(error.message.includes(path));
        if (line !== undefined) assert.ok(error.message.endsWith(`line ${line}`), error.message);
        return true;
      });
    }
  });
});

Deno.test("PeerBook does not write over a file that was damaged while it ran", async () => {
  await withFolder(async (folder, path) => {
    const errors: unknown[] = [];
    const book = await PeerBook.load(folder, (error) => errors.push(error));
    book.remember(ALICE, "alice");
    await book.flush();
    await Deno.writeTextFile(path, "");
    book.remember(BOB, "bob");
    await book.flush();
    assert.deepEqual(errors.map((error) => error instanceof UsageError), [true]);
    assert.equal(await Deno.readTextFile(path), "");
    assert.equal(book.judge(ALICE, "alice"), "known");
    assert.equal(book.judge(BOB, "bob"), "known");
  });
});

Deno.test("PeerBook and ServerBook lose nothing when two processes write 100 times at once", async () => {
  await withFolder(async (folder) => {
    const script = new URL("support/trust_writer.ts", import.meta.url).href;
    const runs = await Promise.all(["a", "b"].map((name) =>
      new Deno.Command(Deno.execPath(), {
        args: ["run", "--quiet", "--allow-read", "--allow-write", script, folder, name],
        stdout: "null",
        stderr: "inherit",
      }).output()
    ));
    assert.deepEqual(runs.map((run) => run.code), [0, 0]);
    const peers = await PeerBook.load(folder, failOn);
    const servers = await ServerBook.load(folder);
    let count = 0;
    for (const name of ["a", "b"]) {
      for (let round = 0; round < 100; round++) {
        const owner = peers.ownerOf(`${name}-${round}`);
        assert.ok(owner);
        assert.equal(servers.find(`${name}-${round}:40623`)?.fingerprint, owner);
        count++;
      }
    }
    assert.equal(count, 200);
    const names = await Array.fromAsync(Deno.readDir(folder), (entry) => entry.name);
    assert.deepEqual(names.sort(), [
      "known_peers",
      "known_peers.lock",
      "known_servers",
      "known_servers.lock",
    ]);
  });
});
