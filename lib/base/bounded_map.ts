/**
 * A map with a limit.
 *
 * @module
 */

/**
 * A Map of at most `limit` entries: a new key evicts the oldest entries that may go.
 *
 * Past the limit it grows only while no entry may go.
 */
export class BoundedMap<K, V> extends Map<K, V> {
  readonly #limit: number;
  readonly #mayEvict: (value: V) => boolean;

  /** @param mayEvict Whether an entry may be evicted; by default any may. */
  constructor(limit: number, mayEvict: (value: V) => boolean = () => true) {
    super();
    this.#limit = limit;
    this.#mayEvict = mayEvict;
  }

  /** Sets a value; a key that is already present keeps its place. */
  override set(key: K, value: V): this {
    if (!this.has(key)) this.#evict();
    return super.set(key, value);
  }

  /** Sets a value and makes its key the newest. */
  renew(key: K, value: V): void {
    this.delete(key);
    this.set(key, value);
  }

  #evict(): void {
    if (this.size < this.#limit) return;
    for (const [key, value] of this) {
      if (this.#mayEvict(value)) this.delete(key);
      if (this.size < this.#limit) return;
    }
  }
}
