import { stampNamed, type Stamp } from '../codec/index.js';
import type { ResolvedNamespace, SchemaResult, StandardSchemaV1 } from '../config/index.js';
import type { SchemaMismatch } from '../events/index.js';
import { withinTime } from '../redis/index.js';
import { isObject, isOfOwnClass } from '../values/index.js';
import type { EntryOptions } from './entry-options.js';

/** The name under which an entry carries the version of its namespace. No tag begins with `#`. */
const VERSION = '#version';

/** The version of a namespace as an entry carries it. The type counts: `1` is not `'1'`. */
export function versionStamps({ version }: Pick<ResolvedNamespace, 'version'>): readonly Stamp[] {
  return version === undefined ? [] : [[VERSION, JSON.stringify(version)]];
}

/**
 * The result of the check of a value from Redis. `other-version`: the value is of another version. A value is wrapped in
 * an object, because it may look like a promise. `isAsRead`: neither a schema nor `migrate` has had it, and so changed it
 * in place.
 */
export type Checked = { readonly value: unknown; readonly isAsRead: boolean } | 'other-version' | 'mismatch';

/** The options that a call may set for the check of a value. */
type CheckOptions = Pick<EntryOptions<never>, 'validate'> & { readonly schema?: StandardSchemaV1 | undefined };

type OnMismatch = (key: string, mismatch: SchemaMismatch) => void;

const OTHER_VERSION: Checked = 'other-version';
const MISMATCH: Checked = 'mismatch';

/**
 * Checks whether a value is what the present code expects: of its version, or migrated to it, and matching its schema.
 * A value that is not is a miss. The result is a promise only if the schema or `migrate` is asynchronous; then the time
 * is limited. Never throws.
 */
export class ValueCheck {
  private constructor(
    private readonly policy: ResolvedNamespace,
    private readonly schema: StandardSchemaV1 | undefined,
    private readonly isCheckedBefore: boolean,
    private readonly limitMs: number,
    private readonly onMismatch: OnMismatch,
  ) {}

  static of(policy: ResolvedNamespace, options: CheckOptions, limitMs: number, onMismatch: OnMismatch): ValueCheck {
    const { schema = policy.schema, validate = policy.validate } = options;
    return new ValueCheck(policy, schema, validate === 'both', limitMs, onMismatch);
  }

  read(key: string, value: unknown, stamps: readonly Stamp[]): Checked | Promise<Checked> {
    const { version, migrate } = this.policy;
    const from = versionOf(stamps);
    if (from === version) {
      return this.schema === undefined ? { value, isAsRead: true } : this.validate(key, value, 'read');
    }
    if (migrate === undefined || version === undefined || from === null) {
      return OTHER_VERSION;
    }
    return this.attempt(
      () => migrate(value, from),
      (migrated) => this.validate(key, migrated, 'read'),
      () => {
        this.onMismatch(key, { during: 'read', cause: 'migrate' });
        return OTHER_VERSION;
      },
    );
  }

  /** Whether a value may be stored: it matches its schema, or it is checked only when it is read. */
  admits(key: string, value: unknown): boolean | Promise<boolean> {
    if (!this.isCheckedBefore) {
      return true;
    }
    const checked = this.validate(key, value, 'store');
    return checked instanceof Promise ? checked.then((result) => result !== MISMATCH) : checked !== MISMATCH;
  }

  private validate(key: string, value: unknown, during: 'read' | 'store'): Checked | Promise<Checked> {
    const { schema } = this;
    if (schema === undefined) {
      return { value, isAsRead: false };
    }
    const refuse = (cause: SchemaMismatch['cause']): Checked => {
      this.onMismatch(key, { during, cause });
      return MISMATCH;
    };
    return this.attempt<SchemaResult<unknown>>(
      () => schema['~standard'].validate(value),
      (result) => {
        if (result.issues !== undefined) {
          return refuse('issues');
        }
        return losesClass(value, result.value) ? refuse('class') : { value: result.value, isAsRead: false };
      },
      () => refuse('threw'),
    );
  }

  /** Runs a function of the application, which may throw, synchronously or later, or take long, or never end. */
  private attempt<Result>(
    run: () => Result | Promise<Result>,
    then: (result: Result) => Checked | Promise<Checked>,
    onError: () => Checked,
  ): Checked | Promise<Checked> {
    try {
      const result = run();
      return result instanceof Promise
        ? withinTime(
            result.then((value) => ({ value })),
            this.limitMs,
            undefined,
            true,
          )
            .then((inTime) => (inTime === undefined ? onError() : then(inTime.value)))
            .catch(onError)
        : then(result);
    } catch {
      return onError();
    }
  }
}

/**
 * Whether an instance of a class of the application has become something else in the output of a schema, most often a
 * plain object, on which `@Exclude()` has no effect. A part that the output does not have is not looked at.
 */
function losesClass(value: unknown, output: unknown, seen = new Set<object>()): boolean {
  if (value === output || output === undefined || !isObject(value) || seen.has(value)) {
    return false;
  }
  seen.add(value);
  if (isOfOwnClass(value)) {
    return !isObject(output) || Object.getPrototypeOf(output) !== Object.getPrototypeOf(value);
  }
  const [parts, outputs] = [partsOf(value), new Map(partsOf(output))];
  return parts.some(([place, part]) => losesClass(part, outputs.get(place), seen));
}

/** The parts of an object, each with its place: a property, a key of a `Map`, a position in a `Set`. */
function partsOf(value: unknown): (readonly [unknown, unknown])[] {
  if (value instanceof Set) {
    return [...value].map((part, index) => [index, part]);
  }
  return value instanceof Map ? [...value] : isObject(value) && !ArrayBuffer.isView(value) ? Object.entries(value) : [];
}

export class ValueChecks {
  readonly ofNamespace: ValueCheck;

  constructor(
    private readonly policy: ResolvedNamespace,
    /** The longest time of an asynchronous schema or `migrate`, in milliseconds; then it counts as one that threw. */
    private readonly limitMs: number,
    private readonly onMismatch: OnMismatch,
  ) {
    this.ofNamespace = ValueCheck.of(policy, {}, limitMs, onMismatch);
  }

  /** The check for a call with options of its own. */
  of(options: CheckOptions | undefined): ValueCheck {
    return options?.schema === undefined && options?.validate === undefined
      ? this.ofNamespace
      : ValueCheck.of(this.policy, options, this.limitMs, this.onMismatch);
  }
}

/**
 * The version in the stamps of an entry: `undefined` for an entry without a version, `null` for one whose version can't
 * be read, which no namespace has.
 */
export function versionOf(stamps: readonly Stamp[]): string | number | null | undefined {
  const text = stampNamed(stamps, VERSION);
  if (text === undefined) {
    return undefined;
  }
  try {
    return JSON.parse(text) as string | number;
  } catch {
    return null;
  }
}
