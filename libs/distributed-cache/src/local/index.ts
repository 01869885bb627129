export { CoarseClock, SuspendWatch, systemClock, type Clock } from './clock.js';
export { EntryStore } from './entry-store.js';
export { LocalCache, type LocalCacheOptions, Partition } from './local-cache.js';
export type { LocalEntry, LocalMark, LocalPutOptions, LocalScope, LocalSetOptions } from './local-entry.js';
export {
  DeferredJson,
  readStored,
  storeValue,
  type StoredValue,
  type ValueMaking,
  type ValueOrigin,
  type ValuesMode,
} from './stored-value.js';
