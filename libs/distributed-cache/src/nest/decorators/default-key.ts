import { CacheKeyError, methodKey, type DistributedCache } from '../../core/index.js';

type NamedClass = object & { readonly name: string };

/** The classes that own a name in an application's default keys. */
const owners = new WeakMap<DistributedCache, Map<string, object>>();

/**
 * The key of a call without a `key` option: class of the instance, method, typed arguments. A subclass has keys of its own
 * (`Admins/Users.find(42)` for a method that `Admins` inherits from `Users`), and so has a method that it overrides:
 * its call of `super.find()` must not wait for its own load.
 * @throws CacheKeyError for an argument without an injective encoding, and where two classes of one name would share keys
 */
export function defaultKey(
  cache: DistributedCache,
  instance: object,
  declaring: NamedClass,
  method: string | symbol,
  args: readonly unknown[],
): string {
  const { constructor } = instance;
  claimName(cache, constructor);
  const className = constructor === declaring ? constructor.name : `${constructor.name}/${declaring.name}`;
  return methodKey(className, String(method), args);
}

/** Two classes called `Orders`, in two files or after minification, must not answer for each other. */
function claimName(cache: DistributedCache, owner: NamedClass): void {
  let names = owners.get(cache);
  if (names === undefined) {
    names = new Map();
    owners.set(cache, names);
  }
  const claimed = names.get(owner.name);
  if (claimed === undefined) {
    names.set(owner.name, owner);
  } else if (claimed !== owner) {
    throw new CacheKeyError(
      `Two classes named ${JSON.stringify(owner.name)} have cached methods, so their default keys could be the same`,
      'Rename one, or pass `key: (...) => string` to its decorators',
    );
  }
}
