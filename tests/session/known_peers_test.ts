import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { systemClock } from "../../lib/base/clock.ts";
import { encodeFingerprint } from "../../lib/protocol/identity.ts";
import { KnownServers } from "../../lib/session/known_servers.ts";
import { KnownPeers, MAX_APPENDED_BYTES, SAVE_INTERVAL_MS } from "../../lib/session/known_peers.ts";
import { MAX_NICKS_PER_PEER, MAX_STRANGERS } from "../../lib/session/peer_table.ts";
import { FakeClock } from "../support/fake_clock.ts";

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

/** Runs `check` on a KnownPeers, and on a second one that reads what the first has written. */
async function twice(folder: string, peers: KnownPeers, check: (peers: KnownPeers) => void) {
  check(peers);
  await peers.flush();
  check(await KnownPeers.load(folder, failOn));
}

Deno.test("KnownPeers.judge() knows a key once it was remembered, even after a restart", async () => {
  await withFolder(async (folder, path) => {
    const peers = await KnownPeers.load(folder, failOn, { clock });
    assert.equal(peers.judge(ALICE, "alice"), "new");
    peers.remember(ALICE, "alice");
    await twice(folder, peers, (peers) => {
      assert.equal(peers.judge(ALICE, "alice"), "known");
      assert.equal(peers.judge(ALICE, "other"), "known");
      assert.equal(peers.judge(BOB, "bob"), "new");
      assert.equal(peers.owners("ALICE")[0], ALICE);
      assert.equal(peers.owners("other")[0], undefined);
    });
    const [, entry] = (await Deno.readTextFile(path)).split("\n");
    assert.equal(entry, `${ALICE} 2025-01-31 known "alice"`);
  });
});

Deno.test("KnownPeers.judge() reports a conflict until the key is accepted, ignoring case", async () => {
  await withFolder(async (folder) => {
    const peers = await KnownPeers.load(folder, failOn);
    peers.remember(BOB, "bob");
    assert.equal(peers.judge(MALLORY, "BoB"), "conflict");
    peers.remember(MALLORY, "BoB");
    await twice(folder, peers, (peers) => {
      assert.equal(peers.judge(MALLORY, "bob"), "conflict");
      assert.equal(peers.judge(MALLORY, "mallory"), "known");
      assert.equal(peers.judge(BOB, "bob"), "known");
    });
    peers.accept(MALLORY, "bob");
    await twice(folder, peers, (peers) => {
      assert.equal(peers.judge(MALLORY, "BOB"), "known");
      assert.equal(peers.judge(BOB, "bob"), "conflict");
      assert.equal(peers.owners("bob")[0], MALLORY);
    });
    peers.remember(BOB, "bob");
    assert.equal(peers.judge(BOB, "bob"), "conflict");
    peers.accept(BOB, "bob");
    await twice(folder, peers, (peers) => {
      assert.equal(peers.judge(BOB, "bob"), "known");
      assert.equal(peers.judge(MALLORY, "bob"), "conflict");
    });
  });
});

Deno.test("KnownPeers.verify() applies to the key and gives it no nick of others", async () => {
  await withFolder(async (folder) => {
    const peers = await KnownPeers.load(folder, failOn);
    peers.remember(BOB, "bob");
    peers.verify(MALLORY);
    await twice(folder, peers, (peers) => {
      assert.ok(peers.isVerified(MALLORY));
      assert.ok(!peers.isVerified(BOB));
      assert.ok(!peers.isVerified(ALICE));
      assert.equal(peers.judge(MALLORY, "mallory"), "verified");
      assert.equal(peers.judge(MALLORY, "bob"), "conflict");
      assert.equal(peers.judge(BOB, "bob"), "known");
    });
    peers.accept(MALLORY, "bob");
    peers.verify(BOB);
    await twice(folder, peers, (peers) => {
      assert.equal(peers.judge(MALLORY, "bob"), "verified");
      assert.equal(peers.judge(BOB, "bob"), "conflict");
    });
  });
});

Deno.test("KnownPeers writes any nick so that it can be read back and forges no line", async () => {
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
    const peers = await KnownPeers.load(folder, failOn);
    for (const [i, nick] of hostile.entries()) peers.remember(fingerprint(100 + i), nick);
    await twice(folder, peers, (peers) => {
      for (const [i, nick] of hostile.entries()) {
        assert.equal(peers.owners(nick)[0], fingerprint(100 + i));
      }
      assert.equal(peers.judge(MALLORY, "mallory"), "new");
    });
  });
  await fc.assert(
    fc.asyncProperty(fc.string({ unit: "binary" }), async (nick) => {
      await withFolder(async (folder) => {
        const peers = await KnownPeers.load(folder, failOn);
        peers.remember(ALICE, nick);
        await twice(folder, peers, (peers) => assert.equal(peers.owners(nick)[0], ALICE));
      });
    }),
    { numRuns: 50 },
  );
});

