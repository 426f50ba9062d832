/**
 * One encrypted connection over any byte stream.
 *
 * @module
 */

export { type ByteStream, closeAtOnce, settledWithin, writeAll } from "./byte_stream.ts";
export type { Connection, End, Handlers } from "./connection.ts";
export { acceptConnection, type Accepted, openConnection, type ProvenRelay } from "./establish.ts";
export { costOf, SendCredit, type Source } from "./send_credit.ts";
export type { CastPart } from "./batch.ts";
export { type Scheduled, Scheduler, type Traffic } from "./scheduler.ts";
