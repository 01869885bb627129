import type { ReadAhead } from '../local/index.js';
import { CacheContext } from './vary-by.js';

/** A key that is expected to be asked for next, and what becomes of its value. */
export interface Companion extends ReadAhead {
  readonly key: string;
}

/** The option `companions` of a namespace. */
interface CompanionSettings {
  /** The share of the earlier misses of a key that its companion has followed, from 0 to 1. */
  readonly confidence: number;
  /** How many companions are read with one miss at most. */
  readonly most: number;
}

/** How many misses later a key still counts as a follower. */
const WINDOW = 4;
/** A follower that was seen once may be a coincidence. */
const MIN_SUPPORT = 2;
const ROWS_PER_ENTRY = 20;
/** The gate closes below this share of companions that were used ... */
const MIN_USED_SHARE = 0.5;
/** ... among so many of the last ones; with fewer than {@link MIN_JUDGED} it stays open. */
const JUDGED = 2000;
const MIN_JUDGED = 100;
/** While the gate is closed, one miss of this number reads its companions nevertheless. */
const PROBE_EVERY = 50;

const NONE: readonly Companion[] = [];

/**
 * Learns which keys L1 misses soon after another one, and names them when that key is missed again: its companions. They
 * are read in the same command as the key, so a session that asks for one entry after the other waits for Redis once. The
 * idea is that of MITHRIL (Yang et al., SoCC 2017).
 *
 * Only misses of L1 teach; a hit does nothing. A companion that was read is no miss any more, so it counts as a follower
 * in advance, and that is taken back when its value leaves L1 unused. While less than half of the last companions were
 * used, a miss reads none, except now and then.
 *
 * The window of the last misses belongs to the process, or to a request that runs in `CacheContext.run`: requests that
 * run at the same time are then told apart.
 */
export class Companions {
  private readonly table = new FollowerTable();
  private readonly ownWindow: number[] = [];
  private readonly windows = new WeakMap<object, number[]>();
  private readonly judged = new Uint8Array(JUDGED);
  private judgements = 0;
  private usedOfJudged = 0;
  private sinceProbe = 0;

  constructor(
    private readonly settings: CompanionSettings,
    /** The number of entries in L1, which bounds what is learned. */
    private readonly localEntries: () => number,
    private readonly onCount: (what: 'read' | 'used' | 'wasted') => void,
  ) {}

  /** The number of keys whose followers are known or may be. */
  get rows(): number {
    return this.table.rows;
  }

  /** Learns from a miss of L1. @returns the number of the key in the table */
  learn(key: string): number {
    const print = fingerprint(key);
    const window = this.window();
    for (const earlier of window) {
      if (earlier !== print) {
        this.table.addFollower(earlier, key);
      }
    }
    if (window.push(print) > WINDOW) {
      window.shift();
    }
    this.table.addMiss(print, this.localEntries() * ROWS_PER_ENTRY);
    return print;
  }

  /**
   * Learns from a miss of L1.
   * @param isMissing whether L1 would keep the value of another key, and does not have it
   * @returns the keys to read with this one
   */
  after(key: string, isMissing: (key: string) => boolean): readonly Companion[] {
    const print = this.learn(key);
    const expected = this.table.followersOf(print, this.settings);
    if (expected.length === 0 || !this.isOpen()) {
      return NONE;
    }
    expected.forEach((follower) => this.table.addFollower(print, follower));
    return expected.filter(isMissing).map((follower) => {
      this.onCount('read');
      return { key: follower, isKept: false, onJudged: (isUsed) => this.judge(print, follower, isUsed) };
    });
  }

  private judge(print: number, follower: string, isUsed: boolean): void {
    this.onCount(isUsed ? 'used' : 'wasted');
    if (!isUsed) {
      this.table.takeBack(print, follower);
    }
    const place = this.judgements++ % JUDGED;
    this.usedOfJudged += Number(isUsed) - this.judged[place]!;
    this.judged[place] = Number(isUsed);
  }

  private isOpen(): boolean {
    if (this.judgements < MIN_JUDGED || this.usedOfJudged >= Math.min(this.judgements, JUDGED) * MIN_USED_SHARE) {
      return true;
    }
    this.sinceProbe = (this.sinceProbe + 1) % PROBE_EVERY;
    return this.sinceProbe === 0;
  }

  private window(): number[] {
    const request = CacheContext.current;
    if (request === undefined) {
      return this.ownWindow;
    }
    const window = this.windows.get(request) ?? [];
    this.windows.set(request, window);
    return window;
  }
}

/** The followers that are remembered of one key. */
const FOLLOWERS = 4;
const FIRST_ROWS = 64;
/** A key may be in any of so many rows, which follow each other. */
const WAYS = 4;
/** A table of this size takes about 11 MB, and the texts of its keys. */
const MOST_ROWS = 2 ** 18;
/** With so many misses the counts of a row are halved, so that later ones weigh more. */
const MAX_MISSES = 32;

/**
 * The followers of keys, in columns: a row has the fingerprint of a key, how often it was missed, its followers, and how
 * often each of them was missed next. The fingerprint also says which few rows the key may be in; a new key for which all
 * of them are taken halves the counts of the least missed one, and takes its place once they are low.
 */
