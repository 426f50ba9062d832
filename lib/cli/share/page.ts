/**
 * What `--share` tells a friend: the line that fetches the client and joins, and the page with all of these.
 *
 * @module
 */

import { commandOf } from "../../base/command.ts";
import { joinPort } from "../../base/ip.ts";
import type { SharedProgram } from "./programs.ts";

/** A program, as it is shown. */
type Shown = Pick<SharedProgram, "isWindows" | "path" | "name" | "kind" | "size" | "sha256">;

/** The address of the page, `http://192.168.1.20:40680`. */
export function baseOf(host: string, port: number): string {
  return `http://${joinPort(host, port)}`;
}

/**
 * The line that fetches a program and joins.
 *
 * @param base See {@linkcode baseOf}.
 * @param invitation The line that starts a client that is already there.
 */
export function fetchLine(
  { isWindows, path, name }: Shown,
  base: string,
  invitation: string,
): string {
  const url = `${base}${path}`;
  const shown = url.includes("[") ? `'${url}'` : url; // shells find patterns in brackets
  const options = invitation.slice(commandOf("client").length);
  return isWindows
    // PowerShell doubles a quote.
    ? `curl.exe -fO ${shown}; if ($?) { .\\${name}${options.replaceAll(`'\\''`, "''")} }`
    : `curl -fO ${shown} && chmod +x ${name} && ./${name}${options}`;
}

/** All lines, each with what it is for above it and the checksum below. */
export function fetchLines(
  programs: readonly Shown[],
  base: string,
  invitation: string,
): string[] {
  return programs.filter(({ sha256 }) => sha256 !== undefined).flatMap((program) => [
    `${program.kind}:`,
    `    ${fetchLine(program, base, invitation)}`,
    `    SHA-256 ${program.sha256}`,
  ]);
}

const STYLE = `
:root { color-scheme: light dark; --line: light-dark(#ddd, #444); --soft: light-dark(#f4f4f2, #262624); }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 46rem; margin: 0 auto; padding: 1.5rem 1rem;
  color: light-dark(#1c1c1a, #e8e8e4); background: light-dark(#fff, #181817); }
h1 { font-size: 1.6rem; margin: 0 0 .5rem; } h2 { font-size: 1.1rem; margin: 1.75rem 0 .25rem; }
p { margin: .5rem 0; } a { color: light-dark(#0b57a4, #8ab8f0); }
code, pre { font: .875rem/1.5 ui-monospace, Menlo, Consolas, monospace; }
pre { margin: .5rem 0; padding: .75rem; border: 1px solid var(--line); border-radius: .4rem;
  background: var(--soft); white-space: pre-wrap; overflow-wrap: anywhere; user-select: all; }
pre span { white-space: nowrap; } .sum { overflow-wrap: anywhere; }`;

const SUM_COMMANDS = ["sha256sum client", "shasum -a 256 client", "Get-FileHash client.exe"];

/** What the page's headers allow it: its own style, and nothing else. */
export const PAGE_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/**
 * The page.
 *
 * @param invitation See {@linkcode fetchLine}; undefined while nobody hosts the room.
 */
export function writePage(
  programs: readonly Shown[],
  base: string,
  invitation: string | undefined,
): string {
  const [linux, mac, windows] = SUM_COMMANDS.map((command) => `<code>${escape(command)}</code>`);
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Join the chat</title>
<style>${STYLE}
</style>
<h1>Join the chat</h1>
${invitation === undefined ? "<p>The room is moving, try again." : INTRODUCTION}
${programs.map((program) => writeProgram(program, base, invitation)).join("\n")}
<h2>Is it the right file?</h2>
<p>This page came without encryption: on a network that you do not trust, somebody could have changed the
file, this page and the sums on it. Then fetch the file by its link instead, and ask the person who shares it
for the sum that their program shows, over the phone for example. Only if your computer gives the same, start
the file: ${linux} on Linux, ${mac} on macOS, ${windows} in PowerShell.
</html>
`;
}

const INTRODUCTION =
  `<p>Find your kind of computer, copy its line into a terminal (on Windows, PowerShell), and press Enter.
It fetches one file into the folder you are in and starts it; nothing is installed.`;

function writeProgram(program: Shown, base: string, invitation: string | undefined): string {
  const { kind, path, name, size, sha256 } = program;
  if (sha256 === undefined) {
    return `<h2>${escape(kind)}</h2>\n<p>The file is being changed, try again.`;
  }
  const line = invitation === undefined
    ? ""
    : `\n<pre>${keepOptions(escape(fetchLine(program, base, invitation)))}</pre>`;
  return `<h2>${escape(kind)}</h2>${line}
<p class="sum"><a href="${escape(path)}">${escape(name)}</a>, ${
    (size / 1e6).toFixed(0)
  } MB. SHA-256:<br><code>${sha256}</code>`;
}

/** Browsers break lines after hyphens. */
function keepOptions(html: string): string {
  return html.replace(/ (--[a-z-]+)/g, " <span>$1</span>");
}

function escape(text: string): string {
  const names: Record<string, string> = { "&": "amp", "<": "lt", ">": "gt", '"': "quot" };
  return text.replace(/[&<>"]/g, (character) => `&${names[character]};`);
}
