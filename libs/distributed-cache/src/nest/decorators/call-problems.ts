import { CacheError, type CacheEventMap, CacheKeyError, type DistributedCache } from '../../core/index.js';

/** What becomes of a call whose key or options can't be used. */
export type CallEffect = CacheEventMap['decoratedCallUncached']['effect'];

/**
 * Reports the calls of one decorated method that the cache can't serve, because their key or an option can't be
 * computed. The method runs in any case. Each effect is reported once: the reason is a mistake in the code, which each
 * call repeats.
 */
export class CallProblems {
  private readonly reported = new Set<CallEffect>();

  /** @param caller the name of the method: `Users.find` */
  constructor(
    private readonly application: DistributedCache,
    private readonly namespace: string,
    readonly caller: string,
  ) {}

  /** The result of `compute`. If it throws, the error is reported, and there is none. */
  attempt<Result>(effect: CallEffect, compute: () => Result): Result | undefined {
    try {
      return compute();
    } catch (error) {
      this.report(error, effect);
      return undefined;
    }
  }

  /**
   * Whether the `condition` of the options lets the cache be used for a call; `undefined` when it throws or returns a
   * promise, which is reported.
   */
  meets<Args extends unknown[]>(
    condition: ((...args: Args) => boolean) | undefined,
    instance: object,
    args: Args,
    effect: CallEffect,
  ): boolean | undefined {
    if (condition === undefined) {
      return true;
    }
    return this.attempt(effect, () => {
      const verdict: unknown = callOption('condition', condition, instance, args);
      return Boolean(verdict);
    });
  }

  report(error: unknown, effect: CallEffect): void {
    if (this.reported.has(effect)) {
      return;
    }
    this.reported.add(effect);
    const { namespace, caller } = this;
    this.application.events.emit('decoratedCallUncached', { namespace, caller, effect, reason: reasonOf(error) });
  }
}

/** An option of a decorator can't be used for a call. The message holds no value. */
export class OptionError extends CacheError {
  override readonly name = 'OptionError';
  readonly code = 'CACHE_OPTION';
}

/** Only the messages of this library are known to hold no data of the application. */
function reasonOf(error: unknown): string {
  if (error instanceof CacheKeyError || error instanceof OptionError) {
    return error.message;
  }
  return `an option threw ${error instanceof Error ? error.name : typeof error}`;
}

/** Calls a function of the options. @throws OptionError if the function throws, or returns a promise */
export function callOption<Args extends unknown[], Result>(
  option: string,
  method: (...args: Args) => Result,
  instance: object | undefined,
  args: Args,
): Result {
  let result: Result;
  try {
    result = method.apply(instance, args);
  } catch (error) {
    const thrown = error instanceof Error ? error.name : typeof error;
    throw new OptionError(`The option \`${option}\` threw ${thrown}. Make it return a value for all arguments.`);
  }
  if (result instanceof Promise) {
    result.catch(() => {}); // its error has no other listener
    throw new OptionError(`The option \`${option}\` returned a promise. Make it a synchronous function.`);
  }
  return result;
}