Deno.test("KnownPeers merges its changes with what another process has written", async () => {
  await withFolder(async (folder) => {
    const [one, other] = [
      await KnownPeers.load(folder, failOn),
      await KnownPeers.load(folder, failOn),
    ];
    one.remember(BOB, "bob");
    await one.flush();
    // The other process does not know Bob yet; the nick stays his anyway.
    assert.equal(other.judge(MALLORY, "bob"), "new");
    other.remember(MALLORY, "bob");
    other.remember(ALICE, "alice");
    other.verify(ALICE);
    await other.flush();
    one.accept(BOB, "robert");
    await one.flush();
    const peers = await KnownPeers.load(folder, failOn);
    assert.equal(peers.judge(BOB, "bob"), "known");
    assert.equal(peers.judge(BOB, "robert"), "known");
    assert.equal(peers.judge(MALLORY, "bob"), "conflict");
    assert.equal(peers.judge(ALICE, "alice"), "verified");
  });
});

Deno.test("KnownPeers continues in memory when the disk cannot be written, and reports it once", async () => {
  await withFolder(async (folder) => {
    const errors: unknown[] = [];
    const peers = await KnownPeers.load(folder, (error) => errors.push(error));
    await Deno.writeTextFile(folder, "a file where the folder should be");
    peers.remember(BOB, "bob");
    await peers.flush();
    peers.verify(BOB);
    await peers.flush();
    assert.equal(errors.length, 1);
    assert.equal(peers.judge(BOB, "bob"), "verified");
    assert.equal(peers.judge(MALLORY, "bob"), "conflict");
    await Deno.remove(folder);
    await peers.flush();
    assert.equal((await KnownPeers.load(folder, failOn)).judge(BOB, "bob"), "verified");
  });
});

Deno.test("KnownPeers.load() reads what editors on Windows write, and lines of before", async () => {
  await withFolder(async (folder, path) => {
    const peers = await KnownPeers.load(folder, failOn);
    peers.remember(ALICE, "alice");
    peers.verify(BOB);
    peers.accept(BOB, "bob");
    await peers.flush();
    const whole = await Deno.readTextFile(path);
    const windows = "\ufeff" + whole.replaceAll("\n", "\r\n");
    for (const content of [windows, whole + "# end\n", whole.trimEnd(), whole + "\n\n"]) {
      await Deno.writeTextFile(path, content);
      const read = await KnownPeers.load(folder, failOn);
      assert.equal(read.warning, undefined);
      assert.deepEqual([read.judge(ALICE, "alice"), read.judge(BOB, "bob")], ["known", "verified"]);
      read.remember(BOB, "robert");
      await read.flush();
      const again = await KnownPeers.load(folder, failOn);
      assert.equal(again.warning, undefined);
      assert.deepEqual(again.owners("robert"), [BOB]);
      assert.deepEqual(again.owners("alice"), [ALICE]);
    }
  });
});

Deno.test("KnownPeers keeps lines that it cannot read, and says once which", async () => {
  await withFolder(async (folder, path) => {
    const unknown = [
      `${ALICE} 2025-01-31 trusted "alice"`,
      `${ALICE} 2025-01-31 known "alice" colour=red`,
      `${ALICE} 2025-01-31 known alice`,
      `${ALICE} 2025-01-31 known "\\x"`,
      `${ALICE} 2025-01-31 known${` "a"`.repeat(MAX_NICKS_PER_PEER + 1)}`,
      "alice ssh-rsa AAAAB3NzaC1yc2E",
      "x".repeat(100_000),
      "\x7fELF\0\0",
    ];
    await Deno.mkdir(folder);
    const content = ["# my friends", ...unknown, `${BOB} 2025-01-31 met "bob"`, ""].join("\n");
    await Deno.writeTextFile(path, content);
    const file = await Deno.open(path, { append: true });
    await file.write(Uint8Array.of(0xff, 0xfe, 0x0a));
    file.close();
    const peers = await KnownPeers.load(folder, failOn);
    assert.match(peers.warning!, /known_peers: line 2 and 8 more not understood/);
    assert.equal(peers.judge(BOB, "bob"), "known");
    assert.equal(peers.judge(ALICE, "alice"), "new");
    peers.accept(ALICE, "alice");
    // Enough to have it rewritten.
    for (let i = 0; i < 5000; i++) peers.remember(fingerprint(100 + i), `n${i}`);
    await peers.flush();
    for (let i = 0; i < 5000; i++) peers.remember(fingerprint(100 + i), `m${i}`);
    await peers.flush();
    const bytes = await Deno.readFile(path);
    const lines = new TextDecoder().decode(bytes).split("\n");
    for (const line of ["# my friends", ...unknown]) assert.ok(lines.includes(line), line);
    assert.ok(bytes.includes(0xff));
    assert.deepEqual((await KnownPeers.load(folder, failOn)).owners("alice"), [ALICE]);
  });
});

