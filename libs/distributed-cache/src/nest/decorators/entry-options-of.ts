import type { EntryOptions } from '../../core/index.js';
import type { CachedOptions } from './cached-options.js';

/** The options of one call. Built once for all calls, unless the tags depend on the arguments. */
export function entryOptionsOf<Args extends unknown[], Result>({
  tags,
  ttl,
  grace,
  cacheIf,
  refreshAhead,
  softTimeout,
  hardTimeout,
  staleIf,
  schema,
  validate,
}: Omit<CachedOptions<Args, Result>, 'key' | 'namespace'>): (
  instance: object,
  args: unknown[],
) => EntryOptions<Result> | undefined {
  const common: EntryOptions<Result> = {
    ttl,
    grace,
    cacheIf,
    refreshAhead,
    softTimeout,
    hardTimeout,
    staleIf,
    schema,
    validate,
  };
  if (typeof tags === 'function') {
    return (instance, args) => ({ ...common, tags: tags.apply(instance, args as unknown as Args) });
  }
  const always = tags === undefined ? common : { ...common, tags };
  const options = Object.values(always).every((value) => value === undefined) ? undefined : always;
  return () => options;
}
