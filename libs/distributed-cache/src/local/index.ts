export { CoarseClock, SuspendWatch, systemClock, type Clock } from './clock.js';
export { EntryStore } from './entry-store.js';
export { LocalCache, type LocalCacheOptions } from './local-cache.js';
export { LocalPart } from './local-part.js';
export type { LocalEntry, LocalMark, LocalPutOptions, LocalScope, LocalSetOptions } from './local-entry.js';
export {
  readStored,
  storeValue,
  type StoredValue,
  type ValueMaking,
  type ValueOrigin,
  type ValuesMode,
} from './stored-value.js';
export { UnreadValue } from './unread-value.js';
