import assert from "node:assert/strict";
import { UsageError } from "../../lib/base/errors.ts";
import { encodeFingerprint } from "../../lib/protocol/identity.ts";
import { BanFile, type KeptBan } from "../../lib/relay/ban_file.ts";

const SINCE = Date.parse("2026-01-02T03:04:05Z");
const LATER = Date.parse("2126-01-01T00:00:00Z");
const OPERATOR = nameOf(1);

function nameOf(number: number): string {
  const bytes = new Uint8Array(32);
  new DataView(bytes.buffer).setUint32(0, number);
  return encodeFingerprint(bytes);
}

function banOf(number: number, until = LATER): KeptBan {
  return { fingerprint: nameOf(number), until, by: OPERATOR, since: SINCE };
}

const row = (number: number, until = "2126-01-01T00:00:00Z") =>
  `${nameOf(number)} ${until} ${OPERATOR} 2026-01-02T03:04:05Z`;

/** Runs a test with a path in a new folder, which has a file of this content, if any. */
async function withFile(
  content: string | undefined,
  test: (path: string, bans: BanFile, faults: unknown[]) => Promise<void>,
): Promise<void> {
  const folder = await Deno.makeTempDir({ prefix: "hearth_test_" });
  try {
    const path = `${folder}/state/bans`;
    await Deno.mkdir(`${folder}/state`);
    if (content !== undefined) await Deno.writeTextFile(path, content, { mode: 0o600 });
    const faults: unknown[] = [];
    await test(path, new BanFile(path, (error) => faults.push(error)), faults);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("BanFile writes bans that another run reads", async () => {
  await withFile(undefined, async (path, bans, faults) => {
    assert.deepEqual(await bans.load(), []);
    bans.change(nameOf(2), banOf(2));
    bans.change(nameOf(3), banOf(3));
    bans.change(nameOf(2), banOf(2, LATER + 1));
    bans.change(nameOf(4), banOf(4));
    bans.change(nameOf(4), undefined);
    await bans.flush();
    assert.deepEqual(faults, []);
    const again = new BanFile(path, () => {});
    assert.deepEqual(await again.load(), [banOf(3), banOf(2, LATER + 1)]);
    if (Deno.build.os !== "windows") assert.equal((await Deno.stat(path)).mode! & 0o777, 0o600);
    assert.match((await Deno.readTextFile(path)).split("\n")[0]!, /^# Who may not join/);
  });
});

Deno.test("BanFile makes its folder, and loses no change of several at once", async () => {
  await withFile(undefined, async (path) => {
    await Deno.remove(path.replace(/\/bans$/, ""), { recursive: true });
    const files = [1, 2, 3].map(() => new BanFile(path, assert.ifError));
    for (let i = 0; i < 30; i++) files[i % 3]!.change(nameOf(i), banOf(i));
    await Promise.all(files.map((file) => file.flush()));
    const found = (await files[0]!.load()).map(({ fingerprint }) => fingerprint);
    assert.deepEqual(found.toSorted(), Array.from({ length: 30 }, (_, i) => nameOf(i)).toSorted());
  });
});

Deno.test("BanFile reads what people write, and keeps their comments", async () => {
  const text = `\uFEFF# mine\r\n\r\n${row(2)}  # bob\r\n${row(3, "2020-01-01T00:00:00.5Z")}\r\n`;
  await withFile(text, async (path, bans, faults) => {
    assert.deepEqual(
      (await bans.load()).map(({ fingerprint }) => fingerprint),
      [nameOf(2), nameOf(3)],
    );
    bans.change(nameOf(4), banOf(4));
    await bans.flush();
    assert.deepEqual(faults, []);
    assert.deepEqual((await Deno.readTextFile(path)).split("\n"), [
      "# mine",
      "",
      `${row(2)}  # bob`,
      row(4).replaceAll("Z", ".000Z"),
      "",
    ]);
  });
});

Deno.test("BanFile names the line that it does not understand, and changes nothing", async () => {
  const cases: [line: string, message: RegExp][] = [
    ["nonsense", /not a ban/],
    [`${row(2)} more`, /not a ban/],
    [row(2).replace(" ", "  "), /not a ban/],
    [row(2).replace("2126-01-01T00:00:00Z", "2126-01-01"), /not a ban/],
    [row(2).replace("2126-01-01", "2126-13-01"), /no such time/],
    [row(2).replace("2126-01-01", "2126-02-30"), /no such time/],
    [row(2).replace("SHA256:", "MD5:"), /./],
    [row(2).replace(OPERATOR, "anna"), /./],
  ];
  for (const [line, message] of cases) {
    const text = `# mine\n${line}\n`;
    await withFile(text, async (path, bans, faults) => {
      await assert.rejects(
        bans.load(),
        (error) => {
          assert.ok(error instanceof UsageError);
          assert.ok(error.message.startsWith(`${path}, line 2: `), error.message);
          assert.match(error.message, message);
          assert.doesNotMatch(error.message, /nonsense|anna/);
          return true;
        },
      );
      bans.change(nameOf(5), banOf(5));
      await bans.flush();
      assert.match(String(faults), /cannot be changed.*line 2/);
      assert.equal(await Deno.readTextFile(path), text);
    });
  }
});

Deno.test("BanFile holds 256 bans, and names the line of the next one", async () => {
  const rows = Array.from({ length: 256 }, (_, i) => `${row(i)}\n`);
  await withFile(`# full\n${rows.join("")}`, async (path, bans, faults) => {
    assert.equal((await bans.load()).length, 256);
    bans.change(nameOf(7), banOf(7));
    await bans.flush();
    assert.deepEqual(faults, []);
    bans.change(nameOf(1000), banOf(1000));
    await bans.flush();
    assert.match(String(faults), /more than 256 bans/);
    assert.equal((await bans.load()).length, 256);
    await Deno.writeTextFile(path, `${row(1000)}\n`, { append: true });
    await assert.rejects(bans.load(), /bans, line 258: more than 256 bans/);
  });
});

Deno.test({
  name: "BanFile is not read if everybody may write it",
  ignore: Deno.build.os === "windows",
  async fn() {
    await withFile(`${row(2)}\n`, async (path, bans) => {
      await Deno.chmod(path, 0o666);
      await assert.rejects(bans.load(), /every user of this computer may write it/);
    });
  },
});