class FollowerTable {
  private prints: Uint32Array = new Uint32Array(FIRST_ROWS);
  private misses: Uint8Array = new Uint8Array(FIRST_ROWS);
  private counts: Uint8Array = new Uint8Array(FIRST_ROWS * FOLLOWERS);
  private followers = noFollowers(FIRST_ROWS);
  private usedRows = 0;

  get rows(): number {
    return this.prints.length;
  }

  /** Counts a miss of a key. @param mostRows the table does not grow beyond this number of rows */
  addMiss(print: number, mostRows: number): void {
    if (this.usedRows * 2 > this.rows && this.rows * 2 <= Math.min(mostRows, MOST_ROWS)) {
      this.grow();
    }
    let row = this.rowOf(print);
    if (row < 0) {
      row = this.leastMissed(print);
      if (this.misses[row]! > 1) {
        this.halve(row);
        return;
      }
      this.usedRows += this.prints[row] === 0 ? 1 : 0;
      this.prints[row] = print;
      this.misses[row] = 0;
      this.counts.fill(0, row * FOLLOWERS, (row + 1) * FOLLOWERS);
    }
    if (this.misses[row] === MAX_MISSES) {
      this.halve(row);
    }
    this.misses[row]!++;
  }

  /** Counts a follower of a key. A new one takes the place of one that follows in less than half of the cases. */
  addFollower(print: number, follower: string): void {
    const row = this.rowOf(print);
    if (row < 0) {
      return;
    }
    const misses = this.misses[row]!;
    let least = row * FOLLOWERS;
    for (let at = least; at < (row + 1) * FOLLOWERS; at++) {
      if (this.counts[at]! > 0 && this.followers[at] === follower) {
        this.counts[at] = Math.min(this.counts[at]! + 1, misses);
        return;
      }
      least = this.counts[at]! < this.counts[least]! ? at : least;
    }
    if (this.counts[least] === 0) {
      this.followers[least] = follower;
      this.counts[least] = 1;
    } else if (this.counts[least]! * 2 <= misses) {
      this.counts[least]!--;
    }
  }

  /** Takes one count of a follower back. */
  takeBack(print: number, follower: string): void {
    const first = this.rowOf(print) * FOLLOWERS;
    const index = first < 0 ? -1 : this.followers.slice(first, first + FOLLOWERS).indexOf(follower);
    if (index >= 0 && this.counts[first + index]! > 0) {
      this.counts[first + index]!--;
    }
  }

  /** The followers of a key that has just been missed, the most frequent first. */
  followersOf(print: number, { confidence, most }: CompanionSettings): string[] {
    const row = this.rowOf(print);
    if (row < 0) {
      return [];
    }
    const least = Math.max(MIN_SUPPORT, confidence * (this.misses[row]! - 1));
    return Array.from({ length: FOLLOWERS }, (_, index) => row * FOLLOWERS + index)
      .filter((at) => this.counts[at]! >= least)
      .sort((one, other) => this.counts[other]! - this.counts[one]!)
      .slice(0, most)
      .map((at) => this.followers[at] as string);
  }

  /** The row of a key; -1: it has none. */
  private rowOf(print: number): number {
    const first = this.firstRow(print);
    const way = this.prints.subarray(first, first + WAYS).indexOf(print);
    return way < 0 ? -1 : first + way;
  }

  /** The row that a new key may take: a free one has no misses. */
  private leastMissed(print: number): number {
    const first = this.firstRow(print);
    let least = first;
    for (let row = first; row < first + WAYS; row++) {
      least = this.misses[row]! < this.misses[least]! ? row : least;
    }
    return least;
  }

  private firstRow(print: number): number {
    return print & (this.rows - WAYS);
  }

  private halve(row: number): void {
    this.misses[row]! >>= 1;
    for (let at = row * FOLLOWERS; at < (row + 1) * FOLLOWERS; at++) {
      this.counts[at]! >>= 1;
    }
  }

  private grow(): void {
    const { prints, misses, counts, followers } = this;
    const rows = prints.length * 2;
    this.prints = new Uint32Array(rows);
    this.misses = new Uint8Array(rows);
    this.counts = new Uint8Array(rows * FOLLOWERS);
    this.followers = noFollowers(rows);
    for (const [row, print] of prints.entries()) {
      if (print !== 0) {
        const place = this.leastMissed(print);
        this.prints[place] = print;
        this.misses[place] = misses[row]!;
        for (let index = 0; index < FOLLOWERS; index++) {
          this.counts[place * FOLLOWERS + index] = counts[row * FOLLOWERS + index]!;
          this.followers[place * FOLLOWERS + index] = followers[row * FOLLOWERS + index];
        }
      }
    }
  }
}

function noFollowers(rows: number): (string | undefined)[] {
  return Array.from({ length: rows * FOLLOWERS }, () => undefined);
}

/** FNV-1a, 32 bits, mixed once more so that its last bits differ too; never 0. */
function fingerprint(key: string): number {
  let hash = 0x811c9dc5;
  for (let at = 0; at < key.length; at++) {
    hash = Math.imul(hash ^ key.charCodeAt(at), 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return (hash ^ (hash >>> 13)) >>> 0 || 1;
}
