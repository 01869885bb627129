import { CorruptEntryError } from '../errors/index.js';
import type { SerializerId } from './envelope.js';
import { parseRichText, writeRichText } from './rich-text.js';
import {
  type ClassRegistry,
  NO_CLASSES,
  parseJsonText,
  copyAsPlain,
  isPlainJson,
  toRefusedError,
  inspectValue,
} from '../values/index.js';

export interface SerializedValue {
  readonly serializer: SerializerId;
  readonly text: string;
  /**
   * When false, the value that is read back differs from the given one, for example a plain object instead of an
   * instance.
   */
  readonly exact: boolean;
  /** The names of the classes whose instances are stored as plain objects. */
  readonly flattened: readonly string[];
}

/**
 * Writes a value as text: as JSON when JSON keeps all of it, else in the rich notation.
 * @param textFrom from this length of the JSON on, only the text is kept, never the given value: then the text is
 * exact, although the value may have accessors and symbols
 * @throws ValueRefusedError, and nothing else, also when reading the value throws
 */
export function serialize(value: unknown, classes: ClassRegistry = NO_CLASSES, textFrom = Infinity): SerializedValue {
  const plain = textFrom === Infinity ? undefined : writePlainJson(value);
  if (plain !== undefined && plain.length >= textFrom) {
    return { serializer: 'json', text: plain, exact: true, flattened: NO_NAMES };
  }
  const { isJson, isExact, flattened } = inspectValue(value, classes);
  try {
    if (isExact) {
      return written(value, isJson, true, flattened);
    }
    const copy = copyAsPlain(value, classes);
    return written(copy, inspectValue(copy).isJson, false, flattened);
  } catch (error) {
    throw toRefusedError(error);
  }
}

const NO_NAMES: readonly string[] = [];

/** The value as JSON; `undefined` when the full check is needed. */
function writePlainJson(value: unknown): string | undefined {
  try {
    return isPlainJson(value) ? JSON.stringify(value) : undefined;
  } catch {
    return undefined; // the full check will find the cause, and report its path
  }
}

/** Reads the text of a value. @throws CorruptEntryError for a text that can't be read, and no other error */
export function deserialize(serializer: SerializerId, text: string, classes: ClassRegistry = NO_CLASSES): unknown {
  switch (serializer) {
    case 'json':
      return parseJsonText(text);
    case 'rich':
      return parseRichText(text, classes);
    case 'undefined':
      if (text !== '') {
        throw new CorruptEntryError('it has a payload and says that it has none');
      }
      return undefined;
  }
}

function written(value: unknown, isJson: boolean, exact: boolean, flattened: readonly string[]): SerializedValue {
  if (value === undefined) {
    return { serializer: 'undefined', text: '', exact, flattened };
  }
  return isJson
    ? { serializer: 'json', text: JSON.stringify(value), exact, flattened }
    : { serializer: 'rich', text: writeRichText(value), exact, flattened };
}
