/**
 * The faces of a client without a screen, each loaded where it is asked for.
 *
 * @module
 */

import type { Face } from "../ui/mod.ts";
import type { ClientOptions } from "./arguments.ts";
import { askOpenly, askSecretly } from "./secrets.ts";

/** Makes the face of a client that has no screen. @param onTerminal Whether somebody can be asked. */
export async function makeFace(options: ClientOptions, onTerminal: boolean): Promise<Face> {
  const { task } = options;
  if (options.stay) {
    const { makeStayFace }: typeof import("../ui/stay.ts") = await import(
      "../ui/stay.ts" as string
    );
    return makeStayFace(options);
  }
  if (task === undefined && options.json) {
    const { makeJsonFace }: typeof import("../ui/json.ts") = await import(
      "../ui/json.ts" as string
    );
    return makeJsonFace(options);
  }
  if (task === undefined) {
    const { makePipeFace }: typeof import("../ui/pipe.ts") = await import(
      "../ui/pipe.ts" as string
    );
    return makePipeFace(options);
  }
  const ask = askOn(onTerminal);
  if (task.type === "send") {
    const { makeSendFace }: typeof import("../ui/send.ts") = await import(
      "../ui/send.ts" as string
    );
    return makeSendFace({ ...options, ...task, ask });
  }
  const { makeReceiveFace }: typeof import("../ui/receive.ts") = await import(
    "../ui/receive.ts" as string
  );
  return makeReceiveFace({ ...options, ...task, ask });
}

/** Asks questions for a face without a line of its own. */
export function askOn(onTerminal: boolean): Face["ask"] {
  if (!onTerminal) return () => Promise.resolve(undefined);
  return (question, { secret }) => secret ? askSecretly(question) : askOpenly(question);
}
