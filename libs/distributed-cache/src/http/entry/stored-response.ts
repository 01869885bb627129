import { randomUUID } from 'node:crypto';
import { validateHeaderName, validateHeaderValue } from 'node:http';
import { BytesValue, isObject } from '../../values/index.js';
import type { Fields } from '../rules/fields.js';

/** A response as the cache keeps it. Times in milliseconds. */
export interface StoredResponse {
  /** Tells this response from every other one of its key. */
  readonly id: string;
  readonly status: number;
  /** The fields that the handler set, by lower-case name, and `date`. */
  readonly fields: Readonly<Record<string, string | string[]>>;
  readonly body: Buffer;
  /** Its age when it was stored. */
  readonly initialAgeMs: number;
  /** How long it is fresh from then on. */
  readonly freshMs: number;
  /** How long past that it is used while it is refreshed, and when its refresh fails. */
  readonly whileRevalidateMs: number;
  readonly ifErrorMs: number;
  /** The tags that became known with the response: it keeps them when it is validated. Absent without any. */
  readonly tags?: readonly string[] | undefined;
  /** The canonical selecting headers of its request, when its `Vary` names headers that are not part of the key. */
  readonly selection?: string | undefined;
}

/** Kept in place of a response when its URL has several, by headers that the handler named in `Vary`. */
export interface VariantIndex {
  readonly kind: 'variants';
  /** Part of the keys of the variants: without this index none of them is found. */
  readonly id: string;
  readonly names: readonly string[];
}

/**
 * What a key of the cache holds: a response, or the body of one in another content coding, as bytes; or an index. A head
 * that was read from Redis may be anything: {@link responseIn} and {@link codedBodyIn} check it.
 */
export type StoredEntry = BytesValue | VariantIndex;

/** A smaller body is stored as it is: to compress it in each fill and each read costs more than the bytes it saves. */
const MIN_COMPRESSED_BYTES = 2048;

export function entryOf(response: StoredResponse): BytesValue {
  const { body, selection, ...head } = response;
  const isCompressed = head.fields['content-encoding'] !== undefined || body.length < MIN_COMPRESSED_BYTES;
  return new BytesValue({ ...head, ...(selection !== undefined && { selection }) }, body, isCompressed);
}

/** What this process has made of an entry. */
export interface ResponseView {
  readonly response: StoredResponse;
  /** Whether its body is kept in other codings. */
  isCodable?: boolean;
  /** Its answers, ready to be sent. */
  view?: unknown;
}

/** The view of the entry of a response, the same one each time; `undefined` when the entry is another one. */
export function viewIn(entry: StoredEntry | null | undefined): ResponseView | undefined {
  if (!(entry instanceof BytesValue)) {
    return undefined;
  }
  entry.view ??= isResponseHead(entry.head) ? { response: { body: entry.body, ...entry.head } } : null;
  return (entry.view as ResponseView | null) ?? undefined;
}

export function responseIn(entry: StoredEntry | null | undefined): StoredResponse | undefined {
  return viewIn(entry)?.response;
}

const TIMES = ['initialAgeMs', 'freshMs', 'whileRevalidateMs', 'ifErrorMs'] as const;

function isResponseHead(head: Partial<Record<keyof StoredResponse, unknown>>): head is Omit<StoredResponse, 'body'> {
  const { id, status, fields, selection, tags } = head;
  return (
    typeof id === 'string' &&
    (selection === undefined || typeof selection === 'string') &&
    (tags === undefined || (Array.isArray(tags) && tags.every((tag) => typeof tag === 'string' && tag !== ''))) &&
    Number.isInteger(status) &&
    Number(status) >= 200 &&
    Number(status) <= 599 &&
    TIMES.every((name) => Number.isFinite(head[name])) &&
    isObject(fields) &&
    Object.entries(fields).every(([name, value]) => isField(name, value))
  );
}

/** Whether a field can be sent: `node:http` throws at a name or a value that could end the line. */
function isField(name: string, value: unknown): boolean {
  try {
    validateHeaderName(name);
    return [value].flat().every((line) => {
      validateHeaderValue(name, line as string);
      return typeof line === 'string';
    });
  } catch {
    return false;
  }
}

export function isVariantIndex(entry: StoredEntry | null | undefined): entry is VariantIndex {
  if (!isObject(entry) || entry instanceof BytesValue) {
    return false;
  }
  const { kind, id, names } = entry as Partial<Record<keyof VariantIndex, unknown>>;
  const isList = Array.isArray(names) && names.every((name) => typeof name === 'string');
  return kind === 'variants' && typeof id === 'string' && isList;
}

/**
 * The entry of the body of a response in another coding; without a body: the coding saves too little. Its view is that of
 * the whole response.
 */
export function codedEntry({ fields }: StoredResponse, body: Buffer | undefined): BytesValue {
  const head = { coded: body !== undefined, viewBytes: body === undefined ? 0 : BytesValue.viewBytes(fields) };
  return new BytesValue(head, body ?? Buffer.alloc(0), true);
}

export function codedBodyIn(entry: StoredEntry | null | undefined): Buffer | undefined {
  return entry instanceof BytesValue && entry.head['coded'] === true ? entry.body : undefined;
}

export function newId(): string {
  return randomUUID();
}

/** The whole age of a stored response in seconds, for `Age` (RFC 9111 section 5.1). */
export function ageSeconds(response: StoredResponse, residentMs: number): number {
  return Math.max(0, Math.floor((response.initialAgeMs + residentMs) / 1000));
}

/** A copy with other fields and times: a response that was validated. */
export function renewed(
  response: StoredResponse,
  changes: Partial<Pick<StoredResponse, 'initialAgeMs' | 'freshMs' | 'whileRevalidateMs' | 'ifErrorMs'>> & {
    readonly fields: Fields;
  },
): StoredResponse {
  return { ...response, ...changes, fields: changes.fields as StoredResponse['fields'], id: newId() };
}
