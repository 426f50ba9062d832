/**
 * The words for files: offers, transfers, and why one has ended.
 *
 * They may contain text from others, uncleaned: clean them before printing.
 *
 * @module
 */

import type { FileEvent, OfferEvent, TransferEvent, TransferFailedEvent } from "../session/mod.ts";
import type { Names, Notice } from "./notice.ts";

/** Writes a number of bytes with a unit: `812 B`, `12.4 MB`. */
export function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let value = bytes;
  let unit = 0;
  while (value >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  const digits = unit === 0 || value >= 99.95 ? 0 : 1;
  return `${value.toFixed(digits)} ${units[unit]}`;
}

/** Writes a length of time: `0.4 s`, `13 s`, `2:05`, `1:00:00`. */
export function formatDuration(ms: number): string {
  if (ms < 9950) return `${(ms / 1000).toFixed(1)} s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 60) return `${seconds} s`;
  const two = (value: number) => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60];
  const rest = two(seconds % 60);
  return hours > 0 ? `${hours}:${two(minutes)}:${rest}` : `${minutes}:${rest}`;
}

/** Names what is offered, in words: `“photos”, a folder of 118 files, 1.2 GB`. */
export function describeOffer(
  { name, kind, size, files, executable }: Pick<
    OfferEvent,
    "name" | "kind" | "size" | "files" | "executable"
  >,
): string {
  const parts = [`“${name}”`];
  if (kind === "folder") parts.push(`a folder of ${count(files, "entry", "entries")}`);
  parts.push(size === null ? "of unknown size" : formatBytes(size));
  if (executable) parts.push("a program");
  return parts.join(", ");
}

function count(number: number, one: string, many: string): string {
  return number === 1 ? `1 ${one}` : `${number} ${many}`;
}

/** Puts an event about a file into words; undefined for what only moves on. */
export function fileNotice(
  event: FileEvent,
  { nickOf }: Pick<Names, "nickOf">,
): Notice | undefined {
  switch (event.event) {
    case "offered": {
      const to = event.room ? "the room" : event.to.map(nickOf).join(", ");
      const size = event.size === null ? "" : `, ${formatBytes(event.size)}`;
      const left = event.leftOut === 0
        ? ""
        : `; ${count(event.leftOut, "link or device is", "links and devices are")} left out`;
      return info(`offered to ${to} (${event.number}): ${event.name}${size}${left}`);
    }
    case "offer": {
      const to = event.room ? " the room" : "";
      return {
        level: "answer",
        text: `${event.nick} offers${to} (${event.number}): ${describeOffer(event)}`,
        hint: `/accept ${event.number}, or /decline ${event.number}`,
      };
    }
    case "transfer":
      return progressNotice(event, nickOf(event.fingerprint));
    case "received": {
      const { number, path, bytes, took } = event;
      const text = `received from ${nickOf(event.fingerprint)} (${number}): ${path}, ` +
        `${formatBytes(bytes)} in ${formatDuration(took)}${skippedText(event.skipped)}`;
      return { level: "answer", text, hint: "" };
    }
    case "sentfile": {
      const { number, name, bytes, took } = event;
      return info(
        `${nickOf(event.fingerprint)} has ${name} (${number}): ${formatBytes(bytes)} in ` +
          `${formatDuration(took)}${skippedText(event.skipped)}`,
      );
    }
    case "transferfailed": {
      const { message, hint } = failureWords(event, nickOf(event.fingerprint));
      const level = event.code === "declined" || event.code === "cancelled" ? "info" : "warning";
      return { level, text: message, hint };
    }
  }
}

/** Says how many entries of a folder are missing; empty if none are. */
export function skippedText(skipped: number): string {
  return skipped === 0 ? "" : `; ${count(skipped, "entry", "entries")} could not be read there`;
}

/** A transfer of an earlier run goes on. */
export function goingOnNotice({ name, number, direction }: TransferEvent, nick: string): Notice {
  return info(`${name} ${direction === "out" ? "to" : "from"} ${nick} (${number}) goes on`);
}

/** Only what the user may wonder about: the rest is in the line of progress. */
function progressNotice({ state, name, number, direction }: TransferEvent, nick: string) {
  const between = direction === "out" ? `to ${nick}` : `from ${nick}`;
  if (state === "relayed") {
    return info(`no way straight ${between}, so ${name} (${number}) goes through the server`);
  }
  if (state === "paused") {
    return info(`${name} ${between} (${number}) is paused; it goes on when ${nick} is back`);
  }
  return undefined;
}

/** Says in words why a transfer has ended. */
export function failureWords(
  event: Pick<TransferFailedEvent, "code" | "name" | "number" | "direction" | "detail" | "missing">,
  nick: string,
): { message: string; hint: string } {
  const { code, name, number, direction, detail, missing } = event;
  const isOut = direction === "out";
  const which = `${name} (${number})`;
  const why = detail === "" ? "" : `: ${detail}`;
  switch (code) {
    case "declined":
      return { message: isOut ? `${nick} declined ${which}` : `declined ${which}`, hint: "" };
    case "cancelled":
      return { message: `${which} was cancelled`, hint: "" };
    case "busy":
      return {
        message: `${nick} has too many offers to answer: ${which} was not offered`,
        hint: "",
      };
    case "disk-full": {
      const more = missing === undefined ? "" : `: ${formatBytes(missing)} more are needed`;
      return isOut ? { message: `${which} is paused: ${nick}'s disk is full`, hint: "" } : {
        message: `${which} is paused: the disk is full${more}`,
        hint: `then /accept ${number}`,
      };
    }
    case "changed":
      return {
        message: `${which} has changed since it was offered`,
        hint: isOut ? "/send it again" : `ask ${nick} to send it again`,
      };
    case "unreadable":
      return {
        message: isOut ? `${which} cannot be read any more${why}` : `${which} failed${why}`,
        hint: "",
      };
    case "name":
      return {
        message: isOut
          ? `${which} has a name that cannot be kept at ${nick}'s`
          : `${nick} offered a file whose name cannot be kept here`,
        hint: "",
      };
    case "protocol":
      return { message: `${which} failed: the other side sent what it should not`, hint: "" };
    case "lost":
      return { message: `${which} failed: ${nick} was away for too long`, hint: "/send it again" };
  }
}

