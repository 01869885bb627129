import { createHash } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { CorruptEntryError } from '../errors/index.js';
import { compress, type CompressedBytes, type Compressor, decompress, deflateWith } from './compressors.js';

/*
 * A dictionary is a text of the pieces that many values of a namespace have in common. Deflate (RFC 1951) refers to them
 * as if the dictionary stood before each value, so values shrink that are too small to have pieces in common within
 * themselves. A value can be read with the very dictionary only with which it was written.
 */

/** The sizes for which a dictionary is used, in bytes before compression: it says little about a larger value. */
export const DICTIONARY_FROM_BYTES = 128;
export const DICTIONARY_BELOW_BYTES = 32 * 1024;
/** A dictionary of 32 KiB, the most that deflate can use, saves another tenth and takes twice the time. */
export const MAX_DICTIONARY_BYTES = 8 * 1024;
const ID_BYTES = 8;

/** A dictionary with its compressor. */
export class Dictionary {
  /** The first 8 bytes of the SHA-256 of its bytes, in hexadecimal digits. */
  readonly id: string;
  private readonly compressor: Compressor;
  private readonly idBytes: Buffer;

  constructor(readonly bytes: Buffer) {
    this.idBytes = createHash('sha256').update(bytes).digest().subarray(0, ID_BYTES);
    this.id = this.idBytes.toString('hex');
    this.compressor = deflateWith(bytes);
  }

  /** Compresses a value below `DICTIONARY_BELOW_BYTES`, or leaves it as it is when that saves too little. */
  compress(raw: Buffer): CompressedBytes {
    const compressed = compress('dictionary', raw, this.compressor);
    if (compressed instanceof Promise || compressed.compressor === 'none') {
      return { compressor: 'none', bytes: raw };
    }
    return { compressor: 'dictionary', bytes: Buffer.concat([this.idBytes, compressed.bytes]) };
  }

  /** Decompresses the result of {@link compress}. @throws CorruptEntryError (or rejects with it), and nothing else */
  decompress(bytes: Buffer, rawBytes: number): Buffer | Promise<Buffer> {
    return decompress('dictionary', bytes.subarray(ID_BYTES), rawBytes, this.compressor);
  }
}

/** The dictionary of these bytes; `undefined` if they are not those of this id. */
export function dictionaryOf(bytes: Buffer, id: string): Dictionary | undefined {
  const dictionary = bytes.length > MAX_DICTIONARY_BYTES ? undefined : new Dictionary(bytes);
  return dictionary?.id === id ? dictionary : undefined;
}

/** The dictionaries of one namespace. */
export interface Dictionaries {
  /** Compresses a value of a size for which dictionaries are; `undefined` while there is no dictionary to use. */
  compress(raw: Buffer): CompressedBytes | undefined;
  /** The dictionary with this id, from this process or from Redis; `undefined` if neither has it. Never rejects. */
  find(id: string): Dictionary | undefined | Promise<Dictionary | undefined>;
}

/**
 * Decompresses a value with the dictionary that it names. The result is a promise while the dictionary is read, and for
 * a large value.
 * @throws CorruptEntryError (or rejects with it), and nothing else
 */
export function decompressWith(
  dictionaries: Dictionaries | undefined,
  bytes: Buffer,
  rawBytes: number,
): Buffer | Promise<Buffer> {
  const id = bytes.toString('hex', 0, ID_BYTES);
  const read = (dictionary: Dictionary | undefined): Buffer | Promise<Buffer> => {
    if (dictionary === undefined) {
      throw new CorruptEntryError(`it is compressed with the dictionary ${id}, which can't be read`);
    }
    return dictionary.decompress(bytes, rawBytes);
  };
  const found = dictionaries?.find(id);
  return found instanceof Promise ? found.then(read) : read(found);
}

/** The bytes that two places must have in common to count as equal. */
const GRAM_BYTES = 6;
/** A gram is common if so many values contain it: what stands in one value alone is in no dictionary. */
const LEAST_VALUES = 3;
/** More than the bytes of all values that a dictionary is made of. */
const TABLE_BITS = 19;
const TABLE_SLOTS = 2 ** TABLE_BITS;
/** A dictionary is used if values take at most this part of what they take without it. */
const LEAST_GAIN = 0.9;
/** Values that are looked at in one turn of the event loop. */
const VALUES_PER_TURN = 8;

/**
 * Makes a dictionary of the pieces that several of the values contain. It is tried on a quarter of the values, of which
 * it is not made. The work is divided over many turns of the event loop.
 * @param before the present dictionary
 * @returns `undefined` when it saves less than a tenth of what the values take with the present one, or without any
 */
