/**
 * Standard output and error, written without blocking: a reader that does not read, or a terminal held by Ctrl-S, must
 * not stop the program.
 *
 * @module
 */

/** Characters that wait to be written: more than arrives in a burst. Lines beyond that are left out. */
const MAX_WAITING = 4 * 1024 * 1024;
/** How long to wait before writing again to a stream that took nothing. */
const RETRY_MS = 10;
/** How long {@linkcode flushOutput} waits for readers that do not read. */
const FLUSH_MS = 1000;

const encoder = new TextEncoder();

/** A stream that is written to, such as standard output. */
export type OutputStream = Pick<typeof Deno.stdout, "write">;

/** What is being written in this process. */
const writing = new Set<Promise<void>>();

/**
 * Writes all of a text.
 *
 * @throws {Deno.errors.BrokenPipe} When nobody reads the stream any more; other errors of the system when the terminal
 * is gone or the disk is full.
 */
export async function writeText(stream: OutputStream, text: string): Promise<void> {
  let rest = encoder.encode(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(await stream.write(rest));
    } catch (error) {
      if (!(error instanceof Deno.errors.WouldBlock)) throw error;
      // Another program has made the stream non-blocking.
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

/** Waits until everything is written, at most 1 s: what nobody has read by then is lost. */
export async function flushOutput(): Promise<void> {
  const { promise: late, resolve } = Promise.withResolvers<void>();
  const timer = setTimeout(resolve, FLUSH_MS);
  while (writing.size > 0) {
    const isLate = await Promise.race([
      Promise.all(writing).then(() => false),
      late.then(() => true),
    ]);
    if (isLate) break;
  }
  clearTimeout(timer);
}

/** Options of {@linkcode LineOutput}. */
interface LineOutputOptions {
  /** The line that stands for lines left out. */
  readonly describeGap?: (count: number) => string;
  /** Called when writing fails; again only after it has succeeded in between. */
  readonly onFault?: (error: unknown) => void;
}

/** A line, or the note on lines left out before it. */
interface Waiting {
  readonly text: string;
  readonly count: number;
}

/** A stream of lines with a bounded queue: lines beyond it are left out, and counted. */
export class LineOutput {
  readonly #stream: OutputStream;
  readonly #options: LineOutputOptions;
  #queue: Waiting[] = [];
  /** Characters not written yet. */
  #size = 0;
  /** Lines left out since the last note. */
  #leftOut = 0;
  #isWriting = false;
  #isFailing = false;

  constructor(stream: OutputStream, options: LineOutputOptions = {}) {
    this.#stream = stream;
    this.#options = options;
  }

  /** Writes a line as soon as possible. Never throws: the caller is not at fault. */
  writeLine(line: string): void {
    // After a gap, half of the queue must be free, or every other line would be a note.
    const limit = this.#leftOut > 0 ? MAX_WAITING / 2 : MAX_WAITING;
    if (this.#size + line.length > limit) {
      this.#leftOut++;
      return;
    }
    this.#noteGap();
    this.#push(line, 1);
    if (!this.#isWriting) track(this.#write());
  }

  #noteGap(): void {
    if (this.#leftOut === 0) return;
    const { describeGap = leftOutText } = this.#options;
    this.#push(describeGap(this.#leftOut), this.#leftOut);
    this.#leftOut = 0;
  }

  #push(text: string, count: number): void {
    this.#queue.push({ text: text + "\n", count });
    this.#size += text.length + 1;
  }

  async #write(): Promise<void> {
    this.#isWriting = true;
    await undefined; // lines of the same moment are written together
    for (; this.#queue.length > 0; this.#noteGap()) {
      const batch = this.#queue;
      this.#queue = [];
      const text = batch.map((waiting) => waiting.text).join("");
      try {
        await writeText(this.#stream, text);
        this.#isFailing = false;
      } catch (error) {
        this.#drop(batch);
        if (!this.#isFailing) this.#options.onFault?.(error);
        this.#isFailing = true;
        break;
      } finally {
        this.#size -= text.length;
      }
    }
    this.#isWriting = false;
  }

  /** Counts lines that could not be written, and what waits behind them. */
  #drop(batch: readonly Waiting[]): void {
    for (const { text } of this.#queue) this.#size -= text.length;
    for (const { count } of [...batch, ...this.#queue]) this.#leftOut += count;
    this.#queue = [];
  }
}

/** The line for people that stands for lines left out. */
export function leftOutText(count: number): string {
  return `… ${count} ${count === 1 ? "line" : "lines"} left out`;
}

/** Lets {@linkcode flushOutput} wait for it. */
function track(work: Promise<void>): void {
  writing.add(work);
  void work.finally(() => writing.delete(work));
}
