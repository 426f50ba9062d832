/**
 * How the programs are started on this computer, for lines that people type.
 *
 * @module
 */

const VERSION = Deno.version.deno;

/**
 * What starts a program in the way in which this one was started: installed, compiled, by npx, or by Deno.
 *
 * @param program `client` or `server`.
 */
export function commandOf(program: string): string {
  return `${PREFIX}${program}`;
}

const PREFIX = findPrefix();

function findPrefix(): string {
  if (Deno.build.standalone) return isInstalled(Deno.execPath()) ? "hearth-" : "./";
  return isFromNpx() ? `npx --yes deno@${VERSION} task ` : "deno task ";
}

/**
 * Whether a program was put there under a name that shells find, `hearth-client`, as packaging/ does it.
 *
 * @param path Of the program, without links.
 */
export function isInstalled(path: string): boolean {
  return /^\/usr\/lib\/hearth\/|\/bin\/hearth-[^/]+$/.test(path);
}

/** npm tells what it starts by which command; Deno passes that on. */
function isFromNpx(): boolean {
  try {
    return Deno.env.get("npm_command") === "exec";
  } catch {
    return false; // without the permission to ask
  }
}