Deno.test("KnownPeers.load() lets the first owner keep a nick that another line has too", async () => {
  await withFolder(async (folder, path) => {
    await Deno.mkdir(folder);
    // Before Unicode 5.1 "ẞ" had no small letter: these two nicks were different then.
    const lines = [`${BOB} 2025-01-31 known "stra\u1e9ee"`, `${MALLORY} 2025-01-31 met "strasse"`];
    const text = JSON.parse(`"${lines.join("\\n").replaceAll('"', '\\"')}"`);
    await Deno.writeTextFile(path, text + "\n");
    const peers = await KnownPeers.load(folder, failOn);
    assert.match(peers.warning!, /line 2 not understood or in conflict/);
    assert.equal(peers.judge(BOB, "strasse"), "known");
    assert.equal(peers.judge(MALLORY, "strasse"), "conflict");
    peers.remember(MALLORY, "mallory");
    await peers.flush();
    assert.ok((await Deno.readTextFile(path)).includes(`"strasse" "mallory"`));
  });
});

Deno.test("KnownPeers starts with a file torn at any byte, and loses at most the entry that was cut", async () => {
  await withFolder(async (folder, path) => {
    const peers = await KnownPeers.load(folder, failOn);
    peers.remember(ALICE, "alice");
    peers.verify(BOB);
    peers.accept(BOB, "böb");
    await peers.flush();
    peers.remember(BOB, "robert"); // appended
    peers.accept(MALLORY, "mallory");
    await peers.flush();
    const whole = await Deno.readFile(path);
    const before = await Deno.readTextFile(path);
    const ends = (name: string) =>
      new TextEncoder().encode(before.slice(0, before.indexOf(name))).length + name.length + 2;
    for (let length = 0; length <= whole.length; length++) {
      await Deno.writeFile(path, whole.subarray(0, length));
      const torn = await KnownPeers.load(folder, failOn);
      if (length >= ends("alice")) assert.deepEqual(torn.owners("alice"), [ALICE], `${length}`);
      if (length >= ends("böb") + 1) {
        assert.equal(torn.judge(BOB, "böb"), "verified", `${length}`);
        assert.equal(torn.judge(MALLORY, "böb"), "conflict", `${length}`);
      }
      torn.verify(MALLORY);
      torn.accept(MALLORY, "eve");
      await torn.flush();
      const again = await KnownPeers.load(folder, failOn);
      assert.equal(again.judge(MALLORY, "eve"), "verified", `${length}`);
      if (length >= ends("böb") + 1) assert.equal(again.judge(BOB, "böb"), "verified");
    }
  });
});

