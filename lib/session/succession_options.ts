/**
 * What a session hands to succession (PROTOCOL.md §14).
 *
 * @module
 */

import type { Bytes } from "../base/bytes.ts";
import type { SentMessage } from "../protocol/messages.ts";
import type { Place } from "../protocol/succession.ts";
import type { Hosting, HostingOptions } from "./hosting.ts";
import type { InquiryOptions, Way } from "./inquiry.ts";
import type { LastLists } from "./last_lists.ts";
import type { Link } from "./link.ts";
import type { Network, OwnRelay } from "./own_relay.ts";
import type { RosterMember } from "./roster.ts";

/** What succession needs of a session. */
export interface SuccessionOptions extends InquiryOptions {
  readonly network: Network;
  /** Undefined for a guest. */
  readonly own: OwnRelay | undefined;
  /** The own relay hosts from the beginning. */
  readonly hosts: boolean;
  /** The own relay is offered to others' rooms. */
  readonly standsBy: boolean;
  /** How the session reaches the server it began with. */
  readonly home: Way;
  readonly lastLists: LastLists;
  /** Finds other hosts of the room, where the session began with one that was found. */
  lookAgain?: ((refused: Bytes) => Promise<Place[]>) | undefined;
  /** Makes the host's side. */
  beginHosting(options: HostingOptions): Hosting;
  mayName(fingerprint: string): boolean;
  /** The fingerprint of a relay whose key is pinned, 32 bytes. @param start `SHA256:…` or a prefix of it. */
  pinned(start: string): Bytes | undefined;
  members(): Iterable<RosterMember>;
  send(member: RosterMember, message: SentMessage): void;
  /** Kjoin for a relay, given its fingerprint; undefined without a password. */
  joinKey(relay: Bytes): Promise<Bytes | undefined>;
  /** The search takes long. @param host The person who hosted, `SHA256:…`. @param active False once it is over without a loss. */
  searching(host: string | undefined, active: boolean): void;
  /** The live connection; undefined while there is none. */
  live(): Link | undefined;
}
