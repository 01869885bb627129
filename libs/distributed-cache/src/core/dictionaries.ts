import {
  type CompressedBytes,
  type Dictionaries,
  type Dictionary,
  dictionaryOf,
  EntryCodec,
  MAX_DICTIONARY_BYTES,
  trainDictionary,
} from '../codec/index.js';
import type { ResolvedNamespace } from '../config/index.js';
import { TierReplyError } from '../errors/index.js';
import type { KeyLayout } from '../keys/index.js';
import {
  beginTraining,
  expireDictionary,
  putDictionary,
  readCurrentDictionary,
  readDictionary,
  type Request,
} from '../redis/index.js';
import { BytesValue } from '../values/index.js';
import type { CacheRuntime, RedisRuntime } from './runtime.js';

/** The values of which a dictionary is made, and of which each ratio is measured. */
const SAMPLE_VALUES = 200;
const MAX_SAMPLE_BYTES = 2048;
/** Values that are stored before the next attempt, after one that has given no dictionary. */
const VALUES_BETWEEN_ATTEMPTS = 2000;
/** A dictionary whose ratio has fallen to this part of its first one is replaced, if another is better. */
const LEAST_OF_FIRST_RATIO = 0.8;
/** How often a process that stores values asks which dictionary is the current one, in milliseconds. */
const CHECK_MS = 60_000;
/** The longest time for which a dictionary is used without an answer that it is the current one, in milliseconds. */
const TRUST_MS = 1_800_000;
/** How long no other process trains, in milliseconds. */
const TRAINING_MS = 60_000;
/** How long a dictionary that can't be read counts as missing, in milliseconds. */
const MISSING_MS = 1000;
/** The dictionaries of one namespace that a process keeps for reading, besides the current one. */
const MAX_HELD = 4;
/** The ids whose reading is remembered: entries may name any id. */
const MAX_ASKED = 16;

/**
 * The dictionaries of one namespace, which its processes share through Redis. With `compression.dictionary` the first
 * 200 values that a process stores become samples. One process makes a dictionary of them and stores it under its id,
 * without a TTL, and the id as that of the current one; the others take it over within a minute of their next value. An
 * entry names its dictionary, so that each can be read, and a process keeps the last ones.
 *
 * A dictionary that is replaced lives on as long as the entries that were written with it. One that Redis has lost is
 * stored again by the next process that has it; until then its entries are misses elsewhere. All of this happens in the
 * background, and no fault of it reaches a caller: values are then compressed without a dictionary, and health names the
 * refusal.
 */
export class SharedDictionaries implements Dictionaries {
  private readonly codec: EntryCodec;
  private readonly held = new Map<string, Dictionary>();
  private readonly asked = new Map<string, { readonly answer: Promise<Dictionary | undefined>; untilMs: number }>();
  private current: Dictionary | undefined;
  private confirmedAtMs = -Infinity;
  private checkedAtMs = -Infinity;
  private samples: Buffer[] | undefined = [];
  private valuesToSkip = 0;
  private isForbidden = false;
  private watch = new RatioWatch();
  /** The longest life of an entry that was written with a dictionary. */
  private longestLifeMs: number;

  constructor(
    private readonly redis: RedisRuntime,
    private readonly layout: KeyLayout,
    { encrypts, encryptionKeys, ttlMs, graceMs }: ResolvedNamespace,
    private readonly runtime: Pick<CacheRuntime, 'clock' | 'outside'>,
  ) {
    this.longestLifeMs = ttlMs + graceMs;
    this.codec = new EntryCodec({
      encrypts,
      encryptionKeys,
      maxValueBytes: 2 * MAX_DICTIONARY_BYTES,
      compression: { thresholdBytes: 0, codec: 'deflate' },
    });
  }

  compress(raw: Buffer): CompressedBytes | undefined {
    const nowMs = this.runtime.clock.nowMs();
    if (nowMs - this.checkedAtMs >= CHECK_MS) {
      this.runtime.outside(() => void this.follow());
    }
    this.sample(raw);
    if (this.current === undefined || nowMs - this.confirmedAtMs > TRUST_MS) {
      return undefined;
    }
    const compressed = this.current.compress(raw);
    if (this.watch.hasFallen(raw.length, compressed.bytes.length)) {
      this.samples ??= [];
    }
    return compressed;
  }

  find(id: string): Dictionary | undefined | Promise<Dictionary | undefined> {
    return this.current?.id === id ? this.current : (this.held.get(id) ?? this.read(id));
  }

  /** An entry is stored that needs its dictionary for so long, in milliseconds. */
  guard(lifeMs: number): void {
    this.longestLifeMs = Math.max(this.longestLifeMs, lifeMs);
  }

  private sample(raw: Buffer): void {
    const { samples } = this;
    if (samples === undefined || this.valuesToSkip-- > 0) {
      return;
    }
    samples.push(Buffer.from(raw.subarray(0, MAX_SAMPLE_BYTES)));
    if (samples.length === SAMPLE_VALUES) {
      this.samples = undefined;
      this.runtime.outside(() => void this.train(samples));
    }
  }

  /** Makes a dictionary, unless another process does or has done so. Never rejects. */
  private async train(samples: readonly Buffer[]): Promise<void> {
    const before = this.current;
    try {
      await this.follow();
      const isOurs = this.current === before && (await this.ask(beginTraining(this.keyOf('training'), TRAINING_MS)));
      const trained = isOurs ? await trainDictionary(samples, before) : undefined;
      if (trained !== undefined) {
        await this.store(trained);
        this.adopt(trained);
      }
    } catch (error) {
      this.isForbidden = error instanceof TierReplyError && error.isRefusal;
    }
    this.watch.acceptRatio();
    if (this.current === undefined) {
      this.valuesToSkip = VALUES_BETWEEN_ATTEMPTS;
      this.samples = [];
    }
  }

