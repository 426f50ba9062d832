/**
 * What a relay would have a room's roster be: without those who have gone, and with those who are to come.
 *
 * @module
 */

import { equalBytes } from "../base/bytes.ts";
import { WHY } from "../protocol/frames.ts";
import type { Application, Resident } from "../relay/mod.ts";
import { type Gone, MAX_GONE, type RosterEntry, type RosterValue } from "./values.ts";

/** A member of this relay, or one that wants to be. */
export interface Local {
  readonly member: Resident;
  /** Undefined once it was admitted. */
  application: Application | undefined;
  /** The sid of the same client process, in the roster that was known when it came. */
  readonly before: string | undefined;
}

/** What this relay would have the roster be. */
export interface Plan extends RosterValue {
  readonly isChanged: boolean;
  /** Everybody who goes was of this relay, or of a dead one: nobody has to be told why. */
  readonly isOwn: boolean;
  /** Those for whom there is no room. */
  readonly full: readonly Local[];
  /** Those whose client has come elsewhere since. */
  readonly late: readonly Local[];
}

/** What a plan follows from, besides the roster; relays by R in hex, members by sid in hex. */
interface Circumstances {
  /** R of this relay. */
  readonly relay: string;
  readonly capacity: number;
  readonly locals: ReadonlyMap<string, Local>;
  /** Why those left who were here. */
  readonly departed: ReadonlyMap<string, number>;
  /** Members of other relays who are to be removed. */
  readonly kicked: ReadonlySet<string>;
  isDead(relay: string): boolean;
}

/** Plans the next roster of a room. */
export function planRoster(known: RosterValue, around: Circumstances): Plan {
  const { relay: own, capacity, locals } = around;
  const { entries, removed, isOwn: isOwnSoFar } = takeOut(known.entries, around);
  let isOwn = isOwnSoFar;
  const full: Local[] = [];
  const late: Local[] = [];
  let added = 0;
  for (const [sid, local] of locals) {
    if (!local.application || entries.some((entry) => entry.sid === sid)) continue;
    const { fingerprint, instance } = local.member;
    const old = entries.findIndex((entry) => isSame(entry, local.member));
    if (old >= 0) {
      const { sid } = entries[old]!;
      if (sid !== local.before) {
        late.push(local);
        continue;
      }
      entries.splice(old, 1);
      removed.push({ sid, why: WHY.REPLACED, by: own });
      isOwn = false;
    } else if (entries.length >= capacity) {
      full.push(local);
      continue;
    }
    entries.push({ sid, fingerprint, instance, relay: own });
    added++;
  }
  return {
    entries,
    gone: [...known.gone, ...removed].slice(-MAX_GONE),
    isChanged: added + removed.length > 0,
    isOwn,
    full,
    late,
  };
}

/** Those who stay, and those who do not. */
function takeOut(
  known: readonly RosterEntry[],
  { relay: own, locals, departed, kicked, isDead }: Circumstances,
): { entries: RosterEntry[]; removed: Gone[]; isOwn: boolean } {
  const entries: RosterEntry[] = [];
  const removed: Gone[] = [];
  let isOwn = true;
  for (const entry of known) {
    const { sid, relay } = entry;
    if (relay === own && !locals.has(sid)) {
      removed.push({ sid, why: departed.get(sid) ?? WHY.LOST, by: own });
    } else if (relay !== own && isDead(relay)) removed.push({ sid, why: WHY.LOST, by: own });
    else if (kicked.has(sid)) {
      removed.push({ sid, why: WHY.REMOVED, by: own });
      isOwn = false;
    } else entries.push(entry);
  }
  return { entries, removed, isOwn };
}

/** Whether two are of the same client process, §5. */
export function isSame(
  one: { readonly fingerprint: Uint8Array; readonly instance: Uint8Array },
  other: { readonly fingerprint: Uint8Array; readonly instance: Uint8Array },
): boolean {
  return equalBytes(one.instance, other.instance) && equalBytes(one.fingerprint, other.fingerprint);
}
