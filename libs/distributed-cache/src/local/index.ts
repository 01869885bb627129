export { CoarseClock, SuspendWatch, systemClock, type Clock } from './clock.js';
export { EntryStore, type EvictionReason, type OnEvicted, readingOf, type Reading } from './entry-store.js';
export type { KeyUses, TopEntry, TopOrder, UsedEntry } from './slot-table.js';
export { LocalCache, type LocalCacheOptions, Partition } from './local-cache.js';
export {
  asItIs,
  DeferredJson,
  isCopied,
  type LocalEntry,
  type TagVersion,
  type LocalPutOptions,
  type TagScope,
  type LocalSetOptions,
  type ReadAhead,
  readStored,
  type StoredValue,
  storeValue,
  type ValueOrigin,
  type ValuesMode,
} from './stored-value.js';
