import type { Decoded, EntryCodec } from '../codec/index.js';
import { storeValue, DeferredJson, type StoredValue, type ValueOrigin, type ValuesMode } from '../local/index.js';
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
  private readonly rereads = new RereadPredictor();

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

/** The number of texts that are counted; then the counts are halved, so that older texts count less. */
const WINDOW = 64;
/** While values are kept as they are, one of this number is still kept as text, to notice when rereads become rare. */
const PROBE_EVERY = 16;
/** Parsing a text costs about three times what keeping it has saved, apart from memory. */
const COST_OF_REREADING = 3;

/**
 * Chooses the form in which L1 keeps a value that was read from Redis: its JSON text or the value itself.
 *
 * The text takes half the memory and needs no walk over the value, but the next reader parses it again. Many values
 * that are read once are never read again (one-hit wonders: Yang et al., FIFO queues are all you need for cache
 * eviction, SOSP 2023), but not in every namespace. So the choice depends on how many of the last texts were read
 * again.
 */
export class RereadPredictor {
  private kept = 0;
  private reread = 0;
  private sinceProbe = 0;

  /** Whether the next value should be kept as text. */
  prefersText(): boolean {
    if (this.reread * COST_OF_REREADING <= this.kept) {
      return true;
    }
    this.sinceProbe = (this.sinceProbe + 1) % PROBE_EVERY;
    return this.sinceProbe === 0;
  }

  /** A text is kept. */
  onKept(): void {
    if (++this.kept === WINDOW) {
      this.kept /= 2;
      this.reread /= 2;
    }
  }

  /** A value that was kept as text is read again. */
  onReread(): void {
    this.reread = Math.min(this.reread + 1, this.kept);
  }
}
