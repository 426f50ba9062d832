import assert from "node:assert/strict";
import type { Session } from "../../lib/session/mod.ts";
import type { FaceContext } from "../../lib/ui/face.ts";
import { MessageLog } from "../../lib/ui/message_log.ts";
import { clockTime } from "../../lib/ui/moment.ts";
import { Requests } from "../../lib/ui/requests.ts";

const SINCE = "2026-11-29T23:10:00.000Z";
const UNTIL = "2026-11-30T11:10:00.000Z";
const HERE = { nick: "zoe", fingerprint: "SHA256:zoe", trust: "known", away: "", since: SINCE };

Deno.test("/names lists below the others who is lost, and until when they get what is written", () => {
  const lost = ["bob", "Anna"].map((nick) => (
    { nick, fingerprint: `SHA256:${nick}`, trust: "known", since: SINCE, until: UNTIL }
  ));
  const session = { people: () => [HERE], lost: () => lost, standing: undefined, wake: () => {} };
  const requests = new Requests({
    context: { session: session as unknown as Session } as FaceContext,
    place: { log: new MessageLog("SHA256:me") },
    quit: () => {},
  });
  const { lines, values } = requests.take("/names");
  const [from, to] = [SINCE, UNTIL].map((time) => clockTime(new Date(time)));
  assert.deepEqual(lines, [
    "zoe SHA256:zoe",
    `Anna  lost since ${from}, gets what is written here until ${to}`,
    `bob   lost since ${from}, gets what is written here until ${to}`,
  ]);
  const { people } = values as { people: readonly Record<string, unknown>[] };
  assert.deepEqual(people.map(({ nick, places, kept }) => ({ nick, places, kept })), [
    { nick: "zoe", places: 1, kept: undefined },
    { nick: "Anna", places: 0, kept: UNTIL },
    { nick: "bob", places: 0, kept: UNTIL },
  ]);
});
