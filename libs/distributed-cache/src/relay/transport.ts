import { setTimeout as delay } from 'node:timers/promises';
import { CLEAR, isValidName, TAG_STAMP } from '../keys/index.js';
import type { RedisRuntime } from '../core/runtime.js';

/**
 * Changes of one region, as a transport carries them. Only names are sent, never values. Each batch says what came before
 * it, so a receiver finds out that a batch was lost.
 */
export interface RelayBatch {
  /** The region that has made the changes. */
  readonly region: string;
  /** The position before this batch, the {@link last} of the previous one; absent: earlier changes may have been lost. */
  readonly after?: string;
  /** The position after this batch: an id of the outbox, such as `1700000000000-0`. */
  readonly last: string;
  /** When the oldest change was made, in milliseconds since 1970 by the clock of that region's Redis. */
  readonly atMs: number;
  /** The names of the changed keys without their prefix; none: the batch says only that the relay works. */
  readonly changes: readonly string[];
}

/**
 * Carries batches between regions: at least once, and in order as far as nothing fails. A transport keeps a batch until it
 * has been received; {@link encodeBatch} makes a text of it. Batches may arrive twice, or in the region that has sent
 * them, which ignores them.
 */
export interface RelayTransport {
  /** Hands a batch over. Up to 32 are under way at once. Rejects if it may not arrive: it is published again then. */
  publish(batch: RelayBatch): Promise<void>;
  /**
   * Receives batches, one after the other, until the transport is closed.
   * @param onBatch resolves when the batch is applied; then the transport may forget it. While this region's Redis can't
   * be used, it waits. It rejects when the relay is closed
   * @returns settles when nothing is received any more; the relay calls again after a pause
   */
  subscribe(onBatch: (batch: RelayBatch) => Promise<void>): Promise<void>;
  /** Ends everything. */
  close(): Promise<void>;
}

/** The region in which a transport is used. */
export interface RelaySite {
  /** The name of this region. */
  readonly region: string;
  /** The name of the link: of the other region, if it leads to one. */
  readonly link: string;
  /** First part of every key in this region's Redis. */
  readonly keyPrefix: string;
  /** Aborted when the relay is closed, or another process leads. */
  readonly signal: AbortSignal;
  /** @internal This region's Redis. */
  readonly redis: RedisRuntime;
}

/** Makes the transport of a link. Called each time that this process begins to lead the relay. */
export type RelayLink = (site: RelaySite) => RelayTransport;

const VERSION = 1;
const POSITION = /^\d{1,20}-\d{1,20}$/;

/** Makes the text of a batch, for a transport. */
export function encodeBatch(batch: RelayBatch): string {
  return JSON.stringify({ v: VERSION, ...batch });
}

/** Reads the text of a batch. @returns `undefined` for a text that is none */
export function decodeBatch(text: string): RelayBatch | undefined {
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch {
    return undefined;
  }
  return isBatch(read) ? read : undefined;
}

function isBatch(read: unknown): read is RelayBatch {
  if (typeof read !== 'object' || read === null) {
    return false;
  }
  const { v, region, after, last, atMs, changes } = read as Readonly<Record<string, unknown>>;
  return (
    v === VERSION &&
    typeof region === 'string' &&
    isValidName(region) &&
    (after === undefined || isPosition(after)) &&
    isPosition(last) &&
    typeof atMs === 'number' &&
    Array.isArray(changes) &&
    changes.every(isChange)
  );
}

function isPosition(value: unknown): value is string {
  return typeof value === 'string' && POSITION.test(value);
}

function isChange(value: unknown): value is string {
  const colonAt = typeof value === 'string' ? value.indexOf(':') : -1;
  return colonAt > 0 && isValidName((value as string).slice(0, colonAt)) && (value as string).length > colonAt + 1;
}

/** What is named by a change: an entry, or the stamp of a tag or of a namespace. */
export function kindOf(change: string): 'key' | 'tag' | 'namespace' {
  const name = change.slice(change.indexOf(':') + 1);
  return name === CLEAR ? 'namespace' : name.startsWith(TAG_STAMP) ? 'tag' : 'key';
}

/** Compares two positions: negative when the first is the earlier one. */
export function comparePositions(one: string, other: string): number {
  const [[oneMs = '', oneNumber = ''], [otherMs = '', otherNumber = '']] = [one.split('-'), other.split('-')];
  return Number(oneMs) - Number(otherMs) || Number(oneNumber) - Number(otherNumber);
}

/** Waits for a time in milliseconds, at most until the signal. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await delay(ms, undefined, { ref: false, signal }).catch(() => {}); // it rejects when it is aborted
}
