/**
 * The notation for everything that JSON can't express: devalue's, as text. devalue numbers the values and writes
 * references instead of nesting, so shared references and cycles survive. A string of the application is always just a
 * string: no tag can be forged with one. No part is ever evaluated (`uneval` is not used), and only devalue's closed
 * list of types and the types below can be restored.
 */
import { defaultParseOperations, parse, stringify } from 'devalue';
import { CorruptEntryError, UnknownClassError } from '../errors/index.js';
import {
  ClassParts,
  type ClassRegistry,
  describeError,
  InstanceGraph,
  reviveError,
  MAX_BIGINT_DIGITS,
  MAX_SPARSE_LENGTH,
  inspectValue,
} from '../values/index.js';

/** The prefix of a buffer's text. devalue takes an empty text for "not handled", so an empty buffer needs a prefix. */
const BASE64 = 'base64:';

const REDUCERS = {
  Buffer: (value: unknown) => Buffer.isBuffer(value) && `${BASE64}${value.toString('base64')}`,
  Error: (value: unknown) => value instanceof Error && describeError(value),
  Class: (value: unknown) =>
    value instanceof ClassParts && { name: value.name, version: value.version, data: value.data },
  Instances: (value: unknown) => value instanceof InstanceGraph && { value: value.value, classes: value.classes },
};

const REVIVERS = {
  Buffer: (text: unknown) => {
    if (typeof text !== 'string' || !text.startsWith(BASE64)) {
      throw new TypeError('Not a buffer of ours');
    }
    return Buffer.from(text.slice(BASE64.length), 'base64');
  },
  Error: reviveError,
  /** devalue writes it itself; it is read here, because devalue would accept any number of digits. */
  BigInt: (digits: unknown) => {
    if (typeof digits !== 'string' || digits.length > MAX_BIGINT_DIGITS) {
      throw new TypeError('Not a bigint of ours');
    }
    return BigInt(digits);
  },
};

/** Writes a value in the rich notation. @throws the errors of devalue, of a getter and of a proxy */
export function writeRichText(value: unknown): string {
  return stringify(value, REDUCERS, { operations: { viewInfo } });
}

/** Parses the rich notation. @throws CorruptEntryError (for an unknown class UnknownClassError), and nothing else */
export function parseRichText(text: string, classes: ClassRegistry): unknown {
  // Limits the depth: the flat notation does not show it.
  const bounded = (value: unknown) => {
    inspectValue(value, { classes, purpose: 'read' });
    return value;
  };
  const revivers = {
    ...REVIVERS,
    Class: (parts: unknown) => classes.revive(bounded(parts)),
    Instances: (graph: unknown) => classes.reviveGraph(bounded(graph)),
  };
  try {
    return bounded(parse(text, revivers, { operations: { createSparseArray } }));
  } catch (error) {
    if (error instanceof UnknownClassError) {
      throw error;
    }
    throw new CorruptEntryError('its value is not what this program writes');
  }
}

/**
 * Describes a view of memory. devalue would write the whole memory behind a view: for a view of Node's shared pool that
 * contains unrelated data. A view of a part, or of memory shared between threads, is written as a copy of its bytes.
 */
function viewInfo(view: ArrayBufferView) {
  const isWhole = view.byteLength === view.buffer.byteLength && view.buffer instanceof ArrayBuffer;
  const buffer = isWhole ? view.buffer : bytesOf(view).slice().buffer;
  return {
    buffer,
    byteOffset: 0,
    byteLength: view.byteLength,
    length: view.byteLength,
    bufferByteLength: view.byteLength,
  };
}

function bytesOf(view: ArrayBufferView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

/**
 * Makes an array with holes. devalue's own form takes no memory for the holes, but code that loops over the array later
 * would spend time on each.
 */
function createSparseArray(length: number): unknown[] {
  if (length > MAX_SPARSE_LENGTH) {
    throw new RangeError('The array is too long');
  }
  return defaultParseOperations.createSparseArray(length) as unknown[];
}
