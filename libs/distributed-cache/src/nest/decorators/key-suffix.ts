import { prepareKey, versionSuffix, type AsyncCache, type CacheKey, type KeyOptions } from '../../core/index.js';

/** What the keys of one decorated method carry behind them: its version, and the dimensions of the request. */
export class KeySuffix {
  private readonly version: string;
  private readonly varyBy: readonly string[] | undefined;

  /** @param caller the method, for the event that tells of a missing dimension */
  constructor(
    { varyBy, version }: KeyOptions,
    readonly caller: string,
  ) {
    this.varyBy = varyBy;
    this.version = version === undefined ? '' : versionSuffix(version);
  }

  /** @returns `undefined` if a dimension is missing: then there is no telling which entry is meant */
  of(cache: AsyncCache): string | undefined {
    if (this.varyBy === undefined) {
      return this.version;
    }
    const dimensions = cache.dimensions.suffix(this.varyBy, this.caller);
    return dimensions === undefined ? undefined : this.version + dimensions;
  }
}

/** @throws CacheKeyError for a key that is no well-formed non-empty string */
export function keyWith(key: string, suffix: string): CacheKey {
  return suffix === '' ? key : prepareKey(key, suffix);
}

/** `Users.find`, for messages. */
export function callerName(target: object, method: string | symbol): string {
  return `${target.constructor.name}.${String(method)}`;
}
