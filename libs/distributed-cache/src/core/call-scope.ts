import { type CacheKey, encodeKey } from '../keys/index.js';
import { ScopedValue } from '../scope/index.js';

/** A piece of work in which calls do not read what is cached: a `bypass` or a `refresh`. */
export class CallScope {
  isOpen = true;
  /** The entries that the calls of a refresh have loaded or stored anew. */
  private readonly renewed = new Set<string>();

  constructor(
    readonly kind: 'bypass' | 'refresh',
    readonly outer: CallScope | undefined,
  ) {}

  /** Whether a call must not read this entry: in a bypass never, in a refresh until the entry is renewed. */
  skips(namespace: string, key: CacheKey): boolean {
    return this.kind === 'bypass' || !this.renewed.has(`${namespace}:${encodeKey(key)}`);
  }

  /** Notes that entries are renewed: further calls of a refresh read them, or join their load. */
  renew(namespace: string, keys: Iterable<CacheKey>): void {
    for (const key of keys) {
      this.renewed.add(`${namespace}:${encodeKey(key)}`);
    }
  }
}

/**
 * The scopes of `bypass` and `refresh` that are open in one cache. A scope follows its work through all asynchronous
 * steps, loaders included, and ends when the work has ended: what the work leaves running (a timer, a call that is not
 * awaited) uses the cache again. Inside another scope the inner one counts.
 */
export class CallScopes {
  /** The number of open scopes. While it is 0, which is usual and cheap to check, no call is in a scope. */
  open = 0;
  private readonly innermost = new ScopedValue<CallScope>();

  get current(): CallScope | undefined {
    let scope = this.open === 0 ? undefined : this.innermost.current;
    while (scope?.isOpen === false) {
      scope = scope.outer;
    }
    return scope;
  }

  run<Result>(kind: CallScope['kind'], work: () => Result): Result {
    const scope = new CallScope(kind, this.current);
    const end = (): void => {
      scope.isOpen = false;
      this.open--;
    };
    this.open++;
    let result: Result;
    try {
      result = this.innermost.run(scope, work);
    } catch (error) {
      end();
      throw error;
    }
    if (result instanceof Promise) {
      result.then(end, end);
    } else {
      end();
    }
    return result;
  }
}
