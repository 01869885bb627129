import {
  type AsyncCache,
  Binding,
  type CacheKey,
  CacheKeyError,
  type DistributedCache,
  type KeyOptions,
  MethodKeys,
  prepareKey,
  type PreparedKey,
  versionSuffix,
} from '../../core/index.js';

type NamedClass = object & { readonly name: string };

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

  /** The key of a call with this one argument, if the last call was on the same class and the key was made recently. */
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

/** The classes that own a name in the default keys of an application. */
const CLASS_NAMES = new Binding((_application: DistributedCache) => new Map<string, object>());

/**
 * Reserves the name of a class: two classes called `Orders`, in two files or after minification, must not share
 * entries.
 */
function claimName(application: DistributedCache, owner: NamedClass): void {
  const names = application.bound(CLASS_NAMES);
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
