import { CorruptEntryError } from '../errors/index.js';
import { isRecord } from './kinds.js';
import { MAX_DEPTH } from './plain-json.js';

/**
 * Parses JSON from an unknown source. `JSON.parse` itself accepts two things that do harm later: nesting deep enough to
 * overflow the stack of code that walks the value, and an own `__proto__`, which is harmless until the object is copied
 * property by property. The first is refused, the second dropped.
 * @throws CorruptEntryError
 */
export function parseJsonText(text: string): unknown {
  const value = parse(text);
  if (!tidyJson(value)) {
    throw new CorruptEntryError(`its value is nested more than ${MAX_DEPTH} levels deep`);
  }
  return value;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new CorruptEntryError('its value is not JSON'); // the parser's own message quotes the text
  }
}

/**
 * Drops every own `__proto__` from a result of `JSON.parse`. A search for the name in the text would be cheaper and
 * wrong: `"\u005f_proto__"` is the same key.
 * @returns false when more than `levels` levels are nested
 */
export function tidyJson(value: unknown, levels = MAX_DEPTH): boolean {
  if (!isRecord(value)) {
    return true;
  }
  if (levels === 0) {
    return false;
  }
  if (Array.isArray(value)) {
    for (const element of value) {
      if (typeof element === 'object' && !tidyJson(element, levels - 1)) {
        return false;
      }
    }
    return true;
  }
  for (const key in value) {
    const property = value[key];
    if (key === '__proto__') {
      Reflect.deleteProperty(value, key);
    } else if (typeof property === 'object' && !tidyJson(property, levels - 1)) {
      return false;
    }
  }
  return true;
}
