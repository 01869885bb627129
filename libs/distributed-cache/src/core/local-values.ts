import type { Decoded, EntryCodec } from '../codec/index.js';
import { storeValue, DeferredJson, type StoredValue, type ValueOrigin, type ValuesMode } from '../local/index.js';
import { RereadGuess } from './reread-guess.js';
import { freezeTree, type CopyInstance } from '../values/index.js';

/** From this length of its JSON, L1 may keep the text instead of the value; below it, the text is not smaller. */
const TEXT_FROM_LENGTH = 512;

/** A value as its caller gets it, and as L1 keeps it. */
export interface LocalForms {
  readonly stored: StoredValue;
  readonly forLocal: StoredValue | DeferredJson;
}

/** Makes the values of one namespace safe to keep in L1 and to share between readers. */
export class LocalValues {
  /** The length of its JSON from which a value may be kept as text. */
  readonly textFrom: number;
  private readonly rereads = new RereadGuess();

  constructor(
    private readonly codec: EntryCodec,
    private readonly mode: ValuesMode,
    private readonly copyInstance: CopyInstance | undefined,
  ) {
    this.textFrom = mode === 'frozen' ? TEXT_FROM_LENGTH : Infinity;
  }

  storable({ value, isTree, isAscii }: Omit<Decoded, 'text'>, origin: ValueOrigin): StoredValue {
    const { copyInstance } = this;
    return storeValue(value, this.mode, { origin, isTree, isAscii, copyInstance });
  }

  /** A value kept as its JSON text, which the first read parses. */
  unread(text: string, isWide: boolean): DeferredJson {
    return new DeferredJson(text, isWide, this.readText);
  }

  /** A value that was read from Redis, for its caller and for L1. */
  found(decoded: Decoded): LocalForms {
    const { value, text, isAscii } = decoded;
    if (text === undefined || text.length < this.textFrom || !isObject(value) || !this.rereads.prefersText()) {
      const stored = this.storable(decoded, 'decoded');
      return { stored, forLocal: stored };
    }
    freezeTree(value);
    this.rereads.onKept();
    return { stored: unmeasured(value), forLocal: new DeferredJson(text, !isAscii, this.rereadText) };
  }

  private readonly readText = (text: string): StoredValue => this.storable(this.codec.parse(text), 'decoded');

  private readonly rereadText = (text: string): StoredValue => {
    this.rereads.onReread();
    return this.readText(text);
  };
}

/** A value that is returned as it is, and not kept. */
export function unmeasured(value: unknown): StoredValue {
  return { value, bytes: 0, copyOnRead: false };
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
