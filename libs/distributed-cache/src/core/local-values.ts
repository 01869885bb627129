import type { Decoded, EntryCodec } from '../codec/index.js';
import {
  storeValue,
  UnreadValue,
  type CopyInstance,
  type StoredValue,
  type ValueOrigin,
  type ValuesMode,
} from '../local/index.js';

/** From this length of its JSON, L1 may keep the text instead of the value; below it, the text is not smaller. */
const TEXT_FROM_LENGTH = 512;

/** Makes the values of one namespace safe to keep in L1 and to share between readers. */
export class LocalValues {
  /** The length of its JSON from which a value may be kept as text. */
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

/** A value that is returned as it is, and not kept. */
export function unmeasured(value: unknown): StoredValue {
  return { value, bytes: 0, copyOnRead: false };
}
