/**
 * Processes that do what they are told: one JSON array `[command, argument]` a line in, one JSON object a line out.
 *
 * @module
 */

import { fileURLToPath } from "node:url";
import { CpuMeter } from "./meter.ts";

/** Commands by name: what each takes and gives. */
export type Actions = Record<string, (argument: never) => unknown>;

/** A command that takes longer than any may. */
const TIMEOUT_MS = 300_000;
const encoder = new TextEncoder();

/** Splits a stream into lines. */
export async function* readLines(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<string> {
  let text = "";
  for await (const part of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (text + part).split("\n");
    text = lines.pop()!;
    yield* lines;
  }
}

/** Does what standard input says until that ends, then ends the process. */
export async function serve(actions: Actions): Promise<never> {
  for await (const line of readLines(Deno.stdin.readable)) {
    const [command, argument] = JSON.parse(line) as [string, never];
    let answer: unknown;
    try {
      answer = { value: await actions[command]!(argument) ?? null };
    } catch (error) {
      answer = { error: error instanceof Error ? error.message : String(error) };
    }
    Deno.stdout.writeSync(encoder.encode(JSON.stringify(answer) + "\n"));
  }
  Deno.exit(0);
}

/** The near end of a process that runs {@linkcode serve}. */
export class Remote<A extends Actions> {
  readonly pid: number;
  readonly cpu: CpuMeter;
  readonly #child: Deno.ChildProcess;
  readonly #input: WritableStreamDefaultWriter<Uint8Array>;
  readonly #answers: AsyncGenerator<string>;

  /**
   * @param script Its module, beside this one.
   * @param prefix The command line that runs a command elsewhere; here by default.
   */
  constructor(script: string, prefix: readonly string[] = []) {
    const path = fileURLToPath(new URL(script, import.meta.url));
    const flags = ["run", "--quiet", "-A", "--unsafely-ignore-certificate-errors=localhost"];
    const [program, ...args] = [...prefix, Deno.execPath(), ...flags, path];
    const child = new Deno.Command(program!, {
      args,
      stdin: "piped",
      stdout: "piped",
      stderr: "null",
    }).spawn();
    this.#child = child;
    this.pid = child.pid;
    this.cpu = new CpuMeter(child.pid);
    this.#input = child.stdin.getWriter();
    this.#answers = readLines(child.stdout);
  }

  /**
   * Has a command done.
   *
   * @throws {Error} With what went wrong in that process.
   */
  async tell<C extends keyof A & string>(
    command: C,
    argument: Parameters<A[C]>[0],
  ): Promise<Awaited<ReturnType<A[C]>>> {
    await this.#input.write(encoder.encode(JSON.stringify([command, argument]) + "\n"));
    const timer = setTimeout(() => void this.stop(), TIMEOUT_MS);
    const { value, done } = await this.#answers.next();
    clearTimeout(timer);
    if (done) throw new Error(`${command}: the process has ended`);
    const answer = JSON.parse(value);
    if ("error" in answer) throw new Error(`${command}: ${answer.error}`);
    return answer.value;
  }

  /** Ends the process. */
  async stop(): Promise<void> {
    try {
      this.#child.kill("SIGKILL");
    } catch {
      // it has ended already
    }
    await this.#child.status;
  }
}
