/**
 * Commands about rooms and conversations.
 *
 * @module
 */

import { UsageError } from "../base/errors.ts";
import { parseRoom } from "../protocol/names.ts";
import {
  type Answer,
  type ChatControls,
  type CommandContext,
  nothing,
  oneWord,
  optionalOneOf,
  optionalWord,
  type RoomControls,
  type Row,
  row,
  sendTo,
} from "./command_row.ts";
import { describeHosts, isHosting } from "./people_commands.ts";
import { alignCells } from "./table.ts";

const NOTIFY_MODES = ["all", "mentions", "nothing"] as const;

/** What `/list` says about a room. */
const STATES = {
  connecting: "connecting",
  online: "",
  offline: "offline",
  searching: "looking for its host",
  left: "left",
} as const;

export const ROOM_COMMANDS: Readonly<Record<string, Row>> = {
  join: row({
    usage: "ROOM",
    summary: "open another room, or turn to it",
    details: ["/set rooms keeps rooms: they are joined again at the next start."],
    parse: (rest) => rest === "" ? undefined : parseRoom(rest.trimEnd()),
    run(room, context) {
      roomsOf(context).join(room);
      return { values: { room } };
    },
  }),
  part: row({
    usage: "[ROOM]",
    summary: "leave this room, or another one",
    parse: (rest) => rest === "" ? rest : parseRoom(rest.trimEnd()),
    run(name, context) {
      const { conversation } = context.chat ?? {};
      if (name === "" && conversation !== undefined && conversation.kind !== "room") {
        throw new UsageError("say which room to leave", ["/close closes a private conversation"]);
      }
      const room = name === "" ? context.room : name;
      roomsOf(context).part(room);
      return { lines: `you have left ${room}`, values: { room } };
    },
  }),
  list: row({
    usage: "",
    summary: "list your rooms",
    details: ["Nobody can list the rooms of others: not even the server knows their names."],
    parse: nothing,
    run: (_, context) => list(context),
  }),
  query: row({
    usage: "NICK",
    summary: "turn to the conversation with somebody",
    details: ["What you type there only they can read."],
    only: "chat",
    parse: oneWord,
    run(name, context) {
      chatOf(context).query(context.findRecipient(name));
      return {};
    },
  }),
  close: row({
    usage: "",
    summary: "close a private conversation",
    only: "chat",
    parse: nothing,
    run(_, context) {
      const chat = chatOf(context);
      if (chat.conversation.kind !== "person") {
        throw new UsageError("this is no private conversation", ["/part leaves a room"]);
      }
      chat.close();
      return {};
    },
  }),
  notify: row({
    usage: `[${NOTIFY_MODES.join("|")}]`,
    summary: "choose or show what rings here",
    details: ["It rings and gives notice of all messages, of mentions, or of nothing."],
    only: "chat",
    parse: (rest) => optionalOneOf(NOTIFY_MODES, rest),
    run(mode, context) {
      const { conversation } = chatOf(context);
      if (mode !== "") conversation.notify = mode;
      return { lines: `you are told of ${conversation.notify} here` };
    },
  }),
  info: row({
    usage: "",
    summary: "show server, room and fingerprints",
    parse: nothing,
    run: (_, context) => info(context),
  }),
  invite: row({
    usage: "[NICK]",
    summary: "show or send the line that a friend types",
    details: [
      "They type it to join this room. It does not contain the password: tell them separately.",
      "With a nick it is sent to that person, who may be in another room.",
      "With --share it also shows how they get the program.",
    ],
    parse: optionalWord,
    run(name, { screen, invitation, sharedLines, isOnlyHere, findRecipient, send }) {
      const line = invitation();
      if (name !== "") return sendTo(findRecipient(name), line, send);
      const only = isOnlyHere() ? ["only on this computer: no other can reach the server"] : [];
      const shared = sharedLines();
      if (screen?.showInvitation === undefined) {
        const share = shared.length === 0 ? {} : { share: shared };
        return { lines: [line, ...only, ...shared], values: { line, ...share } };
      }
      const where = only[0] ?? "a friend types this on another computer";
      screen.showInvitation(line, where, shared);
      return {};
    },
  }),
};

function chatOf({ chat }: CommandContext): ChatControls {
  if (chat === undefined) throw new TypeError("There are no conversations");
  return chat;
}

function roomsOf({ rooms }: CommandContext): RoomControls {
  if (rooms === undefined) throw new TypeError("There is only one room");
  return rooms;
}

function list(context: CommandContext): Answer {
  const open = roomsOf(context).list();
  const kept = context.screen?.settings.rooms ?? [];
  const others = kept.filter((name) => !open.some(({ room }) => room === name));
  return {
    lines: [
      ...alignCells([
        ...open.map(({ room, connection, others }) => {
          const company = others === 1 ? "one other" : `${others} others`;
          return [room, STATES[connection] || company];
        }),
        ...others.map((room) => [room, "not open: /join opens it"]),
      ]),
      "nobody can list others: the server does not know the names of rooms",
    ],
    values: { rooms: open },
  };
}

/** What this computer does when the host is gone. */
const OWN_STANDING = {
  "hosts": "this computer hosts the room",
  "stands by": "this computer stands by: it carries on if those before it are gone",
  "offered": "this computer has offered to stand by: the host tries whether it can be reached",
  "not named": "this computer does not stand by: the host cannot reach it, or names enough others",
  "guest": "this computer does not stand by: client --serve does",
} as const;

function info(context: CommandContext): Answer {
  const { session, room, fingerprint } = context;
  const { isFirst = true, place } = session.standing ?? {};
  const address = isFirst ? context.address : place!.name;
  const serving = isHosting(context);
  const server = isFirst ? context.serverFingerprint() : place!.fingerprint;
  const line = context.invitation();
  const { length } = session.people();
  const others = length === 1 ? "one person besides you" : `${length} people besides you`;
  const state = session.joined ? `connected, ${others}` : "not connected";
  return {
    lines: alignCells([
      ["server", `${address}${serving ? " (this program)" : ""}, ${state}`],
      ["its key", server ?? "not known yet"],
      ["room", room],
      ...describeHosts(context).map((hosts) => ["carries on", hosts]),
      ...(session.standing ? [["here", OWN_STANDING[session.standing.own]]] : []),
      ...(session.topic === "" ? [] : [["topic", session.topic]]),
      ["you", session.nick],
      ["your key", fingerprint],
      ["invite", line],
    ]),
    values: {
      address,
      serving,
      connected: session.joined,
      ...(server === undefined ? {} : { server }),
      room,
      topic: session.topic,
      nick: session.nick,
      fingerprint,
      line,
    },
  };
}
