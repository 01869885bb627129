import { CacheKeyError, MethodKeys, type DistributedCache, type PreparedKey } from '../../core/index.js';

type NamedClass = object & { readonly name: string };

/** The classes that own a name in the default keys of an application. */
const owners = new WeakMap<DistributedCache, Map<string, object>>();

/**
 * The default keys of one method (one without a `key` option) in one application: class of the instance, method, typed
 * arguments. A subclass has keys of its own (`Admins/Users.find(42)` for a method that `Admins` inherits from `Users`),
 * and so has a method that it overrides: its call of `super.find()` must not wait for its own load.
 */
export class DefaultKeys {
  private readonly byClass = new Map<object, MethodKeys>();
  /** The keys of the last call: the next call is nearly always on an instance of the same class. */
  private lastOwner: object | undefined;
  private lastKeys: MethodKeys | undefined;

  /** @param application the application in which two classes of one name would collide */
  constructor(
    private readonly application: DistributedCache,
    private readonly declaring: NamedClass,
    private readonly method: string | symbol,
  ) {}

  /**
   * The key of a call.
   * @param suffix version and dimensions
   * @throws CacheKeyError for an argument without an injective encoding, and when two classes of one name would share
   * keys
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

/**
 * Reserves the name of a class: two classes called `Orders`, in two files or after minification, must not share
 * entries.
 */
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
