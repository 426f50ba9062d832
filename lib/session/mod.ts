/**
 * The client without a face: one room, its people, what was sent and received.
 *
 * @module
 */

export type {
  AwayEvent,
  ChatEvent,
  ConnectedEvent,
  ErrorEvent,
  HistoryEvent,
  JoinedEvent,
  LeftEvent,
  MissedEvent,
  MovedEvent,
  NoteEvent,
  NoteKind,
  ReadEvent,
  SearchingEvent,
  ServerEvent,
  SessionEvent,
  Trust,
  WelcomeEvent,
} from "./events.ts";
export type { FileChannels, FileOptions } from "./file_channels.ts";
export type {
  FileEvent,
  OfferEvent,
  TransferEvent,
  TransferFailedEvent,
} from "./files/file_events.ts";
export type { FileRow, Transfers } from "./files/transfers.ts";
export { Guesses } from "./guesses.ts";
export { KnownPeers } from "./known_peers.ts";
export { KnownServers } from "./known_servers.ts";
export { LastLists } from "./last_lists.ts";
export { Inquiry, type Way } from "./inquiry.ts";
export type { FoundRelay, Network, OwnRelay } from "./own_relay.ts";
export { Password } from "./password.ts";
export type { ShownPerson as Person } from "./roster.ts";
export {
  addHome,
  type Happening,
  type HistoryRequest,
  type Recorder,
  type RoomHome,
} from "./recorder.ts";
export type { MessageName } from "./sender.ts";
export { Session } from "./session.ts";
