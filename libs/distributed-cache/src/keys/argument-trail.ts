import { CacheKeyError } from './key-error.js';
import { isIdentifier } from './quoted-text.js';

/** Arguments nested deeper than this are refused before they overflow the stack. */
export const MAX_DEPTH = 100;

export const CHOOSE_KEY = 'pass `key: (…) => string` to the decorator';

/**
 * The path from the argument list to the current value. It detects cycles, limits the depth, and gives a refusal the
 * position of the refused value. A step is an index, a property name, or a remark in brackets.
 */
export class ArgumentTrail {
  private readonly ancestors: object[] = [];
  private readonly steps: (number | string)[] = [];

  /** @param call the call whose arguments these are, for messages */
  constructor(private readonly call: string) {}

  /** Sets which child of the current value comes next. */
  step(next: number | string): void {
    this.steps[this.ancestors.length] = next;
  }

  /** Removes the step: the children are done, or have not begun, and a refusal concerns the current value itself. */
  stepBack(): void {
    this.steps.length = this.ancestors.length;
  }

  enter(value: object): void {
    if (this.ancestors.includes(value)) {
      throw this.refusal('it contains itself', `Pass plain data without cycles, or ${CHOOSE_KEY}`);
    }
    if (this.ancestors.length >= MAX_DEPTH) {
      throw this.refusal(`it is nested deeper than ${MAX_DEPTH} levels`, `Pass flatter data, or ${CHOOSE_KEY}`);
    }
    this.ancestors.push(value);
    this.stepBack();
  }

  leave(): void {
    this.ancestors.pop();
  }

  /** Makes the error for the current value. @param reason the kind of the value, never its content */
  refusal(reason: string, remedy: string): CacheKeyError {
    return new CacheKeyError(`${this.place()} can't be part of a cache key: ${reason}`, remedy);
  }

  private place(): string {
    const [argument = 0, ...rest] = this.steps.slice(0, this.ancestors.length + 1);
    // A path of a hundred steps would hide the reason.
    const path = rest.slice(0, 8).map(printable).join('') + (rest.length > 8 ? '…' : '');
    return `Argument ${Number(argument) + 1} of ${this.call}${path === '' ? '' : ` (at ${path})`}`;
  }
}

/**
 * A step for a message. Property names can be data (a map from e-mail addresses), so only those that look like code are
 * shown.
 */
function printable(step: number | string): string {
  if (typeof step === 'number') {
    return `[${step}]`;
  }
  return isIdentifier(step) && step.length <= 40 ? `.${step}` : '[…]';
}
