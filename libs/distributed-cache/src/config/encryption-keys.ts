import { createSecretKey, type KeyObject } from 'node:crypto';

/**
 * The keys of an `encryption` option. They are kept in private fields and as `KeyObject`s, so that neither `inspect`
 * nor `JSON.stringify` nor a log line shows them: only their ids.
 */
export class EncryptionKeys {
  readonly #keys: ReadonlyMap<string, KeyObject>;

  /** @param keys 32 bytes each, by id; `currentId` is one of the ids */
  constructor(
    keys: ReadonlyMap<string, Uint8Array>,
    /** The id of the key for writing. */
    readonly currentId: string,
  ) {
    this.#keys = new Map([...keys].map(([id, bytes]) => [id, createSecretKey(bytes)]));
  }

  key(id: string): KeyObject | undefined {
    return this.#keys.get(id);
  }

  equals(other: EncryptionKeys): boolean {
    const ids = [...this.#keys.keys()];
    return (
      this.currentId === other.currentId &&
      this.#keys.size === other.#keys.size &&
      ids.every((id) => {
        const [mine, theirs] = [this.key(id), other.key(id)];
        return mine !== undefined && theirs !== undefined && mine.equals(theirs);
      })
    );
  }

  toJSON(): Readonly<Record<string, unknown>> {
    return { ids: [...this.#keys.keys()], current: this.currentId };
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return `EncryptionKeys { ${[...this.#keys.keys()].join(', ')}; current: ${this.currentId} }`;
  }
}
