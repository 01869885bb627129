import { type Duration, type EntryOptions, isDuration, toMs } from '../../core/index.js';
import { callOption, type CallProblems, OptionError } from './call-problems.js';

/** The options that look at a result, or at the error of the method. */
interface ResultOptions<Result> {
  readonly ttl?: EntryOptions<Result>['ttl'] | undefined;
  readonly cacheIf?: ((result: Result) => boolean) | undefined;
  readonly staleIf?: ((error: unknown) => boolean) | undefined;
}

/**
 * The rules by which results of a decorated method are stored, and replaced by stale ones. The method has ended by then,
 * so a rule that fails (it throws, it returns a promise, the TTL is no positive duration) has one effect: the result is
 * not stored, or the caller gets the error of the method. It is reported.
 */
export class ResultRules<Result> {
  /** The TTL of the result that was admitted last: the cache asks for it directly after {@link admits}. */
  private admitted: { readonly result: Result; readonly ttl: Duration } | undefined;

  constructor(
    private readonly options: ResultOptions<Result>,
    private readonly problems: CallProblems,
  ) {}

  /** The options that the cache gets instead of the given ones. */
  get guarded(): Pick<EntryOptions<Result>, 'ttl' | 'cacheIf' | 'staleIf'> {
    const { ttl, cacheIf, staleIf } = this.options;
    const ttlOf = typeof ttl === 'function' ? (result: Result) => this.ttlOf(ttl, result) : ttl;
    return {
      ...(ttlOf === undefined ? {} : { ttl: ttlOf }),
      ...(staleIf === undefined ? {} : { staleIf: (error: unknown) => this.allowsStale(staleIf, error) }),
      ...(cacheIf === undefined && typeof ttl !== 'function'
        ? {}
        : { cacheIf: (result: Result) => this.admits(result) }),
    };
  }

  /** Whether the result is stored. */
  admits(result: Result): boolean {
    const { ttl, cacheIf } = this.options;
    const isAdmitted = this.problems.attempt('result not stored', () => {
      if (cacheIf !== undefined && !callOption('cacheIf', cacheIf, undefined, [result])) {
        return false;
      }
      if (typeof ttl === 'function') {
        this.admitted = { result, ttl: positive(callOption('ttl', ttl, undefined, [result])) };
      }
      return true;
    });
    return isAdmitted === true;
  }

  private allowsStale(staleIf: (error: unknown) => boolean, error: unknown): boolean {
    const verdict = this.problems.attempt('stale result not used', () =>
      callOption('staleIf', staleIf, undefined, [error]),
    );
    return verdict ?? false;
  }

  private ttlOf(ttl: (result: Result) => Duration, result: Result): Duration {
    const { admitted } = this;
    this.admitted = undefined;
    return admitted !== undefined && Object.is(admitted.result, result) ? admitted.ttl : ttl(result);
  }
}

function positive(ttl: unknown): Duration {
  if (!isDuration(ttl) || toMs(ttl) < 1) {
    throw new OptionError('The option `ttl` returned no duration over 0. Return seconds, or a text with its unit.');
  }
  return ttl;
}
