import {
  BytesValue,
  type CopyInstance,
  copyKept,
  copyValue,
  flattenTexts,
  flatText,
  type KeptValue,
  measureValue,
  prepareTree,
  primitiveBytes,
  rebuildTree,
  textBytes,
} from '../values/index.js';

/**
 * How callers get values. `cloned`: each caller has a copy of its own. `frozen`: callers share one deep-frozen object; a
 * value that can't be frozen is copied for each, and the copy is frozen as far as possible. `shared`: callers share one
 * object as it is; a caller that changes it changes it for all.
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

/**
 * The access to a kept object. `plain`: none is needed, because it is a primitive, or can't be copied. `own`: nothing
 * but the cache has it, so it is copied for each reader. `frozen`: it is deep-frozen. `shared`: callers have it, and may
 * change it.
 */
export type ValueForm = 'plain' | 'own' | 'frozen' | 'shared';

/** A value that is safe to keep: return it through {@link readStored}. */
export interface StoredValue extends KeptValue {
  /** Estimated heap, in bytes. */
  readonly bytes: number;
  readonly form: ValueForm;
  /** An equal object that no reader has yet: the first reader gets it, instead of a copy. */
  spare?: { readonly value: unknown } | undefined;
  /** Makes an equal object, where `value` itself is not kept. */
  readonly remake?: () => unknown;
}

/** The forms that a reader gets a copy of, by its mode. Only then a change by one reader can't reach another. */
const COPIED: Readonly<Record<ValuesMode, readonly ValueForm[]>> = {
  cloned: ['own', 'frozen', 'shared'],
  frozen: ['own', 'shared'],
  shared: ['own'],
};

/** Whether a reader of this mode gets a copy of a value that is kept in this form. */
export function isCopied(form: ValueForm, mode: ValuesMode): boolean {
  return COPIED[mode].includes(form);
}

/** The value as a reader of this mode gets it. It does not matter for which mode the value was stored. */
export function readStored(stored: StoredValue, mode: ValuesMode): unknown {
  if (!isCopied(stored.form, mode)) {
    return stored.value;
  }
  const { spare, remake } = stored;
  const freezes = mode === 'frozen';
  if (spare !== undefined && !freezes) {
    stored.spare = undefined;
    return spare.value;
  }
  if (remake === undefined) {
    return copyKept(stored, freezes);
  }
  return freezes ? copyKept({ value: remake() }, true) : remake();
}

/** A value that is returned as it is, and not kept. */
export function asItIs(value: unknown): StoredValue {
  return { value, bytes: 0, form: 'plain' };
}

/** Makes a value safe to keep. A given object is neither frozen nor kept itself, except in mode `shared`. */
export function storeValue(value: unknown, mode: ValuesMode, making: ValueMaking = {}): StoredValue {
  const { origin = 'given', isTree = false, isAscii = false, copyInstance } = making;
  const isGiven = origin === 'given';
  if (typeof value !== 'object' || value === null) {
    const kept = isGiven && typeof value === 'string' ? flatText(value) : value;
    return { value: kept, bytes: primitiveBytes(value), form: 'plain' };
  }
  if (value instanceof BytesValue) {
    return { value, bytes: value.bytes, form: 'plain' };
  }
  if (isTree && !(mode === 'shared' && isGiven)) {
    const kept = mode === 'cloned' || isGiven ? rebuildTree(value) : value;
    const bytes = prepareTree(kept, { flattens: isGiven, freezes: mode === 'frozen', isAscii });
    return { value: kept, bytes, form: FORMS[mode], isTree: mode !== 'shared', spare: undefined };
  }
  const measured = measureValue(value);
  const { bytes, hiddenBytes, unfreezable, objects } = measured;
  if (mode === 'shared') {
    if (isGiven) {
      flattenTexts(objects);
    }
    return { value, bytes: bytes + hiddenBytes, form: 'shared', copyInstance };
  }
  if (mode === 'cloned' || unfreezable) {
    const kept = copyValue(value, { toKeep: true, copyInstance });
    return { value: kept, bytes, form: 'own', isTree: measured.isTree, copyInstance };
  }
  if (isGiven) {
    return {
      value: copyValue(value, { toKeep: true, freezes: true, copyInstance }),
      bytes,
      form: 'frozen',
      copyInstance,
    };
  }
  objects.forEach((part) => Object.freeze(part));
  return { value, bytes, form: 'frozen', copyInstance };
}

/** The form in which each mode keeps what can be copied and frozen. */
const FORMS = { cloned: 'own', frozen: 'frozen', shared: 'shared' } as const satisfies Record<ValuesMode, ValueForm>;

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

/** A value that was read before a caller has asked for it. */
export interface ReadAhead {
  /** Whether L1 has kept it. */
  isKept: boolean;
  /** Called once for a value that was kept: when it leaves L1, or after many more have been read ahead. */
  onJudged(isUsed: boolean): void;
}

/** How many entries of a partition may wait for their first use. */
const MOST_AWAITED = 1000;

/**
 * The entries of a partition that were read ahead, by slot, until it is known whether they are used: when they leave L1,
 * or when {@link MOST_AWAITED} more have been read ahead. A hit counts the uses of its entry anyway.
 */
export class AwaitedUses {
  private readonly entries = new Map<number, { readonly usesBefore: number; readonly entry: ReadAhead }>();

  /** @returns the slot of an entry that has waited long enough */
  add(slot: number, usesBefore: number, entry: ReadAhead): number | undefined {
    entry.isKept = true;
    this.entries.set(slot, { usesBefore, entry });
    const [oldest] = this.entries.keys();
    return this.entries.size > MOST_AWAITED ? oldest : undefined;
  }

  /** Ends the wait of the entry in this slot, if it is one of them. */
  end(slot: number, uses: number): void {
    const awaited = this.entries.size > 0 ? this.entries.get(slot) : undefined;
    if (awaited !== undefined) {
      this.entries.delete(slot);
      awaited.entry.onJudged(uses > awaited.usesBefore);
    }
  }
}

export interface LocalPutOptions {
  /** How long the value is fresh, in milliseconds. */
  readonly ttlMs: number;
  /** How long it is kept after that, in milliseconds. Default 0. */
  readonly graceMs?: number;
  readonly marks?: readonly TagVersion[];
  /** How long the value took to load, in milliseconds. Default 0: unknown. */
  readonly loadMs?: number;
  /** The whole TTL of the value, of which `ttlMs` is the rest, in milliseconds. Default: `ttlMs`. */
  readonly lifeMs?: number;
  /** When the same entry was made in Redis, in the server's time. Default: Redis does not have it. */
  readonly createdAtMs?: number | undefined;
  /** Default: a caller has asked for the value. */
  readonly ahead?: ReadAhead | undefined;
}

/** How {@link LocalCache.set} keeps a value. */
export interface LocalSetOptions extends LocalPutOptions {
  /** How the value is returned. Default: as the cache's option says. */
  readonly values?: ValuesMode;
}

export interface LocalEntry extends StoredValue {
  /** When the same entry was made in Redis, in the server's time; `NaN`: unknown. */
  readonly createdAtMs: number;
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
