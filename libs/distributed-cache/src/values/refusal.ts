import { type RefusalReason, ValueRefusedError } from '../errors/index.js';

const STEPS_SHOWN = 8;

/**
 * Why a value is refused, and the way to it: every level of a walk adds its step while the refusal passes
 * through it, so that a walk without a refusal pays nothing for paths.
 */
export class Refusal extends Error {
  readonly #steps: string[] = [];

  constructor(
    readonly reason: RefusalReason,
    readonly what: string,
  ) {
    super(what);
  }

  /** Adds the step that leads to what has been refused so far. */
  via(step: string): void {
    this.#steps.unshift(step);
  }

  toError(): ValueRefusedError {
    const steps = this.#steps.slice(0, STEPS_SHOWN);
    const more = this.#steps.length > STEPS_SHOWN ? '…' : '';
    return new ValueRefusedError(this.reason, `${this.what} at value${steps.join('')}${more}`);
  }
}

/** A property as a step. What does not look like a name out of source code may be data, and is not shown. */
export function propertyStep(key: string): string {
  return /^[A-Za-z_$]{1,40}$/.test(key) ? `.${key}` : '[…]';
}

/**
 * Everything that reading a foreign value can throw (a getter, a proxy, a `toJSON`) becomes a refusal.
 * Its message stays behind: it may quote the value.
 */
export function toRefusedError(error: unknown): ValueRefusedError {
  if (error instanceof ValueRefusedError) {
    return error;
  }
  return error instanceof Refusal ? error.toError() : new ValueRefusedError('unserializable', 'reading it failed');
}
