import { fieldLines, type Fields, LEADING_TOKEN, listMembers, unquoted } from './fields.js';

/** The longest time of a directive in seconds: what RFC 9111 section 1.2.2 asks for instead of an overflow. */
export const MAX_DELTA_SECONDS = 2 ** 31;

/** The argument of a directive that has one but not in the form `=token` or `="text"`. */
const MALFORMED = Symbol('malformed argument');

type Argument = string | typeof MALFORMED | undefined;

/**
 * The directives of a `Cache-Control` field (RFC 9111 section 5.2). Names count in any case. A directive that is
 * malformed counts as present, so that a misspelled `no-store` forbids; its time is 0, so that a misspelled `max-age`
 * allows nothing.
 */
export class CacheControl {
  private constructor(private readonly directives: ReadonlyMap<string, readonly Argument[]>) {}

  /** The directives of the field `name`, `cache-control` by default. */
  static of(fields: Fields, name = 'cache-control'): CacheControl {
    const directives = new Map<string, Argument[]>();
    for (const member of fieldLines(fields, name).flatMap(listMembers)) {
      const token = LEADING_TOKEN.exec(member)?.[0];
      if (token !== undefined) {
        const directive = token.toLowerCase();
        const others = directives.get(directive) ?? [];
        directives.set(directive, [...others, argumentOf(member.slice(token.length))]);
      }
    }
    return new CacheControl(directives);
  }

  /** Directives that are known already, such as those of a targeted field. */
  static from(entries: Iterable<readonly [name: string, argument: string | undefined]>): CacheControl {
    return new CacheControl(new Map([...entries].map(([name, argument]) => [name.toLowerCase(), [argument]])));
  }

  get isEmpty(): boolean {
    return this.directives.size === 0;
  }

  has(name: string): boolean {
    return this.directives.has(name);
  }

  /** Whether the directive is present without an argument, for `max-stale`. */
  isBare(name: string): boolean {
    return this.directives.get(name)?.every((argument) => argument === undefined) ?? false;
  }

  /**
   * The time of a directive in whole seconds, {@link MAX_DELTA_SECONDS} at most; `undefined` when it is not present. 0
   * when it is not a number, or when the directive is present with different times (section 4.2.1).
   */
  seconds(name: string): number | undefined {
    const given = this.directives.get(name);
    if (given === undefined) {
      return undefined;
    }
    const times = new Set(given.map(secondsOf));
    return times.size === 1 ? [...times][0] : 0;
  }

  /** The field names of `no-cache="…"` or `private="…"`, in lower case; empty when the directive names none. */
  fieldNames(name: string): readonly string[] {
    const given = this.directives.get(name) ?? [];
    return given.flatMap((argument) =>
      typeof argument === 'string'
        ? argument
            .split(',')
            .map((field) => field.trim().toLowerCase())
            .filter(Boolean)
        : [],
    );
  }

  /** Whether the directive forbids the response as a whole: it is present, and not only with field names. */
  appliesToAll(name: string): boolean {
    return this.directives.get(name)?.some((argument) => typeof argument !== 'string') ?? false;
  }
}

function argumentOf(rest: string): Argument {
  if (rest === '') {
    return undefined;
  }
  const text = rest.slice(1);
  const isWellFormed =
    rest.startsWith('=') && (LEADING_TOKEN.exec(text)?.[0] === text || /^"(?:[^"\\]|\\.)*"$/s.test(text));
  return isWellFormed ? unquoted(text) : MALFORMED;
}

function secondsOf(argument: Argument): number {
  return typeof argument === 'string' && /^\d+$/.test(argument) ? Math.min(Number(argument), MAX_DELTA_SECONDS) : 0;
}
