/**
 * What `--version` prints.
 *
 * @module
 */

import settings from "../deno.json" with { type: "json" };

/** One line: program, version, runtime, target. */
export function version(program: string): string {
  return `${program} ${settings.version} (Deno ${Deno.version.deno}, ${Deno.build.target})`;
}
