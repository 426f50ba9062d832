/**
 * The relay: admits connections, keeps rooms, forwards.
 *
 * @module
 */

export { loadAllowList } from "./allow_list.ts";
export { BanFile, type KeptBan } from "./ban_file.ts";
export { Relay } from "./relay.ts";
export type { Application, Attendee, Orders, Registry, RelaySide, Resident } from "./registry.ts";
export type { RelayEvent } from "./relay_event.ts";
export type { HostOptions, RelayOptions } from "./relay_options.ts";
export type { RelayMeter, RelayState } from "./relay_state.ts";
