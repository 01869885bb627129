import { CacheKeyError, MethodKeys, type DistributedCache, type PreparedKey } from '../../core/index.js';

type NamedClass = object & { readonly name: string };

/** The classes that own a name in an application's default keys. */
const owners = new WeakMap<DistributedCache, Map<string, object>>();

/**
 * The keys of one method without a `key` option in one application: class of the instance, method, typed arguments. A subclass has
 * keys of its own (`Admins/Users.find(42)` for a method that `Admins` inherits from `Users`), and so has a method that it
 * overrides: its call of `super.find()` must not wait for its own load.
 */
export class DefaultKeys {
  private readonly byClass = new Map<object, MethodKeys>();
  /** Nearly always the next call is on an instance of the same class. */
  private lastOwner: object | undefined;
  private lastKeys: MethodKeys | undefined;

  /** @param application where two classes of one name would meet */
  constructor(
    private readonly application: DistributedCache,
    private readonly declaring: NamedClass,
    private readonly method: string | symbol,
  ) {}

  /**
   * @param suffix version and dimensions
   * @throws CacheKeyError for an argument without an injective encoding, and where two classes of one name would share keys
   */
  of({ constructor }: object, args: readonly unknown[], suffix: string): PreparedKey {
    if (this.lastKeys === undefined || this.lastOwner !== constructor) {
      this.lastKeys = this.byClass.get(constructor) ?? this.claim(constructor);
      this.lastOwner = constructor;
    }
    return this.lastKeys.of(args, suffix);
  }

  /** The key of a call with this one argument, if it was made lately for an instance of the class that was asked for last. */
  known({ constructor }: object, only: unknown): PreparedKey | undefined {
    return this.lastOwner === constructor ? this.lastKeys?.known(only) : undefined;
  }

  private claim(owner: NamedClass): MethodKeys {
    claimName(this.application, owner);
    const { declaring, method } = this;
    const className = owner === declaring ? owner.name : `${owner.name}/${declaring.name}`;
    const keys = new MethodKeys(className, String(method));
    this.byClass.set(owner, keys);
    return keys;
  }
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
