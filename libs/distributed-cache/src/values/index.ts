export { BytesValue, shortText } from './bytes-value.js';
export { hiddenStateIn, hiddenStateOf } from './class-safety.js';
export { ClassParts, ClassRegistry, type DeclaredClasses, InstanceGraph, type RegisteredClass } from './classes.js';
export { copyKept, copyTree, type KeptValue, layoutOf, rebuildTree } from './copy-tree.js';
export { copyValue, type CopyInstance } from './copy.js';
export { describeError, reviveError } from './error-parts.js';
export { inspectValue, MAX_BIGINT_DIGITS, MAX_SPARSE_LENGTH } from './inspect.js';
export { parseJsonText, isPlainJson, MAX_DEPTH } from './json.js';
export {
  describeType,
  hasEnumerableSymbols,
  isError,
  isNative,
  isObjectPrototype,
  isObject,
  isOfOwnClass,
} from './kinds.js';
export { flattenTexts, flatText, measureValue, prepareTree, primitiveBytes, textBytes } from './measure.js';
export { copyAsPlain } from './plain-copy.js';
export { propertyStep, Refusal, toRefusedError } from './refusal.js';