export async function trainDictionary(values: readonly Buffer[], before?: Dictionary): Promise<Dictionary | undefined> {
  const isForTrial = (index: number): boolean => index % 4 === 3;
  const bytes = await commonBytes(values.filter((_, index) => !isForTrial(index)));
  const dictionary = new Dictionary(bytes);
  let bytesBefore = 0;
  let bytesNow = 0;
  for (const [index, value] of values.entries()) {
    if (isForTrial(index)) {
      const compressed = before === undefined ? compress('deflate', value) : before.compress(value);
      bytesBefore += compressed instanceof Promise ? value.length : compressed.bytes.length;
      bytesNow += dictionary.compress(value).bytes.length;
      await turnAfter(index);
    }
  }
  return bytesNow <= LEAST_GAIN * bytesBefore ? dictionary : undefined;
}

/**
 * The common parts of some of the values, in their order: a value that is like one of them refers to one place. Of
 * neighbours the one is taken that has most of what the dictionary lacks.
 */
async function commonBytes(values: readonly Buffer[]): Promise<Buffer> {
  const counts = new GramCounts();
  for (const [index, value] of values.entries()) {
    counts.add(value, index + 1);
    await turnAfter(index);
  }
  const parts: Buffer[] = [];
  for (const [index, value] of values.entries()) {
    parts.push(commonPart(value, counts));
    await turnAfter(index);
  }
  const allBytes = parts.reduce((sum, { length }) => sum + length, 0);
  const neighbours = Math.ceil(allBytes / MAX_DICTIONARY_BYTES);
  const chosen: Buffer[] = [];
  let room = MAX_DICTIONARY_BYTES;
  let best = { gain: -1, index: -1 };
  for (const [index, value] of values.entries()) {
    const gain = gainOf(value, counts);
    best = gain > best.gain ? { gain, index } : best;
    if (index % neighbours === neighbours - 1) {
      const [of, part] = [values[best.index], parts[best.index]];
      if (of !== undefined && part !== undefined && part.length <= room) {
        chosen.unshift(part);
        room -= part.length;
        counts.remove(of);
      }
      best = { gain: -1, index: -1 };
    }
    await turnAfter(index);
  }
  return Buffer.concat(chosen);
}

/** The value without the bytes that belong to no common gram. */
function commonPart(value: Buffer, counts: GramCounts): Buffer {
  const isCommon = new Uint8Array(value.length);
  counts.forEach(value, (count, at) => {
    if (count >= LEAST_VALUES) {
      isCommon.fill(1, at, at + GRAM_BYTES);
    }
  });
  return Buffer.from(value.filter((_byte, at) => isCommon[at] === 1));
}

/** How often values refer to what the dictionary lacks of this one, for each of its bytes. */
function gainOf(value: Buffer, counts: GramCounts): number {
  let gain = 0;
  counts.forEach(value, (count) => (gain += count));
  return gain / value.length;
}

/** Counts how many values contain each gram. */
class GramCounts {
  private readonly low = new Uint32Array(TABLE_SLOTS);
  private readonly high = new Uint16Array(TABLE_SLOTS);
  /** The last value with the gram of a slot, counted from 1; 0: the slot is free. */
  private readonly lastValue = new Uint16Array(TABLE_SLOTS);
  private readonly counts = new Uint16Array(TABLE_SLOTS);

  add(value: Buffer, number: number): void {
    this.forEach(value, (_count, _at, slot) => {
      if (this.lastValue[slot] !== number) {
        this.lastValue[slot] = number;
        this.counts[slot] = (this.counts[slot] ?? 0) + 1;
      }
    });
  }

  /** The dictionary has the grams of this value: they count no more. */
  remove(value: Buffer): void {
    this.forEach(value, (_count, _at, slot) => (this.counts[slot] = 0));
  }

  forEach(value: Buffer, visit: (count: number, at: number, slot: number) => void): void {
    for (let at = 0; at + GRAM_BYTES <= value.length; at++) {
      const slot = this.slotOf(value.readUInt32LE(at), value.readUInt16LE(at + 4));
      visit(this.counts[slot] ?? 0, at, slot);
    }
  }

  private slotOf(low: number, high: number): number {
    const hash = Math.imul(low, 0x9e37_79b1) ^ Math.imul(high, 0x85eb_ca77);
    let slot = Math.imul(hash ^ (hash >>> 15), 0x2c1b_3c6d) >>> (32 - TABLE_BITS);
    while (this.lastValue[slot] !== 0 && (this.low[slot] !== low || this.high[slot] !== high)) {
      slot = (slot + 1) % TABLE_SLOTS;
    }
    this.low[slot] = low;
    this.high[slot] = high;
    return slot;
  }
}

async function turnAfter(index: number): Promise<void> {
  if (index % VALUES_PER_TURN === VALUES_PER_TURN - 1) {
    await nextTurn();
  }
}
