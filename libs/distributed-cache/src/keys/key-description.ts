import { createHash } from 'node:crypto';

/**
 * `Class.method(` and the beginning of an argument list as `encodeArguments` writes it. A capital is asked for so that
 * `john.doe(1)`, a user's own key, is not taken for a method.
 */
const METHOD_KEY =
  /^([A-Z_$][\w$]*\.[\w$]+)\((?:[)'[(@\d-]|undefined\b|null\b|true\b|false\b|NaN\b|Infinity\b|[A-Z]\w*\()/;
const MAX_NAME_LENGTH = 24;

/**
 * A short name of a key for logs: `Users.find(…)#1a2b3c4d`, or `key#1a2b3c4d` for a key that is not a method's. Keys
 * hold e-mail addresses and search terms; neither arguments nor keys that users composed are shown. The digest finds the
 * lines that concern one key; it does not hide a key from somebody who can guess it.
 */
export function describeKey(key: string): string {
  const digest = createHash('sha256').update(key).digest('hex').slice(0, 8);
  const name = METHOD_KEY.exec(key)?.[1];
  if (name === undefined) {
    return `key#${digest}`;
  }
  return `${name.length > MAX_NAME_LENGTH ? `${name.slice(0, MAX_NAME_LENGTH - 1)}…` : name}(…)#${digest}`;
}
