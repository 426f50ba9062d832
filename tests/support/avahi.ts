/**
 * Avahi on a computer in a test network: another implementation of multicast DNS.
 *
 * @module
 */

import { areInstalled, type Computer, NO_NETWORKS } from "./netns.ts";
import { poll } from "./programs.ts";

/** Why Avahi cannot be used; undefined when it can. */
export const NO_AVAHI: string | undefined = NO_NETWORKS ??
  (await areInstalled("avahi-daemon", "avahi-browse", "avahi-publish", "dbus-daemon", "unshare")
    ? undefined
    : "avahi-daemon, avahi-utils and dbus are not installed");

const SETTINGS = `[server]
use-ipv4=yes
use-ipv6=yes
[publish]
publish-workstation=no
`;

/** One service as avahi-browse prints it. */
export interface Resolved {
  readonly family: string;
  readonly name: string;
  readonly host: string;
  readonly address: string;
  readonly port: number;
  readonly fields: readonly string[];
}

/** A running Avahi daemon. */
export class Avahi implements AsyncDisposable {
  readonly #computer: Computer;
  readonly #folder: string;
  readonly #env: Record<string, string>;
  #running: AsyncDisposable[] = [];

  private constructor(computer: Computer, folder: string) {
    this.#computer = computer;
    this.#folder = folder;
    this.#env = { DBUS_SYSTEM_BUS_ADDRESS: `unix:path=${folder}/bus`, LC_ALL: "C.UTF-8" };
  }

  /** @param host The computer's name, without `.local`. */
  static async start(computer: Computer, host: string): Promise<Avahi> {
    const folder = await Deno.makeTempDir({ prefix: "hearth_avahi_" });
    const avahi = new Avahi(computer, folder);
    try {
      await avahi.#start(host);
    } catch (error) {
      await avahi[Symbol.asyncDispose]();
      throw error;
    }
    return avahi;
  }

  async #start(host: string): Promise<void> {
    const path = (name: string) => `${this.#folder}/${name}`;
    await Deno.writeTextFile(
      path("bus.conf"),
      `<busconfig><type>system</type><listen>unix:path=${path("bus")}</listen>
      <auth>EXTERNAL</auth><policy context="default"><allow user="*"/><allow own="*"/>
      <allow send_destination="*"/><allow receive_sender="*"/></policy></busconfig>`,
    );
    await Deno.writeTextFile(path("avahi.conf"), SETTINGS.replace("\n", `\nhost-name=${host}\n`));
    this.#launch("dbus-daemon", "--nofork", "--nopidfile", `--config-file=${path("bus.conf")}`);
    await poll(() => exists(path("bus")), () => "the bus for Avahi");
    // Its PID file has a fixed path, which another instance may be using.
    const daemon = "mount -t tmpfs tmpfs /run && mkdir /run/avahi-daemon && exec avahi-daemon " +
      `--no-drop-root --no-chroot --no-rlimits -f ${path("avahi.conf")}`;
    this.#launch("unshare", "--mount", "sh", "-c", daemon);
    await poll(
      async () => (await this.#say("avahi-resolve", "-n", `${host}.local`)).includes(host),
      () => "Avahi",
    );
  }

  /** Announces a service until it is stopped. */
  publish(name: string, port: number, ...fields: readonly string[]): void {
    this.#launch("avahi-publish", "-s", name, "_hearth._tcp", String(port), ...fields);
  }

  /** Lists the present announcements. */
  async browse(): Promise<Resolved[]> {
    const said = await this.#say("avahi-browse", "-rtp", "_hearth._tcp");
    return said.split("\n").filter((line) => line.startsWith("=")).map((line) => {
      const [, , family = "", name = "", , , host = "", address = "", port, ...rest] = line.split(
        ";",
      );
      const fields = [...rest.join(";").matchAll(/"([^"]*)"/g)].map((match) => match[1]!);
      return { family, name: unescape(name), host, address, port: Number(port), fields };
    });
  }

  async #say(...words: readonly string[]): Promise<string> {
    const [program, ...args] = this.#computer.command("timeout", "5", ...words);
    const { stdout } = await new Deno.Command(program!, { args, env: this.#env }).output();
    return new TextDecoder().decode(stdout);
  }

  #launch(...words: readonly string[]): void {
    this.#running.push(this.#computer.start(words, this.#env));
  }

  /** Stops the daemon and its announcements. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const process of this.#running.toReversed()) await process[Symbol.asyncDispose]();
    await Deno.remove(this.#folder, { recursive: true });
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.lstat(path);
    return true;
  } catch {
    return false;
  }
}

/** Decodes `\195` escapes for bytes beyond ASCII. */
function unescape(text: string): string {
  const bytes: number[] = [];
  for (const [, code, character] of text.matchAll(/\\(\d{3})|([^])/g)) {
    bytes.push(code === undefined ? character!.charCodeAt(0) : Number(code));
  }
  return new TextDecoder().decode(new Uint8Array(bytes));
}
