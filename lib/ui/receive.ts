/**
 * `client receive`: takes the files that are offered.
 *
 * @module
 */

import { reportError, UsageError } from "../base/errors.ts";
import type { FileEvent, OfferEvent, Transfers } from "../session/mod.ts";
import type { Face } from "./face.ts";
import { type FileFaceTools, makeFileFace } from "./file_face.ts";
import { fileNotice } from "./file_words.ts";
import { awaitPerson } from "./standard_input.ts";

interface ReceiveOptions {
  /** Only what this person offers; undefined for everybody. */
  readonly from: string | undefined;
  /** End after the first file. */
  readonly once: boolean;
  /** Take everything without a question. */
  readonly yes: boolean;
  /** Let programs be programs here. */
  readonly exec: boolean;
  readonly waitMs: number;
  readonly quiet: boolean;
  readonly ask: Face["ask"];
}

/** Makes the face of `client receive`. */
export function makeReceiveFace(options: ReceiveOptions): Face {
  const { from, once, yes, exec, waitMs, quiet, ask } = options;
  let transfers: Transfers | undefined;
  let person: string | undefined;
  /** Offers that came before the face was ready for them. */
  const early: OfferEvent[] = [];
  const finished = Promise.withResolvers<boolean>();
  /** One question after the other. */
  let asking: Promise<unknown> = Promise.resolve();
  const decide = async (offer: OfferEvent, transfers: Transfers) => {
    const answer = yes ? "y" : await ask("Take it? [y/N] ", { secret: false });
    try {
      if (/^\s*y(?:es)?\s*$/i.test(answer ?? "")) {
        transfers.accept(offer.number, { executable: exec });
      } else transfers.decline(offer.number);
    } catch (error) {
      // Withdrawn meanwhile, or from somebody who may not send files.
      if (!(error instanceof UsageError)) throw error;
      reportError("client", error);
    }
  };
  const show = (event: FileEvent, { say, nickOf }: FileFaceTools) => {
    const notice = fileNotice(event, { nickOf });
    if (notice !== undefined) say(notice.text);
  };
  const takeOffer = (offer: OfferEvent, tools: FileFaceTools) => {
    const loaded = transfers;
    if (loaded === undefined) return void early.push(offer);
    if (from !== undefined && offer.fingerprint !== person) return;
    show(offer, tools);
    asking = asking.then(() => decide(offer, loaded)).catch(finished.reject);
  };
  return makeFileFace({
    quiet,
    ask,
    take(event, tools) {
      if (event.event === "offer") return takeOffer(event, tools);
      show(event, tools);
      if (!once) return;
      if (event.event === "received") finished.resolve(true);
      else if (event.event === "transferfailed" && event.code !== "declined") {
        finished.resolve(false);
      }
    },
    async run({ session }, tools) {
      if (session.files === undefined) throw new UsageError("files are turned off by --no-files");
      await session.until(() => session.joined);
      if (from !== undefined) person = await awaitPerson(session, from, waitMs);
      transfers = await session.files.transfers();
      for (const offer of early.splice(0)) takeOffer(offer, tools);
      tools.say("waiting for files; Ctrl-C ends");
      return await finished.promise;
    },
  });
}