  /** Takes over the current dictionary, or stores again what Redis has lost of the one of this process. Never rejects. */
  private async follow(): Promise<void> {
    this.checkedAtMs = this.runtime.clock.nowMs();
    const { current } = this;
    try {
      if (this.isForbidden) {
        await this.ask(beginTraining(this.keyOf('training'), 1)); // throws as long as the right is missing
        this.isForbidden = false;
      }
      const { id, isKept } = await this.ask(readCurrentDictionary(this.keysOf(current?.id ?? '')), 'GET DICTIONARY');
      const other = id === undefined || id === current?.id ? undefined : await this.find(id);
      if (other !== undefined) {
        this.adopt(other);
      } else if (current !== undefined) {
        if (id !== current.id || !isKept) {
          await this.store(current);
        }
        this.confirmedAtMs = this.runtime.clock.nowMs();
      }
    } catch {
      // The connection has reported it, and the next check asks again.
    }
  }

  private adopt(dictionary: Dictionary): void {
    const before = this.current;
    if (before?.id !== dictionary.id) {
      this.current = dictionary;
      this.samples = undefined;
      this.watch = new RatioWatch();
      if (before !== undefined) {
        keepLast(this.held, before.id, before, MAX_HELD);
        this.expire(before.id);
      }
    }
    this.confirmedAtMs = this.runtime.clock.nowMs();
  }

  private async store(dictionary: Dictionary): Promise<void> {
    const keys = this.keysOf(dictionary.id);
    const nowMs = this.redis.connection.serverNowMs(keys.dictionaryKey);
    const header = { createdAtMs: nowMs, expiresAtMs: nowMs, loadMs: 0, stamps: [] };
    const payload = await this.codec.encode(new BytesValue({}, dictionary.bytes)).payload();
    const { bytes } = this.codec.seal(header, payload, keys.dictionaryKey);
    const before = await this.ask(putDictionary(keys, dictionary.id, bytes));
    if (before !== undefined && before !== dictionary.id) {
      this.expire(before);
    }
  }

  private expire(id: string): void {
    const lifeMs = Math.ceil(this.longestLifeMs + 2 * TRUST_MS); // others use it until they learn of the next one
    this.ask(expireDictionary(this.keyOf(id), lifeMs)).catch(() => {}); // it then stays until it is evicted
  }

  /** Reads a dictionary, once for all that wait for it. Never rejects. */
  private read(id: string): Promise<Dictionary | undefined> {
    const nowMs = this.runtime.clock.nowMs();
    const asked = this.asked.get(id);
    if (asked !== undefined && nowMs < asked.untilMs) {
      return asked.answer;
    }
    const answer = this.runtime.outside(() => this.readNow(id));
    keepLast(this.asked, id, { answer, untilMs: nowMs + MISSING_MS }, MAX_ASKED);
    return answer;
  }

  private async readNow(id: string): Promise<Dictionary | undefined> {
    try {
      const key = this.keyOf(id);
      const bytes = await this.ask(readDictionary(key), 'GET DICTIONARY');
      const decoded = bytes && (await this.codec.decode(this.codec.open(bytes, key).payload));
      const dictionary = decoded?.value instanceof BytesValue ? dictionaryOf(decoded.value.body, id) : undefined;
      if (dictionary !== undefined) {
        keepLast(this.held, id, dictionary, MAX_HELD);
      }
      return dictionary;
    } catch {
      return undefined; // the entry that names it becomes a miss, with this as its cause
    }
  }

  private ask<Result>(request: Request<Result>, operation = 'DICTIONARY'): Promise<Result> {
    return this.redis.connection.request(operation, this.keyOf('current'), () => request);
  }

  private keysOf(id: string): { readonly currentKey: string; readonly dictionaryKey: string } {
    return { currentKey: this.keyOf('current'), dictionaryKey: this.keyOf(id) };
  }

  private keyOf(id: string): string {
    return this.layout.dictionaryKey(id);
  }
}

/** Compares how much a dictionary saves now with what it saved at first. */
class RatioWatch {
  private rawBytes = 0;
  private storedBytes = 0;
  private values = 0;
  private ratio = 0;
  private firstRatio = 0;

  /** Counts one value. @returns whether the ratio of the last values has fallen too far */
  hasFallen(rawBytes: number, storedBytes: number): boolean {
    this.rawBytes += rawBytes;
    this.storedBytes += storedBytes;
    if (++this.values < SAMPLE_VALUES) {
      return false;
    }
    this.ratio = this.rawBytes / this.storedBytes;
    this.firstRatio ||= this.ratio;
    this.rawBytes = this.storedBytes = this.values = 0;
    return this.ratio < LEAST_OF_FIRST_RATIO * this.firstRatio;
  }

  /** No better dictionary was found: the ratio of the last values is what others are compared with from now on. */
  acceptRatio(): void {
    this.firstRatio = this.ratio;
  }
}

/** Adds an item to a map that keeps the last `most` of them. */
function keepLast<Key, Item>(map: Map<Key, Item>, key: Key, item: Item, most: number): void {
  map.delete(key);
  map.set(key, item);
  for (const oldest of [...map.keys()].slice(0, -most)) {
    map.delete(oldest);
  }
}
