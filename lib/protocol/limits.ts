/**
 * The limits of PROTOCOL.md §5 and §10 that belong to the transport and the relay, under their names there.
 *
 * Sizes of bodies and texts are in transport_frame.ts and message.ts, beside the functions that check them.
 *
 * @module
 */

/** Largest ciphertext of a record on TCP, §4 and §10. */
export const MAX_RECORD_BYTES = 16400;
/** Silence of one's own after which a PING goes out, §5. */
export const PING_DELAY_MS = 15_000;
/** Silence of the other side after which it gets CLOSE(4), §5. */
export const SILENCE_MS = 45_000;
/** From accept to a whole JOIN, §5 and §10. */
export const JOIN_TIMEOUT_MS = 10_000;
/** How long a client waits for M2: what the relay would give it for all three messages. */
export const M2_TIMEOUT_MS = 10_000;
/** How long a closing side reads on for the other's EOF, §3. */
export const LINGER_MS = 1_000;
/** How much a closing side reads and discards, §3. */
export const LINGER_BYTES = 64 * 1024;
/** How long a closing side tries to get rid of what is queued. */
export const FLUSH_MS = 2_000;

/** Connections of a relay that are not members yet, §10. */
export const MAX_PENDING = 64;
/** The same of one address that is not loopback. */
export const MAX_PENDING_PER_ADDRESS = 16;
/** Members of a relay, over all rooms, §10. */
export const MAX_CLIENTS = 1024;
/** The same of one address that is not loopback. */
export const MAX_CLIENTS_PER_ADDRESS = 64;
/** Members of a room unless the operator says otherwise, §10. */
export const MAX_ROOM_MEMBERS = 64;
/** Handshakes a relay works on at once, §10. */
export const MAX_HANDSHAKES = 4;
/** Handshakes a relay begins within a second, §10. */
export const MAX_HANDSHAKES_PER_SECOND = 50;
/** What of one sender may wait at its receivers, all together, §10. */
export const MAX_UNDELIVERED_BYTES = 1024 * 1024;
/** A write that makes no progress for so long ends the connection, §10. */
export const STALL_MS = 15_000;
/** A frame that waits for so long ends the connection, §10. */
export const MAX_QUEUE_AGE_MS = 60_000;
