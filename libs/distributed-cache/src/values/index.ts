export { ClassParts, ClassRegistry, NO_CLASSES, type RegisteredClass } from './classes.js';
export { copyValue, type CopyInstance } from './copy.js';
export { describeError, reviveError } from './error-parts.js';
export { flattenTexts, flatText, freezeTree, readyTree } from './freeze-and-measure.js';
export {
  inspectValue,
  isPlainJson,
  MAX_BIGINT_DIGITS,
  MAX_DEPTH,
  MAX_SPARSE_LENGTH,
  type Inspection,
} from './inspect.js';
export { parseJsonText } from './json-text.js';
export { describeType, isError, isRecord } from './kinds.js';
export { measureValue, textBytes } from './measure.js';
export { copyAsPlain } from './plain-copy.js';
export { Refusal, toRefusedError } from './refusal.js';
