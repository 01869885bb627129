import { type RefusalReason, ValueRefusedError } from '../errors/index.js';

const STEPS_SHOWN = 8;

/** What to do about a part for which there is no class to declare and no option. */
const PLAIN_DATA = 'Return plain data in its place, or keep such results out of the cache with cacheIf';

/**
 * The reason why a value is refused, and the path to the refused part. Each level of a walk adds its step while the
 * exception passes through it, so a walk without a refusal spends nothing on paths.
 */
export class Refusal extends Error {
  readonly #steps: string[] = [];
  /** The innermost instance of which the refused part is a part. */
  #owner: { readonly described: string; readonly remedy: string } | undefined;

  constructor(
    readonly reason: RefusalReason,
    readonly what: string,
    /** The mistake, and what to write instead. */
    private readonly remedy?: string,
    private readonly className?: string,
  ) {
    super(what);
  }

  /** Adds the step that leads to the refused part. */
  via(step: string): void {
    this.#steps.unshift(step);
  }

  /** Names an instance of which the refused part is a part: its class may be the one to register. */
  within(described: string, remedy: string): this {
    this.#owner ??= { described, remedy };
    return this;
  }

  toError(): ValueRefusedError {
    const steps = this.#steps.slice(0, STEPS_SHOWN);
    const more = this.#steps.length > STEPS_SHOWN ? '…' : '';
    const owner = this.#owner;
    const place = `value${steps.join('')}${more}${owner === undefined ? '' : ` (a part of ${owner.described})`}`;
    const remedy = this.remedy ?? owner?.remedy ?? (this.reason === 'unserializable' ? PLAIN_DATA : undefined);
    return new ValueRefusedError(
      this.reason,
      `${this.what} at ${place}${remedy === undefined ? '' : `: ${remedy}`}`,
      this.className ?? (owner && withoutArticle(owner.described)),
    );
  }
}

/** The name of a class without the article that `describeType` gives it. */
export function withoutArticle(described: string): string {
  return described.replace(/^an? /, '');
}

/** A property as a step of a path. A name that does not look like one in source code may be data, and is not shown. */
export function propertyStep(key: string): string {
  return /^[A-Za-z_$]{1,40}$/.test(key) ? `.${key}` : '[…]';
}

/**
 * Turns an exception from reading a value (from a getter, a proxy, a `toJSON`) into a refusal. Its message is dropped:
 * it may quote the value.
 */
export function toRefusedError(error: unknown): ValueRefusedError {
  if (error instanceof ValueRefusedError) {
    return error;
  }
  return toRefusal(error).toError();
}

/** A refusal as it is; any other exception as the refusal of a part that can't be read. */
export function toRefusal(error: unknown): Refusal {
  return error instanceof Refusal ? error : new Refusal('unserializable', 'a part that throws when it is read');
}
