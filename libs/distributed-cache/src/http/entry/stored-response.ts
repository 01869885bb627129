import { randomUUID } from 'node:crypto';
import type { Fields } from '../rules/fields.js';

/** A response as the cache keeps it. Times in milliseconds. */
export interface StoredResponse {
  readonly kind: 'response';
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

/** The body of a stored response in another content coding. */
export interface CodedBody {
  readonly kind: 'coded';
  /** Absent when the coding saves too little. */
  readonly body?: Buffer;
}

export type StoredEntry = StoredResponse | VariantIndex | CodedBody;

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
