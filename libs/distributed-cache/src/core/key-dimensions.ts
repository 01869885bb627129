import type { CacheEvents } from '../events/index.js';
import {
  type CacheDimensions,
  type CacheKey,
  dimensionsSuffix,
  type DimensionValue,
  isDimensionValue,
  prepareKey,
  type PreparedKey,
  versionSuffix,
} from '../keys/index.js';
import { CacheContext } from './cache-context.js';
import type { KeyOptions } from './entry-options.js';

/**
 * What `varyBy` makes of a request. A dimension comes from `CacheContext.run`, else from the `context` option. One that is
 * declared and missing is told once per method, without values; the call is then not cached, for one request's value
 * must never answer another's.
 */
export class KeyDimensions {
  private readonly told = new Set<string>();

  constructor(
    private readonly namespace: string,
    private readonly provider: (() => CacheDimensions | undefined) | undefined,
    private readonly events: CacheEvents,
  ) {}

  /**
   * @param caller who varies, such as `Users.find`, for the event
   * @returns the part of the key for this request, or `undefined` if a dimension is missing
   */
  suffix(varyBy: readonly string[], caller: string): string | undefined {
    if (varyBy.length === 0) {
      return '';
    }
    const own = CacheContext.current;
    let provided: CacheDimensions | undefined;
    const values: (readonly [string, DimensionValue])[] = [];
    const missing: string[] = [];
    for (const name of sorted(varyBy)) {
      let value = own !== undefined && Object.hasOwn(own, name) ? own[name] : undefined;
      if (!isDimensionValue(value)) {
        provided ??= this.provide();
        value = Object.hasOwn(provided, name) ? provided[name] : undefined;
      }
      if (isDimensionValue(value)) {
        values.push([name, value]);
      } else {
        missing.push(name);
      }
    }
    if (missing.length > 0) {
      this.tell(caller, missing);
      return undefined;
    }
    return dimensionsSuffix(values);
  }

  /** The key for this request, or `undefined` if a dimension is missing. @throws CacheKeyError for a key that is none */
  prepare(key: string, options: KeyOptions, caller: string): PreparedKey | undefined {
    const suffix = this.suffixOf(options, caller);
    return suffix === undefined ? undefined : prepareKey(key, suffix);
  }

  /** As {@link prepare}, for entries; keys that are prepared stay as they are. */
  prepareAll<T>(
    entries: ReadonlyMap<CacheKey, T>,
    options: KeyOptions,
    caller: string,
  ): ReadonlyMap<CacheKey, T> | undefined {
    if (options.varyBy === undefined && options.version === undefined) {
      return entries;
    }
    const suffix = this.suffixOf(options, caller);
    return suffix === undefined
      ? undefined
      : new Map(
          Array.from(entries, ([key, value]) => [typeof key === 'string' ? prepareKey(key, suffix) : key, value]),
        );
  }

  private suffixOf({ varyBy, version }: KeyOptions, caller: string): string | undefined {
    const dimensions = this.suffix(varyBy ?? NO_NAMES, caller);
    return dimensions === undefined || version === undefined ? dimensions : versionSuffix(version) + dimensions;
  }

  /** A provider that fails knows of no dimension: the call is not cached. */
  private provide(): CacheDimensions {
    try {
      return this.provider?.() ?? NONE;
    } catch {
      return NONE;
    }
  }

  private tell(caller: string, dimensions: readonly string[]): void {
    const fact = `${caller} ${dimensions.join()}`;
    if (!this.told.has(fact)) {
      this.told.add(fact);
      this.events.emit('dimensionMissing', { namespace: this.namespace, caller, dimensions });
    }
  }
}

const NONE: CacheDimensions = Object.freeze({});
const NO_NAMES: readonly string[] = Object.freeze([]);

/** The order in which they were named, and how often, makes no other key. */
function sorted(names: readonly string[]): readonly string[] {
  return names.length === 1 ? names : [...new Set(names)].sort();
}
