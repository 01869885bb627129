import { areInOrder } from '../../config/index.js';
import { type CachedOptions, checkOptions, requireParentheses } from './decorator-options.js';

/** The options that `@CacheDefaults` takes besides `name`: those that do not depend on the arguments of one method. */
const DEFAULTED = [
  'namespace',
  'ttl',
  'grace',
  'keyPrefix',
  'instanceKey',
  'tags',
  'cacheIf',
  'refreshAhead',
  'refreshContext',
  'softTimeout',
  'hardTimeout',
  'staleIf',
  'varyBy',
  'version',
  'validate',
  'values',
  'flatten',
] as const satisfies readonly (keyof CachedOptions)[];

/** Options of `@CacheDefaults`. */
export interface CacheDefaultsOptions extends Pick<CachedOptions, (typeof DEFAULTED)[number]> {
  /**
   * Replaces the name of this class in default keys, and only of this class: a subclass has its own. For names that a
   * minifier or `mixin()` makes.
   */
  name?: string;
}

/** The defaults of each class. They belong to the class, as metadata does, and say nothing about an application. */
const DEFAULTS_OF_CLASSES = new WeakMap<object, CacheDefaultsOptions>();

/**
 * Sets defaults for the options of the cache's decorators in this class and its subclasses. An option of a method wins,
 * then one of the class that declares the method, then one of its base class. A decorator without such an option, such
 * as `@CacheEvict` without `ttl`, does not take it; `@CacheEvict` takes no `tags` either. `name` and `keyPrefix` are not
 * inherited: the methods of two subclasses would share keys. Methods that a class inherits keep the defaults of the class
 * that declares them.
 * @throws ConfigurationError for a wrong or unknown option, when the class is loaded
 */
export function CacheDefaults(defaults: CacheDefaultsOptions): ClassDecorator {
  requireParentheses('CacheDefaults(options)', defaults);
  return (type, ...member: unknown[]) => {
    if (typeof type !== 'function') {
      const method = `${(type as object).constructor.name}.${String(member[0])}`;
      throw new TypeError(`@CacheDefaults() goes above a class, not above ${method}`);
    }
    checkOptions('CacheDefaults', type.name, defaults, { only: DEFAULTED, own: ['name'] });
    DEFAULTS_OF_CLASSES.set(type, defaults);
  };
}

type Limits = Pick<CachedOptions, 'softTimeout' | 'hardTimeout'>;

/**
 * Completes the options of a method by the defaults of its class. The decorators of a class run after those of its
 * methods, so this must not be called before the class is loaded.
 * @param names the options that the decorator has
 */
export function withDefaults<Options extends object>(
  declaring: object,
  given: Options,
  names: ReadonlySet<string>,
): Options {
  const options: Record<string, unknown> = {};
  for (const [type, defaults] of defaultsOf(declaring)) {
    for (const name of DEFAULTED) {
      if (names.has(name) && defaults[name] !== undefined && (name !== 'keyPrefix' || type === declaring)) {
        options[name] = defaults[name];
      }
    }
  }
  const own = Object.entries(given).filter(([, value]) => value !== undefined);
  const completed = { ...options, ...Object.fromEntries(own) } as Options & Limits;
  if (!areInOrder(completed.softTimeout, completed.hardTimeout)) {
    delete completed.softTimeout; // one is of the class, the other of the method: the call ends before it
  }
  return completed;
}

export function nameInKeys(type: object & { readonly name: string }): string {
  return DEFAULTS_OF_CLASSES.get(type)?.name ?? type.name;
}

/** Whether a class has defaults of its own for its methods, not only a name. */
export function hasDefaults(type: object): boolean {
  const { name: _name, ...defaults } = DEFAULTS_OF_CLASSES.get(type) ?? {};
  return Object.keys(defaults).length > 0;
}

/** The defaults of a class and of its base classes, its own last. */
function defaultsOf(type: object): (readonly [object, CacheDefaultsOptions])[] {
  const found: (readonly [object, CacheDefaultsOptions])[] = [];
  for (let current: object | null = type; current !== null; current = Reflect.getPrototypeOf(current)) {
    const defaults = DEFAULTS_OF_CLASSES.get(current);
    if (defaults !== undefined) {
      found.unshift([current, defaults]);
    }
  }
  return found;
}
