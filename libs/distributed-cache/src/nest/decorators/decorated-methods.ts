import { type AsyncCache, Binding, type DistributedCache } from '../../core/index.js';
import { withDefaults } from './cache-defaults.decorator.js';
import { CallProblems } from './call-problems.js';
import {
  type CachedOptions,
  checkOptions,
  DEFAULT_NAMESPACE,
  type OptionSet,
  optionNames,
} from './decorator-options.js';
import { callerName, KeySuffix } from './entry-keys.js';

/** What a decorator does with entries: `read` uses and fills them, `write` stores them, `evict` deletes them. */
type Role = 'read' | 'write' | 'evict';

/** Functions of the options, as far as the checks at the start look at them. */
type AnyFunction = (...args: never[]) => unknown;

/** The options that say where the entries of a method are. */
interface PlaceOptions extends Pick<
  CachedOptions<never[], never>,
  'namespace' | 'keyPrefix' | 'instanceKey' | 'varyBy' | 'version'
> {
  readonly key?: AnyFunction | undefined;
  readonly keys?: AnyFunction | undefined;
  readonly resultKey?: AnyFunction | undefined;
  readonly warm?: ((key: string) => readonly unknown[] | undefined) | undefined;
  readonly ttl?: unknown;
  readonly tags?: unknown;
}

/** A method that has a decorator of the cache, with its options and the defaults of its class. */
export interface DecoratedMethod extends Omit<PlaceOptions, 'keys' | 'resultKey'> {
  readonly decorator: string;
  readonly role: Role;
  readonly namespace: string;
  readonly name: string | symbol;
  /** The prototype of the class that declares the method. */
  readonly declaring: object;
  /** The function that returns its key, or its keys; `undefined` for the default key, and where no key is used. */
  readonly key?: AnyFunction | undefined;
  readonly hasResultKey: boolean;
  /** Whether its keys are default keys: class, method and arguments. */
  readonly hasDefaultKey: boolean;
}

/** What each decorated method needs in one application. */
export interface MethodParts<Result> {
  readonly application: DistributedCache;
  readonly cache: AsyncCache<Result>;
  readonly problems: CallProblems;
  readonly suffixes: KeySuffix;
}

/** The options of a method, complete. */
type Resolved<Options> = Options & { readonly namespace: string };

/*
 * The decorated methods of each class. It belongs to the class, as metadata does, and says nothing about an application.
 */
const METHODS = new WeakMap<object, Declaration<PlaceOptions>[]>();

/**
 * A decorator at a method. It is made when the class is loaded; the options are completed by the defaults of the class
 * later, as the decorators of a class run after those of its methods.
 */
export class Declaration<Options extends PlaceOptions> {
  private resolved: Resolved<Options> | undefined;
  private described: DecoratedMethod | undefined;

  /** @throws ConfigurationError for a wrong or unknown option */
  constructor(
    private readonly decorator: string,
    private readonly role: Role,
    private readonly target: object,
    private readonly name: string | symbol,
    private readonly given: Options,
    private readonly set: OptionSet = {},
  ) {
    checkOptions(decorator, callerName(target, name), given, set);
    const methods = METHODS.get(target) ?? [];
    METHODS.set(target, [...methods, this]);
  }

  get options(): Resolved<Options> {
    if (this.resolved === undefined) {
      const options = withDefaults(this.target.constructor, this.given, optionNames(this.set));
      this.resolved = { ...options, namespace: options.namespace ?? DEFAULT_NAMESPACE };
    }
    return this.resolved;
  }

  /** The method for the checks at the start. */
  describe(): DecoratedMethod {
    const { decorator, role, target: declaring, name, options } = this;
    const { keys, resultKey, key = keys ?? resultKey, ...rest } = options;
    const hasDefaultKey = role === 'read' && key === undefined;
    const hasResultKey = resultKey !== undefined;
    return (this.described ??= { ...rest, decorator, role, name, declaring, key, hasDefaultKey, hasResultKey });
  }

  /** Makes what a call needs, once for each application. */
  bind<Result, Bound extends object>(
    make: (parts: MethodParts<Result>, options: Resolved<Options>) => Bound,
  ): Binding<DistributedCache, Bound> {
    return new Binding((application: DistributedCache) => {
      const { options } = this;
      const caller = callerName(this.target, this.name);
      const problems = new CallProblems(application, options.namespace, caller);
      const suffixes = new KeySuffix(options, caller);
      return make({ application, cache: application.getCache<Result>(options.namespace), problems, suffixes }, options);
    });
  }
}

/** The decorated methods of the instances with this prototype, inherited ones included. */
export function decoratedMethodsOf(prototype: object): DecoratedMethod[] {
  const methods: DecoratedMethod[] = [];
  for (let current: object | null = prototype; current !== null; current = Reflect.getPrototypeOf(current)) {
    methods.push(...(METHODS.get(current) ?? []).map((method) => method.describe()));
  }
  return methods;
}
