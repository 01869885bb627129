import { stampNamed, type Stamp } from '../codec/index.js';
import type { ResolvedNamespace, SchemaResult, StandardSchemaV1 } from '../config/index.js';
import type { SchemaMismatch } from '../events/index.js';
import type { EntryOptions } from './entry-options.js';
import { withinTime } from './loader-run.js';

/** The name under which an entry carries the version of its namespace. No tag begins with `#`. */
const VERSION = '#version';

/** The version of a namespace as an entry carries it: `1` is not `'1'`. */
export function versionStamps({ version }: Pick<ResolvedNamespace, 'version'>): readonly Stamp[] {
  return version === undefined ? [] : [[VERSION, JSON.stringify(version)]];
}

/**
 * What a value read from Redis comes to. `foreign`: it is of another version. In a box: a value may look like a promise.
 * `isAsRead`: nobody else's code has had it, which may have changed it in place.
 */
export type Checked = { readonly value: unknown; readonly isAsRead: boolean } | 'foreign' | 'mismatch';

/** What may be asked of one value. */
type Wishes = Pick<EntryOptions<never>, 'validate'> & { readonly schema?: StandardSchemaV1 | undefined };

type OnMismatch = (key: string, mismatch: SchemaMismatch) => void;

const FOREIGN: Checked = 'foreign';
const MISMATCH: Checked = 'mismatch';

/**
 * Whether a value is what the code of today expects: of its version, or migrated to it, and as its schema wants it. What is not
 * is a miss. Answers at once unless the schema or `migrate` is asynchronous, and in bounded time then. Never throws.
 */
export class ValueCheck {
  private constructor(
    private readonly policy: ResolvedNamespace,
    private readonly schema: StandardSchemaV1 | undefined,
    private readonly isCheckedBefore: boolean,
    private readonly limitMs: number,
    private readonly onMismatch: OnMismatch,
  ) {}

  static of(policy: ResolvedNamespace, wishes: Wishes, limitMs: number, onMismatch: OnMismatch): ValueCheck {
    const { schema = policy.schema, validate = policy.validate } = wishes;
    return new ValueCheck(policy, schema, validate === 'both', limitMs, onMismatch);
  }

  /** Of a value that comes from Redis. */
  read(key: string, value: unknown, stamps: readonly Stamp[]): Checked | Promise<Checked> {
    const { version, migrate } = this.policy;
    const from = versionOf(stamps);
    if (from === version) {
      return this.schema === undefined ? { value, isAsRead: true } : this.validate(key, value, 'read');
    }
    if (migrate === undefined || version === undefined || from === null) {
      return FOREIGN;
    }
    return this.attempt(
      () => migrate(value, from),
      (migrated) => this.validate(key, migrated, 'read'),
      () => {
        this.onMismatch(key, { during: 'read', cause: 'migrate' });
        return FOREIGN;
      },
    );
  }

  /** Whether a value may be stored: it is as its schema wants it, or nobody asks before the next read. */
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
      (result) => (result.issues === undefined ? { value: result.value, isAsRead: false } : refuse('issues')),
      () => refuse('threw'),
    );
  }

  /** Somebody else's code, which may throw, now or later, or do its work later, or never. */
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
          )
            .then((inTime) => (inTime === undefined ? onError() : then(inTime.value)))
            .catch(onError)
        : then(result);
    } catch {
      return onError();
    }
  }
}

/** The checks of one namespace's values. */
export class ValueChecks {
  readonly ofNamespace: ValueCheck;

  constructor(
    private readonly policy: ResolvedNamespace,
    /** The most that an asynchronous schema or `migrate` may take, in milliseconds; then it counts as one that threw. */
    private readonly limitMs: number,
    private readonly onMismatch: OnMismatch,
  ) {
    this.ofNamespace = ValueCheck.of(policy, {}, limitMs, onMismatch);
  }

  /** Of a call with options of its own. */
  of(wishes: Wishes | undefined): ValueCheck {
    return wishes?.schema === undefined && wishes?.validate === undefined
      ? this.ofNamespace
      : ValueCheck.of(this.policy, wishes, this.limitMs, this.onMismatch);
  }
}

/** `undefined` for an entry without a version, `null` for one whose version can't be read: no namespace has that. */
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
