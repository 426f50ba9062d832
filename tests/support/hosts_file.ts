/**
 * Programs whose system knows a name by a file of the test. Needs root on Linux.
 *
 * @module
 */

/** Runs a program for which $0 is /etc/hosts. */
const WITH_HOSTS = `mount --bind "$0" /etc/hosts && exec "$@"`;

/** Why there are none; undefined if there are. */
export const NO_HOSTS_FILE: string | undefined = await (async () => {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return "only root on Linux may mount a file";
  const { success } = await new Deno.Command("unshare", {
    args: [...withHosts("/etc/hosts").slice(1), "true"],
    stderr: "null",
  }).output();
  return success ? undefined : "a file cannot be mounted";
})();
if (NO_HOSTS_FILE) console.log(`${NO_HOSTS_FILE}: tests of a name's addresses are skipped`);

/** What stands before the command of a program. @param path The file. */
export function withHosts(path: string): string[] {
  return ["unshare", "--mount", "sh", "-c", WITH_HOSTS, path];
}
