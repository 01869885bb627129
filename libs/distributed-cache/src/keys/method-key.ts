import { encodeArgumentsOf } from './argument-encoding.js';
import { escapeName } from './quoted-text.js';

/**
 * The default key of a call: `Users.find(42,'bob')`. Two calls have the same key only if class, method and every
 * argument (type, value, number of arguments) are the same; `encodeArguments` says what "the same" means. Names may be
 * any text; for a method under a symbol pass `String(symbol)`. The result is a user key: it still goes through `encodeKey`.
 * @throws CacheKeyError for an argument that can't be told apart from others
 */
export function methodKey(className: string, methodName: string, args: readonly unknown[]): string {
  const method = `${escapeName(className)}.${escapeName(methodName)}`;
  return `${method}(${encodeArgumentsOf(method, args)})`;
}
