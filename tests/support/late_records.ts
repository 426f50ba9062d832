/** Sealers and openers near the end of their counter, §4. */
import { Opener, Sealer } from "../../lib/protocol/records.ts";

/** A sealer whose next record is number `n`, under the first key. */
export class LateSealer extends Sealer {
  constructor(chainKey: Uint8Array, n: number) {
    super(chainKey);
    this.chain.n = n;
  }
}

/** An opener whose next record is number `n`, under the first key. */
export class LateOpener extends Opener {
  constructor(chainKey: Uint8Array, n: number) {
    super(chainKey);
    this.chain.n = n;
  }
}
