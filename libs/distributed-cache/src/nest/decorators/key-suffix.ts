import { prepareKey, versionSuffix, type AsyncCache, type CacheKey, type KeyOptions } from '../../core/index.js';

/** The suffix of the keys of one decorated method: its version, and the dimensions of the request. */
export class KeySuffix {
  private readonly version: string;
  private readonly varyBy: readonly string[] | undefined;

  /** @param caller the name of the method, for the event about a missing dimension */
  constructor(
    { varyBy, version }: KeyOptions,
    readonly caller: string,
  ) {
    this.varyBy = varyBy;
    this.version = version === undefined ? '' : versionSuffix(version);
  }

  /**
   * The suffix for the current request.
   * @returns `undefined` if a dimension is missing: it is then unknown which entry is meant
   */
  of(cache: AsyncCache): string | undefined {
    if (this.varyBy === undefined) {
      return this.version;
    }
    const dimensions = cache.dimensions.suffix(this.varyBy, this.caller);
    return dimensions === undefined ? undefined : this.version + dimensions;
  }
}

/** A key with a suffix. @throws CacheKeyError for a key that is not a well-formed non-empty string */
export function keyWith(key: string, suffix: string): CacheKey {
  return suffix === '' ? key : prepareKey(key, suffix);
}

/** The name of a method for messages: `Users.find`. */
export function callerName(target: object, method: string | symbol): string {
  return `${target.constructor.name}.${String(method)}`;
}
