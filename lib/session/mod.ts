/**
 * The client without a face, as far as it is needed before it is connected: the types, and what connects it.
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
export { HeadStart } from "./head_start.ts";
export type { Way } from "./inquiry.ts";
export type { KnownPeers } from "./known_peers.ts";
export { KnownServers } from "./known_servers.ts";
export type { LastLists } from "./last_lists.ts";
export type { FoundRelay, Network, OwnRelay } from "./own_relay.ts";
export { Password } from "./password.ts";
export type { ShownPerson as Person } from "./roster.ts";
export type { Happening, HistoryRequest, Recorder, RoomHome } from "./recorder.ts";
export type { MessageName } from "./sender.ts";
export type { Session } from "./session.ts";
