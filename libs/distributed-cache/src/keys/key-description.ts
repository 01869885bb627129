import { createHash } from 'node:crypto';

/**
 * Matches `Class.method(` and the beginning of an argument list as `encodeArguments` writes it. The capital letter is
 * required so that `john.doe(1)`, a key of the application, is not taken for a method.
 */
const METHOD_KEY =
  /^([A-Z_$][\w$]*\.[\w$]+)\((?:[)'[(@\d-]|undefined\b|null\b|true\b|false\b|NaN\b|Infinity\b|[A-Z]\w*\()/;
const MAX_NAME_LENGTH = 24;

/**
 * A short name of a key for logs: `Users.find(…)#1a2b3c4d`, or `key#1a2b3c4d` for a key that is not a method's. Keys
 * hold e-mail addresses and search terms, so neither arguments nor keys of the application are shown. The digest makes
 * the lines about one key findable; it does not hide a key that can be guessed.
 */
export function describeKey(key: string): string {
  const digest = createHash('sha256').update(key).digest('hex').slice(0, 8);
  const name = METHOD_KEY.exec(key)?.[1];
  if (name === undefined) {
    return `key#${digest}`;
  }
  return `${name.length > MAX_NAME_LENGTH ? `${name.slice(0, MAX_NAME_LENGTH - 1)}…` : name}(…)#${digest}`;
}
