import {
  type CopyInstance,
  copyValue,
  flattenTexts,
  flatText,
  measureValue,
  readyTree,
  textBytes,
} from '../values/index.js';

/**
 * How values are returned from L1. `frozen`: shared and deep-frozen; a value that can't be frozen is copied on each
 * read. `cloned`: a copy on each read. `shared`: as they are; a caller that changes one changes it for all callers.
 */
export type ValuesMode = 'frozen' | 'cloned' | 'shared';

/**
 * The origin of a value. `given`: by the application, so it may be a view of other memory. `decoded`: just made from
 * bytes, and not shared.
 */
export type ValueOrigin = 'given' | 'decoded';

export interface ValueMaking {
  /** The origin of the value. Default `given`. */
  readonly origin?: ValueOrigin;
  /**
   * Whether JSON keeps all of it: plain objects and arrays, each met once, and no accessors. Default false: not known.
   */
  readonly isTree?: boolean;
  /** For such a tree: whether every text in it is ASCII. Default false: not known. */
  readonly isAscii?: boolean;
  /** How an instance is copied. Default: by its properties. */
  readonly copyInstance?: CopyInstance | undefined;
}

/** A value that is safe to keep and to share between readers: return it through {@link readStored}. */
export interface StoredValue {
  readonly value: unknown;
  /** Estimated heap, in bytes. */
  readonly bytes: number;
  readonly copyOnRead: boolean;
  readonly copyInstance?: CopyInstance | undefined;
}

/** The value in the form for its readers: shared and frozen, or a copy of their own. */
export function readStored(stored: StoredValue): unknown {
  return stored.copyOnRead ? copyValue(stored.value, stored) : stored.value;
}

/** Makes a value safe to keep. In mode `frozen` the given object itself is frozen, unless it has to be copied. */
export function storeValue(value: unknown, mode: ValuesMode, making: ValueMaking = {}): StoredValue {
  const { origin = 'given', isTree = false, isAscii = false, copyInstance } = making;
  if (isTree && mode !== 'cloned' && typeof value === 'object' && value !== null) {
    const bytes = readyTree(value, { flattens: origin === 'given', freezes: mode === 'frozen', isAscii });
    return { value, bytes, copyOnRead: false };
  }
  const { bytes, hiddenBytes, unfreezable, objects } = measureValue(value);
  const isGiven = origin === 'given';
  if (typeof value !== 'object' || value === null) {
    return { value: isGiven && typeof value === 'string' ? flatText(value) : value, bytes, copyOnRead: false };
  }
  if (mode !== 'shared' && (mode === 'cloned' || unfreezable)) {
    return { value: copyValue(value, { toKeep: true, copyInstance }), bytes, copyOnRead: true, copyInstance };
  }
  if (isGiven) {
    flattenTexts(objects);
  }
  if (mode === 'shared') {
    return { value, bytes: bytes + hiddenBytes, copyOnRead: false };
  }
  // All of them: an object that was frozen before may hold others that are not.
  objects.forEach((part) => Object.freeze(part));
  return { value, bytes, copyOnRead: false };
}

/** The memory of a {@link DeferredJson} besides its text. */
const OBJECT_BYTES = 72;

/**
 * A value of a `set` that L1 keeps as its JSON text until it is first read. Many such values are replaced, or expire,
 * before this process reads them. Parsing the text at the first read takes no longer than the walk over the given value
 * at the `set` would have taken.
 */
export class DeferredJson {
  /** Estimated heap, in bytes. */
  readonly bytes: number;
  /** Until this time a hit needs no further check, once the text has been parsed; set by the store. */
  readyUntilMs = Number.NaN;

  constructor(
    private readonly text: string,
    isWide: boolean,
    /** Parses the text. It must not throw. */
    private readonly readText: (text: string) => StoredValue,
  ) {
    this.bytes = OBJECT_BYTES + textBytes(text, isWide);
  }

  read(): StoredValue {
    return this.readText(this.text);
  }
}

/** The state of a tag in this process. A higher generation drops all entries that carry the tag at once, in O(1). */
export interface TagScope {
  generation: number;
  /** The generation may have changed: until that is known, the entries are neither returned nor removed. */
  isInDoubt?: boolean;
}

/**
 * A tag and its generation when the work on a value began. The value is outdated as soon as the generation has
 * changed.
 */
export interface TagVersion {
  readonly scope: TagScope;
  readonly generation: number;
}

export interface LocalPutOptions {
  /** How long the value is fresh, in milliseconds. */
  readonly ttlMs: number;
  /** How long it is kept after that, in milliseconds. Default 0. */
  readonly graceMs?: number;
  /** The tags that the value carries. */
  readonly marks?: readonly TagVersion[];
  /** How long the value took to load, in milliseconds. Default 0: unknown. */
  readonly loadMs?: number;
  /** The whole TTL of the value, of which `ttlMs` is the rest, in milliseconds. Default: `ttlMs`. */
  readonly lifeMs?: number;
}

export interface LocalSetOptions extends LocalPutOptions {
  /** How the value is returned. Default: as the cache's option says. */
  readonly values?: ValuesMode;
}

export interface LocalEntry extends StoredValue {
  readonly storedAtMs: number;
  readonly expiresAtMs: number;
  readonly keptUntilMs: number;
  /** Whether no epoch has begun since the entry was stored. */
  readonly isOfNow: boolean;
  /** The tags of the value. */
  readonly marks: readonly TagVersion[] | undefined;
  readonly loadMs: number;
  /** The whole TTL, in milliseconds. */
  readonly lifeMs: number;
}
