/**
 * The transfers of all rooms of a process: one Worker, one file of what goes on after a restart. Loaded when the first
 * file is offered.
 *
 * @module
 */

import type { Bytes } from "../../base/bytes.ts";
import { systemClock, systemRandom } from "../../base/clock.ts";
import type { FileEvent } from "./file_events.ts";
import type { IncomingOffer } from "./incoming_offer.ts";
import type { FilePort } from "./port.ts";
import { ReceivedStore } from "./received_store.ts";
import { TransferStore } from "./transfer_store.ts";
import { Transfers } from "./transfers.ts";
import { FileWorker } from "./worker_host.ts";

interface ServiceOptions {
  /** The program's main module, which serves the Worker. */
  readonly mainModule: string;
  readonly stateFolder: string;
  /** Where files are kept: an existing folder. */
  folder(): string;
  readonly strict: boolean;
  /** For WHERE; none where everything is to go through the relay. */
  addresses(): readonly Bytes[];
  /** Accepts an offer without a question. */
  accepts?(offer: IncomingOffer): { executable: boolean } | undefined;
  warn(text: string): void;
}

/** One room, as transfers see it. */
export interface FileRoom {
  /** Its name. */
  readonly name: string;
  readonly port: FilePort;
  emit(event: FileEvent): void;
}

export class FileService {
  readonly #options: ServiceOptions;
  readonly #store: TransferStore;
  readonly #received: ReceivedStore;
  readonly #worker: FileWorker;
  readonly #rooms = new Set<Transfers>();
  #number = 0;
  #job = 0;

  private constructor(options: ServiceOptions, store: TransferStore, received: ReceivedStore) {
    this.#options = options;
    this.#store = store;
    this.#received = received;
    this.#worker = new FileWorker(options.mainModule, (job, report) => {
      for (const transfers of this.#rooms) {
        if (transfers.report(job, report)) return;
      }
    });
    void this.#worker.calls.tidy(options.folder());
  }

  static async start(options: ServiceOptions): Promise<FileService> {
    const { stateFolder: folder, warn } = options;
    const store = new TransferStore({ folder, clock: systemClock, warn });
    const received = new ReceivedStore(folder, systemClock);
    await Promise.all([store.open(), received.open()]);
    return new FileService(options, store, received);
  }

  /** Begins with a room: what an earlier run left unfinished there is offered again. */
  open({ name, port, emit }: FileRoom): Transfers {
    const { folder, strict, addresses, accepts } = this.#options;
    const transfers = new Transfers({
      clock: systemClock,
      random: systemRandom,
      jobs: this.#worker.calls,
      port,
      folder,
      strict,
      addresses,
      ...(accepts && { accepts }),
      nextNumber: () => ++this.#number,
      nextJob: () => ++this.#job,
      received: this.#received,
      save: (offers) => this.#store.keep(name, offers),
      emit,
    });
    this.#rooms.add(transfers);
    transfers.restore(this.#store.of(name));
    return transfers;
  }

  /** Ends everything; what was accepted goes on at the next start. */
  async close(): Promise<void> {
    this.#worker.end();
    await Promise.all([this.#store.close(), this.#received.close()]);
  }
}
