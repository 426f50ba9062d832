/**
 * Limits of PROTOCOL.md §1, §5 and §10 that several folders need.
 *
 * Sizes of frames and messages are beside the functions that check them.
 *
 * @module
 */

/** RSA key sizes in bits that an identity may have, §1. */
export const KEY_BITS: readonly number[] = [1024, 2048, 3072, 4096];
/** Size of a new key, §1. */
export const DEFAULT_KEY_BITS = 3072;
/** Smaller keys are marked as weak, and refused by default, §1. */
export const WEAK_BELOW_BITS = 2048;

/** Largest ciphertext of a record on TCP, §4 and §10. */
export const MAX_RECORD_BYTES = 16400;
/** After sending nothing for this long, a side sends a PING, §5. */
export const PING_DELAY_MS = 15_000;
/** After hearing nothing for this long, a side sends a PING while the host has named who carries on, §5. */
export const WATCH_PING_MS = 2_000;
/** After receiving nothing for this long, a side sends CLOSE(4), §5. */
export const SILENCE_MS = 45_000;
/** From accept to a complete JOIN, §5 and §10. */
export const JOIN_TIMEOUT_MS = 10_000;
/** How long a client waits for M2: as long as the relay allows for all three messages. */
export const M2_TIMEOUT_MS = 10_000;
/** How long a closing side waits for the other's EOF, §3. */
export const LINGER_MS = 1_000;
/** How much input a closing side discards, §3. */
export const LINGER_BYTES = 64 * 1024;
/** How long a closing side tries to write what is queued. */
export const FLUSH_MS = 2_000;

/** Connections of a relay that have not joined yet, §10. */
export const MAX_PENDING = 64;
/** The same per address, except loopback. */
export const MAX_PENDING_PER_ADDRESS = 16;
/** Connections that wait after their SEEK, §10. */
export const MAX_SEEKERS = 256;
/** The same per identity. */
export const MAX_SEEKERS_PER_FINGERPRINT = 8;
/** Within this time a member was heard that counts as being there, §14. */
export const HEARD_MS = 6_000;
/** Members of a relay over all rooms, §10, unless the operator sets another limit. */
export const MAX_CLIENTS = 1024;
/** The same per address, except loopback. */
export const MAX_CLIENTS_PER_ADDRESS = 64;
/** Members of a room, §10, unless the operator sets another limit. */
export const MAX_ROOM_MEMBERS = 64;
/** Largest capacity that a WELCOME may name, §5. */
export const MAX_CAPACITY = 256;
/** Handshakes a relay works on at once for each core, and over all, §10. */
export const HANDSHAKES_PER_CORE = 4;
export const MAX_HANDSHAKES = 64;
/** Handshakes a relay begins within a second for each core, and over all, §10. */
export const HANDSHAKES_PER_CORE_AND_SECOND = 200;
export const MAX_HANDSHAKES_PER_SECOND = 800;
/** While more handshakes than this wait, the newest is served first, §10. */
export const MAX_HANDSHAKES_IN_ORDER = 25;
/** What of one sender may wait at its receivers, all together, §10. */
export const MAX_UNDELIVERED_BYTES = 1024 * 1024;
/** A write without progress for this long ends the connection, §10. */
export const STALL_MS = 15_000;
/** A frame that waits this long ends the connection, §10. */
export const MAX_QUEUE_AGE_MS = 60_000;
/** Frames other than RECV and PART that may wait for one receiver, §10. */
export const MAX_QUEUED_FRAMES = 4096;
/** ADMINs of one client in a minute, §10. */
export const ADMIN_PER_MINUTE = 30;

/** NOTICEs a client shows in a minute, §10. */
export const NOTICES_PER_MINUTE = 10;
/** NICKs, and TOPICs, of one person that are shown in a minute, §10. */
export const NICKS_PER_MINUTE = 10;
/** Age of a peer channel at which its initiator renews it, times a factor of 0.9 to 1.1, §6. */
export const RENEW_MS = 3_600_000;
/** How long what a person has not acknowledged is kept, §6. */
export const KEPT_MS = 600_000;
/** The same for a person whom the user knows, §6. */
export const KEEP_KNOWN_MS = 43_200_000;
/** Span over which guesses are counted, §7. */
export const GUESSES_SPAN_MS = 600_000;
/** Guesses for one person, §7. */
export const GUESSES_PER_FP = 6;
/** The same for one that was never shown in this process. */
export const GUESSES_PER_STRANGER = 3;
/** Guesses over all people that were never shown, §7. */
export const GUESSES_OF_STRANGERS = 60;
/** Answered handshakes of such people that have neither verified nor been forgotten, §7. */
export const MAX_OPEN_STRANGERS = 16;
/** Guesses over all, §7. */
export const GUESSES_IN_ALL = 120;
/** Idle streams remembered in each direction, and people whose message ids are, §10. */
export const STREAMS_REMEMBERED = 1024;
/** Message ids remembered of each of them, §10. */
export const IDS_REMEMBERED = 1024;
