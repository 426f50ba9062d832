/**
 * Where a session goes next (PROTOCOL.md §14).
 *
 * @module
 */

import type { Entry } from "../protocol/succession.ts";
import type { Inquiry } from "./inquiry.ts";

/** The next connection of a session. */
export interface Hop {
  /** Where it leads. */
  readonly place: Entry;
  /** The connection that has answered "here"; undefined for the relay of this process. */
  readonly inquiry: Inquiry | undefined;
  /** The old connection goes on until the WELCOME, and for good if there is none; else it ends before the JOIN. */
  readonly keepsOld: boolean;
  /** The relay has to show that it knows the password. */
  readonly mustProve: boolean;
  /** It is the relay that this client was at, without having been silent: §5's wait comes first. */
  readonly isBack: boolean;
  /** The person whose list named it, `SHA256:…`. */
  readonly by: string | undefined;
}
