import type { CachedOptions } from './decorator-options.js';

/** What a decorator does with entries: `read` uses and fills them, `write` stores them, `evict` deletes them. */
type Role = 'read' | 'write' | 'evict';

/** Functions of the options, as far as the checks at the start look at them. */
type AnyFunction = (...args: never[]) => unknown;

/** A method that has a decorator of the cache. */
export interface DecoratedMethod extends Pick<
  CachedOptions<never[], never>,
  'keyPrefix' | 'instanceKey' | 'varyBy' | 'version'
> {
  readonly decorator: string;
  readonly role: Role;
  readonly namespace: string;
  readonly name: string | symbol;
  /** The prototype of the class that declares the method. */
  readonly declaring: object;
  /** The function that returns its key, or its keys; `undefined` for the default key, and where no key is used. */
  readonly key?: AnyFunction | undefined;
  readonly ttl?: unknown;
  readonly tags?: unknown;
  /** Whether its keys are default keys: class, method and arguments. */
  readonly hasDefaultKey: boolean;
}

/*
 * The decorated methods of each class. It belongs to the class, as metadata does, and says nothing about an application.
 */
const METHODS = new WeakMap<object, DecoratedMethod[]>();

/** Adds a method to those of its class, when the class is loaded. */
export function addDecoratedMethod(method: DecoratedMethod): void {
  const methods = METHODS.get(method.declaring);
  if (methods === undefined) {
    METHODS.set(method.declaring, [method]);
  } else {
    methods.push(method);
  }
}

/** The decorated methods of the instances with this prototype, inherited ones included. */
export function decoratedMethodsOf(prototype: object): DecoratedMethod[] {
  const methods: DecoratedMethod[] = [];
  for (let current: object | null = prototype; current !== null; current = Reflect.getPrototypeOf(current)) {
    methods.push(...(METHODS.get(current) ?? []));
  }
  return methods;
}
