export { Announcements, type InvalidationLimits, type InvalidationListener } from './invalidation-channel.js';
export { afterThisTurn, REAL_TIME, STALLED_LOOP_MS, WaitBudget, withinDeadline, withinTime } from './deadline.js';
export type { ConnectionSettings } from './client-options.js';
export type { RedisTarget } from './client-link.js';
export { clientVersion, isCluster, type RedisClient } from './redis-client.js';
export { allOf, BatchedReads, byPieces, inPieces, type PieceLimits, type ReadCompany } from './batches.js';
export { RedisConnection, type ConnectionState } from './redis-connection.js';
export type { RedisConnectionLimits } from './server-node.js';
export type { OperationObserver, RedisConnectionListener, ServerPart } from './topology.js';
export { CHANGE_FIELD, Outbox, type RunningRelay } from './outbox.js';
export { ReplicaGuard } from './replica-guard.js';
export type { EntryToStore, InspectedEntry, RedisEntry, Sealing } from './stored-entry.js';
export { type OwnChanges, RedisTier } from './redis-tier.js';
export { checkPermissions, probeScripts, type Refusal } from './refusals.js';
export { DispensableCommand, isForbidden, isRefusal } from './client-errors.js';
export { probeTransactions, type Request } from './send.js';
export { Home, type HomeFacts, type HomeSettings } from './home/home.js';
export { HomeReads } from './home/home-reads.js';
export { InvalidationGroup } from './invalidation-group.js';
export {
  beginTraining,
  expireDictionary,
  putDictionary,
  readCurrentDictionary,
  readDictionary,
  type PendingStamp,
  type StoredStamp,
  HOLD_OFF,
  replayInvalidations,
  type PendingInvalidations,
} from './entry-commands.js';
export {
  addToAudit,
  mayListenAtReplicas,
  ProcessTopics,
  publish,
  readAudit,
  refusable,
  RefusedReply,
} from './process-topics.js';
