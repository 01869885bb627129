import type { StoredValue } from './stored-value.js';
import { textBytes } from '../values/index.js';

const OBJECT_BYTES = 72;

/**
 * A value as the text that stands for it, until somebody asks for it: much of what is set is set again, or has expired, before anybody
 * in this process has read it, and much of what is read from Redis is read once. Whoever asks for it first makes a value of it, which takes
 * no longer than a walk over a value that was given.
 */
export class UnreadValue {
  /** Estimated heap. */
  readonly bytes: number;
  /** Until then a hit needs no other look, once it has been read: the store's to say. */
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