Deno.test("KnownPeers reads any damaged file, warns if a line is lost, and keeps what it cannot read", async () => {
  const entry = fc.record({
    number: fc.integer({ min: 1, max: 6 }),
    word: fc.constantFrom("known", "met", "verified", "trusted", ""),
    nicks: fc.array(fc.constantFrom("bob", "BOB", "ﬀ", "ff", "straße", "STRASSE", "日本"), {
      maxLength: 3,
    }),
    end: fc.constantFrom("\n", "\r\n", " \n", " x=1\n", "\n\n"),
  }).map(({ number, word, nicks, end }) =>
    `${fingerprint(number)} 2025-01-31 ${word}${nicks.map((nick) => ` "${nick}"`).join("")}${end}`
  );
  const file = fc.tuple(
    fc.constantFrom("", "\ufeff", "# People\n"),
    fc.array(entry, { maxLength: 8 }),
    fc.nat(),
  );
  await fc.assert(
    fc.asyncProperty(file, async ([start, entries, cut]) => {
      await withFolder(async (folder, path) => {
        await Deno.mkdir(folder);
        const whole = new TextEncoder().encode(start + entries.join(""));
        const content = whole.subarray(0, cut % (whole.length + 1));
        await Deno.writeFile(path, content);
        const peers = await KnownPeers.load(folder, failOn);
        const skipped = new TextDecoder().decode(content).split("\n")
          .map((line) => line.replace(/^\ufeff/, "").replace(/\r$/, ""))
          .filter((line) => /^SHA.*(?: (?:trusted|)(?: "|$)| x=1$| $)/.test(line));
        if (skipped.length > 0) assert.ok(peers.warning);
        peers.accept(fingerprint(7), "new");
        await peers.flush();
        const text = await Deno.readTextFile(path);
        for (const line of skipped) assert.ok(text.includes(line), line);
        const again = await KnownPeers.load(folder, failOn);
        assert.deepEqual(again.owners("new"), [fingerprint(7)]);
        for (let i = 1; i <= 6; i++) {
          for (const nick of ["bob", "ff", "strasse"]) {
            assert.equal(again.judge(fingerprint(i), nick), peers.judge(fingerprint(i), nick));
          }
        }
      });
    }),
    { numRuns: 200 },
  );
});

Deno.test("KnownPeers bounds the file and what strangers have it write, and loses nothing in memory", async () => {
  await withFolder(async (folder, path) => {
    const clock = new FakeClock();
    const peers = await KnownPeers.load(folder, failOn, { clock });
    peers.remember(ALICE, "alice");
    peers.meet(ALICE);
    await peers.flush();
    let written = 0;
    let size = (await Deno.stat(path)).size;
    // 10,000 keys and 100 changes of nick in each of 200 seconds.
    for (let second = 0; second < 200; second++) {
      for (let i = 0; i < 50; i++) {
        peers.remember(fingerprint(1000 + second * 50 + i), `n${second}-${i}`);
      }
      for (let i = 0; i < 100; i++) peers.remember(BOB, `bob${second}-${i}`);
      await clock.advance(1000);
      await settled(path);
      const now = (await Deno.stat(path)).size;
      written += now >= size ? now - size : now;
      size = now;
      assert.equal(peers.judge(MALLORY, "alice"), "conflict");
      assert.equal(peers.judge(MALLORY, `bob${second}-99`), "conflict");
    }
    assert.ok(written < 5 * 2 * MAX_APPENDED_BYTES, `${written}`);
    await peers.flush();
    const { size: last } = await Deno.stat(path);
    assert.ok(last < 200 * (MAX_STRANGERS + 2), `${last}`);
    const again = await KnownPeers.load(folder, failOn);
    assert.equal(again.judge(MALLORY, "alice"), "conflict");
    assert.deepEqual(again.owners("n199-49"), [fingerprint(1000 + 199 * 50 + 49)]);
  });
});

/** Time enough for a write that was begun; whether it came is seen by what is asserted. */
async function settled(path: string): Promise<void> {
  for (let turn = 0; turn < 30; turn++) await Deno.stat(path);
}

Deno.test("KnownPeers writes many changes at once, with a pause between", async () => {
  await withFolder(async (folder, path) => {
    const clock = new FakeClock();
    const peers = await KnownPeers.load(folder, failOn, { clock });
    peers.remember(ALICE, "alice");
    await peers.flush();
    for (let i = 0; i < 50; i++) peers.remember(BOB, `bob${i}`);
    await settled(path);
    assert.ok(!(await Deno.readTextFile(path)).includes(BOB));
    await clock.advance(SAVE_INTERVAL_MS);
    await peers.flush();
    assert.equal((await Deno.readTextFile(path)).split(BOB).length, 2);
  });
});

Deno.test(
  "KnownPeers writes through a link to its file",
  { ignore: Deno.build.os === "windows" },
  async () => {
    await withFolder(async (folder, path) => {
      await Deno.mkdir(`${folder}/elsewhere`, { recursive: true });
      await Deno.symlink("elsewhere/people", path);
      const peers = await KnownPeers.load(folder, failOn);
      peers.remember(ALICE, "alice");
      await peers.flush();
      peers.remember(ALICE, "alison");
      await peers.flush();
      assert.ok((await Deno.lstat(path)).isSymlink);
      assert.ok((await Deno.readTextFile(`${folder}/elsewhere/people`)).includes("alison"));
    });
  },
);

Deno.test("KnownPeers remembers that verified keys share a nick", async () => {
  await withFolder(async (folder) => {
    const peers = await KnownPeers.load(folder, failOn);
    peers.remember(BOB, "bob");
    peers.verify(BOB);
    peers.verify(ALICE);
    peers.share(ALICE, "Bob");
    await twice(folder, peers, (peers) => {
      assert.deepEqual([BOB, ALICE].map((key) => peers.judge(key, "bob")), [
        "verified",
        "verified",
      ]);
      assert.equal(peers.judge(MALLORY, "bob"), "conflict");
    });
  });
});

Deno.test("KnownPeers and KnownServers lose nothing when two processes write 100 times at once", async () => {
  await withFolder(async (folder) => {
    const script = new URL("../support/trust_writer.ts", import.meta.url).href;
    const runs = await Promise.all(["a", "b"].map((name) =>
      new Deno.Command(Deno.execPath(), {
        args: ["run", "--quiet", "--allow-read", "--allow-write", script, folder, name],
        stdout: "null",
        stderr: "inherit",
      }).output()
    ));
    assert.deepEqual(runs.map((run) => run.code), [0, 0]);
    const peers = await KnownPeers.load(folder, failOn);
    const servers = await KnownServers.load(folder);
    let count = 0;
    for (const name of ["a", "b"]) {
      for (let round = 0; round < 100; round++) {
        const owner = peers.owners(`${name}-${round}`)[0];
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