/** Why a transfer has ended or pauses, where the file is named beside it. */
export function failureNote(
  { code, number, direction, detail, missing }: Pick<
    TransferFailedEvent,
    "code" | "number" | "direction" | "detail" | "missing"
  >,
  nick: string,
): string {
  const isOut = direction === "out";
  const why = detail === "" ? "" : `: ${detail}`;
  switch (code) {
    case "declined":
      return isOut ? `declined by ${nick}` : "declined";
    case "cancelled":
      return "cancelled";
    case "busy":
      return `${nick} has too many offers to answer`;
    case "disk-full": {
      if (isOut) return `paused: ${nick}'s disk is full`;
      const more = missing === undefined ? "" : `: ${formatBytes(missing)} more are needed`;
      return `the disk is full${more}; then /accept ${number}`;
    }
    case "changed":
      return `it has changed since; ${isOut ? "/send it again" : `ask ${nick} to send it again`}`;
    case "unreadable":
      return (isOut ? "it cannot be read any more" : "failed") + why;
    case "name":
      return isOut ? `its name cannot be kept at ${nick}'s` : "its name cannot be kept here";
    case "protocol":
      return "failed: the other side sent what it should not";
    case "lost":
      return `${nick} was away for too long; /send it again`;
  }
}

/** How much of it is there, rounded down: 100 is all. */
export function percent(bytes: number, size: number): number {
  return size === 0 ? 100 : Math.floor(100 * bytes / size);
}

/** How long the rest of a file takes: `2 s`, `1:05`; empty if that cannot be said. */
export function timeLeft(
  { moved, speed }: { readonly moved: number; readonly speed: number },
  size: number | null,
): string {
  if (size === null || speed === 0) return "";
  const seconds = Math.ceil((size - moved) / speed);
  return seconds < 60 ? `${Math.max(0, seconds)} s` : formatDuration(1000 * seconds);
}

function info(text: string): Notice {
  return { level: "info", text, hint: "" };
}
