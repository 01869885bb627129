import type { Decoded, EntryCodec } from '../codec/index.js';
import { storeValue, UnreadValue, type StoredValue, type ValueOrigin, type ValuesMode } from '../local/index.js';
import type { CopyInstance } from '../values/index.js';

/** From this length on memory may have the text instead of the value: below, it would not be the smaller one. */
const TEXT_FROM_LENGTH = 512;

/** Makes one namespace's values safe to keep, and to hand to many. */
export class LocalValues {
  /** From this length of its JSON on a value may be kept as text. */
  readonly textFrom: number;

  constructor(
    private readonly codec: EntryCodec,
    private readonly mode: ValuesMode,
    private readonly copyInstance: CopyInstance | undefined,
  ) {
    this.textFrom = mode === 'frozen' ? TEXT_FROM_LENGTH : Infinity;
  }

  storable({ value, isTree, isAscii }: Decoded, origin: ValueOrigin): StoredValue {
    const { copyInstance } = this;
    return storeValue(value, this.mode, { origin, isTree, isAscii, copyInstance });
  }

  /** A value kept as its JSON text, which the first read parses. */
  unread(text: string, isWide: boolean): UnreadValue {
    return new UnreadValue(text, isWide, this.readText);
  }

  private readonly readText = (text: string): StoredValue => this.storable(this.codec.parse(text), 'decoded');
}

/** A value that is handed on as it is, and not kept. */
export function unmeasured(value: unknown): StoredValue {
  return { value, bytes: 0, copyOnRead: false };
}
