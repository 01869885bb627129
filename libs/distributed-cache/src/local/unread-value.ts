import type { StoredValue } from './stored-value.js';
import { textBytes } from '../values/index.js';

const OBJECT_BYTES = 72;

/**
 * A value of a `set` that L1 keeps as its JSON text until it is first read. Many such values are replaced, or expire,
 * before this process reads them. The first read parses the text, which takes no longer than the walk over the given
 * value would have taken.
 */
export class UnreadValue {
  /** Estimated heap, in bytes. */
  readonly bytes: number;
  /** Until this time a hit needs no further check, once the value has been read; set by the store. */
  readyUntilMs = Number.NaN;

  constructor(
    private readonly text: string,
    isWide: boolean,
    /** Must not throw. */
    private readonly readText: (text: string) => StoredValue,
  ) {
    this.bytes = OBJECT_BYTES + textBytes(text, isWide);
  }

  read(): StoredValue {
    return this.readText(this.text);
  }
}
