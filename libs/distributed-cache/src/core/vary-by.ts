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
import type { ResolvedNamespace } from '../config/index.js';
import { ConfigurationError } from '../errors/index.js';
import { ScopedValue } from '../scope/index.js';
import type { CacheEvents } from '../events/index.js';
import { hasOwnKey, type KeyOptions } from './entry-options.js';

const requests = new ScopedValue<CacheDimensions>();

/**
 * The dimensions (tenant, locale, user) of the request that is being served, for `varyBy`. They follow the request
 * through all asynchronous calls. A middleware sets them, or `CacheContextInterceptor`.
 */
export const CacheContext = {
  /**
   * Runs `work`, and everything it starts, with these dimensions. Dimensions of an enclosing `run` that are not named
   * stay.
   */
  run<Result>(dimensions: CacheDimensions, work: () => Result): Result {
    return requests.run({ ...requests.current, ...dimensions }, work);
  },

  /** The dimensions of this request; `undefined` outside of every `run`. */
  get current(): CacheDimensions | undefined {
    return requests.current;
  },
};

/**
 * Derives the key suffix of `varyBy` and `version` from the current request. A dimension comes from `CacheContext.run`,
 * else from the `context` option. A missing dimension is reported once per method, without values. The call is then not
 * cached: one request's value must never be returned to another.
 */
export class KeyDimensions {
  private readonly reported = new Set<string>();
  private readonly sharesDictionary: boolean;

  constructor(
    private readonly namespace: string,
    policy: ResolvedNamespace,
    private readonly provider: (() => CacheDimensions | undefined) | undefined,
    private readonly events: CacheEvents,
  ) {
    this.sharesDictionary = sharesSecretDictionary(policy);
  }

  /**
   * The suffix of a key for the dimensions of the current request.
   * @param caller the method that varies, such as `Users.find`, for the event
   * @returns the part of the key for this request, or `undefined` if a dimension is missing
   * @throws ConfigurationError where encrypted values of all dimensions would share a dictionary
   */
  suffix(varyBy: readonly string[], caller: string): string | undefined {
    if (varyBy.length === 0) {
      return '';
    }
    if (this.sharesDictionary) {
      throw dictionaryError(this.namespace, `${caller} varies by ${varyBy.join()}`);
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
      this.report(caller, missing);
      return undefined;
    }
    return dimensionsSuffix(values);
  }

  /**
   * The key for this request, or `undefined` if a dimension is missing.
   * @throws CacheKeyError for a key that is not valid
   */
  prepare(key: string, options: KeyOptions, caller: string): PreparedKey | undefined {
    const suffix = this.suffixOf(options, caller);
    return suffix === undefined ? undefined : prepareKey(key, suffix);
  }

  /**
   * The entries with their keys for this request, or `undefined` if a dimension is missing. Keys that are prepared
   * already stay as they are.
   */
  prepareAll<T>(
    entries: ReadonlyMap<CacheKey, T>,
    options: KeyOptions,
    caller: string,
  ): ReadonlyMap<CacheKey, T> | undefined {
    if (!hasOwnKey(options)) {
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

  /** The dimensions of the `context` option. When the function throws there are none, and the call is not cached. */
  private provide(): CacheDimensions {
    try {
      return this.provider?.() ?? NONE;
    } catch {
      return NONE;
    }
  }

  private report(caller: string, dimensions: readonly string[]): void {
    const fact = `${caller} ${dimensions.join()}`;
    if (!this.reported.has(fact)) {
      this.reported.add(fact);
      this.events.emit('dimensionMissing', { namespace: this.namespace, caller, dimensions });
    }
  }
}

/** @internal Whether the values of a namespace are encrypted and share a dictionary. */
export function sharesSecretDictionary({ encrypts, compression }: ResolvedNamespace): boolean {
  return encrypts && compression !== false && compression.dictionary;
}

/**
 * @internal The error where such a namespace holds values for several tenants. The length of an entry tells how much of its value
 * stands in the dictionary, which is made of the values of all of them (as the attack CRIME on TLS did, CVE-2012-4929).
 * @param use what varies, for the message
 */
export function dictionaryError(namespace: string, use: string): ConfigurationError {
  return new ConfigurationError([
    {
      name: `namespaces.${namespace}.compression.dictionary`,
      value: `true, with encryption, and ${use}`,
      allowed: 'false: the length of an encrypted entry would tell what it has in common with the values of others',
    },
  ]);
}

const NONE: CacheDimensions = Object.freeze({});
const NO_NAMES: readonly string[] = Object.freeze([]);

/** Sorts the names and removes duplicates: the order in which they are given does not change the key. */
function sorted(names: readonly string[]): readonly string[] {
  return names.length === 1 ? names : [...new Set(names)].sort();
}
