import {
  type AsyncCache,
  Binding,
  type CacheKey,
  CacheKeyError,
  type DistributedCache,
  instanceSuffix,
  type KeyOptions,
  MethodKeys,
  prepareKey,
  PreparedKey,
  versionSuffix,
} from '../../core/index.js';
import { nameInKeys } from './cache-defaults.decorator.js';
import { callOption, OptionError } from './call-problems.js';

type NamedClass = object & { readonly name: string };

/** What the default keys of a method consist of, besides the class of the instance and the arguments. */
export interface DefaultKeyParts extends KeyOptions {
  readonly namespace: string;
  readonly declaring: NamedClass;
  readonly method: string | symbol;
  readonly keyPrefix?: string | undefined;
}

/**
 * The name before the method in default keys: `Users`, or `Admins/Users` for a method that `Admins` inherits from
 * `Users`. A `keyPrefix` replaces the name of the class that declares the method, and the `name` of `@CacheDefaults` that
 * of its class.
 */
export function defaultKeyClass(owner: NamedClass, { declaring, keyPrefix }: DefaultKeyParts): string {
  const prefix = keyPrefix ?? nameInKeys(declaring);
  return owner === declaring ? prefix : `${nameInKeys(owner)}/${prefix}`;
}

/**
 * A text that is the same for two methods exactly if a default key of one could be a default key of the other. Keys in
 * other namespaces, of other methods, of another version and with other dimensions never are the same.
 */
export function defaultKeyRange(owner: NamedClass, parts: DefaultKeyParts): string {
  const { namespace, method, varyBy = [], version } = parts;
  return JSON.stringify([
    namespace,
    defaultKeyClass(owner, parts),
    String(method),
    version === undefined ? '' : versionSuffix(version),
    [...new Set(varyBy)].sort(),
  ]);
}

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

  /** @param application the application in which the keys of two methods would collide */
  constructor(
    private readonly application: DistributedCache,
    private readonly parts: DefaultKeyParts,
  ) {}

  /**
   * The key of a call.
   * @param suffix version and dimensions
   * @throws CacheKeyError for an argument without an injective encoding, and for a second method whose keys could be the
   * same
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
    const className = defaultKeyClass(owner, this.parts);
    claimRange(this.application, owner, this.parts, className);
    const keys = new MethodKeys(className, String(this.parts.method));
    this.byClass.set(owner, keys);
    return keys;
  }
}

interface Claim {
  readonly owner: object;
  readonly declaring: object;
  readonly method: string | symbol;
}

/** The methods that have claimed a range of default keys, by range. */
const CLAIMS = new Binding((_application: DistributedCache) => new Map<string, Claim>());

/**
 * Reserves the default keys of a method: the methods of two classes called `Orders`, in two files or after
 * minification, must not share entries.
 */
function claimRange(application: DistributedCache, owner: NamedClass, parts: DefaultKeyParts, className: string): void {
  const { declaring, method } = parts;
  const claims = application.bound(CLAIMS);
  const range = defaultKeyRange(owner, parts);
  const claimed = claims.get(range);
  if (claimed === undefined) {
    claims.set(range, { owner, declaring, method });
  } else if (claimed.owner !== owner || claimed.declaring !== declaring || claimed.method !== method) {
    throw new CacheKeyError(
      `Two classes have cached methods with the default key \`${className}.${String(method)}(…)\``,
      NAME_REMEDY,
    );
  }
}

/** What to write when the name of a class does not identify its methods. */
export const NAME_REMEDY =
  'Rename one class, write `@CacheDefaults({ name })` above it, pass `keyPrefix` or `key` to its decorators, or keep the names of classes in the minifier (keepNames)';

/** Options that add to a key: those of the core, and the key of the instance. */
export interface SuffixOptions extends KeyOptions {
  readonly instanceKey?: ((instance: object) => string) | undefined;
}

/** The suffix of the keys of one decorated method: its version, the key of its instance, the dimensions of the request. */
export class KeySuffix {
  private readonly version: string;
  private readonly varyBy: readonly string[] | undefined;
  private readonly instanceKey: ((instance: object) => string) | undefined;

  /** @param caller the name of the method, for the event about a missing dimension */
  constructor(
    { varyBy, version, instanceKey }: SuffixOptions,
    readonly caller: string,
  ) {
    this.varyBy = varyBy;
    this.version = version === undefined ? '' : versionSuffix(version);
    this.instanceKey = instanceKey;
  }

  /**
   * The suffix for the current request and this instance.
   * @returns `undefined` if a dimension is missing: it is then unknown which entry is meant
   * @throws OptionError if `instanceKey` throws or returns no text
   */
  of(cache: AsyncCache, instance: object): string | undefined {
    const own = this.ofInstance(instance);
    if (this.varyBy === undefined) {
      return own;
    }
    const dimensions = cache.dimensions.suffix(this.varyBy, this.caller);
    return dimensions === undefined ? undefined : own + dimensions;
  }

  /** The suffix for this instance, without the dimensions of the request. @throws OptionError as {@link of} */
  ofInstance(instance: object): string {
    return this.instanceKey === undefined ? this.version : this.version + this.suffixOf(this.instanceKey, instance);
  }

  private suffixOf(instanceKey: (instance: object) => string, instance: object): string {
    const key: unknown = callOption('instanceKey', instanceKey, instance, [instance]);
    if (typeof key !== 'string' || key === '') {
      throw new OptionError('The option `instanceKey` must return a text that is not empty');
    }
    return instanceSuffix(key);
  }
}

/**
 * The key with which a hit is looked for. A text without a suffix stays a text, which costs nothing. Whether it is valid
 * is checked only when it is not found.
 * @param caller the name of the method for the event of a hit; empty if nothing listens to it
 */
export function hitKey(key: string, suffix: string, caller: string): CacheKey {
  return suffix === '' && caller === '' ? key : prepareKey(key, suffix, caller);
}

/**
 * A key with a suffix; a key of `keyOf` has its own. @throws CacheKeyError for a key that is not a well-formed non-empty
 * string
 */
export function checkedKey(key: CacheKey, suffix: string, caller: string): PreparedKey {
  return key instanceof PreparedKey ? key : prepareKey(key, suffix, caller);
}

/** The name of a method for messages: `Users.find`. */
export function callerName(target: object, method: string | symbol): string {
  return `${target.constructor.name}.${String(method)}`;
}
