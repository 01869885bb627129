export type { AuditedChange, Operator } from './audit.js';
export {
  CacheOperations,
  mergeTop,
  type OperatedCache,
  type OperatorChange,
  type SummedMetrics,
  sumMetrics,
  type TopOfAll,
} from './operations.js';
export type { AloneReason, Gathered, ProcessAnswer, SilentProcess } from './processes.js';
export {
  type CounterSteps,
  type EntryLives,
  type LocalInspection,
  type ProcessFacts,
  type ProcessName,
  type ProcessPart,
  type ProcessView,
  type RecentChange,
  type RunningLoad,
  type TagInspection,
  type TopKey,
  type WarmUpAnswer,
} from './questions.js';
