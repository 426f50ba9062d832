/**
 * `client send`: offers files, waits until everybody has them, and says who has not.
 *
 * @module
 */

import { reportError, UsageError } from "../base/errors.ts";
import type { FileEvent } from "../session/mod.ts";
import type { Face } from "./face.ts";
import { makeFileFace } from "./file_face.ts";
import { fileNotice } from "./file_words.ts";
import { awaitPerson } from "./standard_input.ts";

interface SendOptions {
  /** As they were typed. */
  readonly paths: readonly string[];
  /** One person; undefined for everybody who is there. */
  readonly to: string | undefined;
  /** How long to wait for somebody to send to, and for an answer. */
  readonly waitMs: number;
  readonly quiet: boolean;
  readonly ask: Face["ask"];
}

/** What has become of the offers. */
class Outcome {
  /** By id of the offer: the fingerprints that have neither the file nor refused it. */
  readonly #open = new Map<string, Set<string>>();
  /** How often somebody has done something. */
  moves = 0;
  failed = false;

  take(event: FileEvent): void {
    this.moves++;
    if (event.event === "offered") this.#open.set(event.id, new Set(event.to));
    // A receiver whose disk is full may still accept it again.
    const hasFailed = event.event === "transferfailed" && event.code !== "disk-full";
    if (hasFailed) this.failed = true;
    if (hasFailed || event.event === "sentfile") {
      this.#open.get(event.id)?.delete(event.fingerprint);
    }
  }

  get isOver(): boolean {
    return this.#open.values().every((people) => people.size === 0);
  }

  /** Those who have not answered, or not everything yet. */
  get waitingFor(): string[] {
    return Array.from(new Set(this.#open.values().flatMap((people) => people)));
  }
}

/** Makes the face of `client send`. */
export function makeSendFace({ paths, to, waitMs, quiet, ask }: SendOptions): Face {
  const outcome = new Outcome();
  let wake = () => {};
  return makeFileFace({
    quiet,
    ask,
    take(event, { say, nickOf }) {
      outcome.take(event);
      wake();
      const notice = fileNotice(event, { nickOf });
      if (notice !== undefined) say(notice.text + (notice.hint && `; ${notice.hint}`));
    },
    async run({ session, resolvePath }, { nickOf }) {
      const { files } = session;
      if (files === undefined) throw new UsageError("files are turned off by --no-files");
      wake = () => session.wake();
      await session.until(() => session.joined);
      const person = to === undefined ? undefined : await awaitPerson(session, to, waitMs);
      await session.until(() => session.settled || !session.joined);
      const canTake = () =>
        files.members().some((member) => person === undefined || member.person === person);
      await session.until(canTake, waitMs);
      const transfers = await files.transfers();
      for (const path of paths) {
        await transfers.offer(path === "-" ? path : resolvePath(path), { to: person });
      }
      // As long as something moves, and then for as long as the user waits for an answer.
      while (!outcome.isOver) {
        const before = outcome.moves;
        const isMoving = () => outcome.isOver || outcome.moves !== before;
        if (!await session.until(isMoving, waitMs)) break;
      }
      for (const late of outcome.waitingFor) {
        reportError("client", new UsageError(`${nickOf(late)} has not taken everything`));
      }
      for (const { number } of transfers.rows()) transfers.cancel(number);
      return outcome.isOver && !outcome.failed;
    },
  });
}
