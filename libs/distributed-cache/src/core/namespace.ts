import { EntryCodec } from '../codec/index.js';
import type { ResolvedNamespace } from '../config/index.js';
import type { Counters } from '../events/index.js';
import { keyLayout, type KeyLayout } from '../keys/index.js';
import { REAL_TIME } from '../redis/index.js';
import type { CacheRuntime } from './runtime.js';
import { Flights } from './flights.js';
import { LoadFiller } from './fill.js';
import { LeaseQueue, ReplaceThrottle } from './lease-wait.js';
import { LoadCoordinator } from './load.js';
import { EntryReader } from './read.js';
import { EntryWriter } from './write.js';
import { FirstLook } from './first-look.js';
import { LocalValues } from './local-values.js';
import { LocalTier } from './local-tier.js';
import { Recorder } from './recorder.js';
import { RemoteTier } from './remote-tier.js';
import { TagRegistry } from './tags.js';
import { ValueChecks, versionStamps } from './value-check.js';
import { WaitBudget } from './deadline.js';
import { type ClassRegistry, copyValue, type CopyInstance } from '../values/index.js';

/** The parts of one namespace's cache: a reader, the loads and a writer, over the local tier and the remote tier. */
export interface NamespaceRooms {
  readonly runtime: CacheRuntime;
  readonly policy: ResolvedNamespace;
  readonly local: LocalTier;
  /** Absent when no Redis is configured. */
  readonly remote: RemoteTier | undefined;
  readonly reader: EntryReader;
  readonly writer: EntryWriter;
  readonly flights: Flights;
  readonly loads: LoadCoordinator;
  readonly tags: TagRegistry;
  readonly recorder: Recorder;
  readonly layout: KeyLayout;
}

/** Makes the parts of one namespace's cache and connects them. */
export function furnishNamespace(
  namespace: string,
  policy: ResolvedNamespace,
  runtime: CacheRuntime,
  counters: Counters,
): NamespaceRooms {
  const { config, events, redis, clock } = runtime;
  const codec = new EntryCodec({ ...policy, maxValueBytes: config.maxValueBytes, classes: runtime.classes });
  const recorder = new Recorder(namespace, counters, events);
  const layout = keyLayout(config.keyPrefix, namespace);
  const flights = new Flights();
  const local = new LocalTier(runtime, namespace);
  const tags = new TagRegistry(
    redis,
    layout,
    () => clock.nowMs(),
    (name) => flights.onTag(name, true),
    () => counters.tagsForgotten++,
  );
  const remote =
    redis === undefined
      ? undefined
      : new RemoteTier(
          redis,
          codec,
          policy,
          layout,
          tags,
          {
            onError: (operation, error) => recorder.tierError('redis', operation, error),
            onOverload: (operation) => recorder.overload(operation),
          },
          versionStamps(policy),
        );
  const values = new LocalValues(codec, policy.values, instanceCopier(runtime.classes));
  const reader = new EntryReader(
    flights,
    local,
    remote,
    new ValueChecks(policy, config.deadlineMs, (key, mismatch) => recorder.mismatch(key, mismatch)),
    values,
    policy.graceMs,
  );
  const writer = new EntryWriter(
    codec,
    local,
    remote,
    values,
    {
      onRefused: (key, reason) => events.emit('valueRefused', { namespace, key, reason }),
      onFlattened: (key, classNames) => runtime.flattened.tell(namespace, key, classNames),
    },
    flights,
    () => new WaitBudget(redis?.connection.deadlineClock ?? REAL_TIME, config.deadlineMs),
  );
  const firstLook = new FirstLook(redis, config.deadlineMs);
  const leases = new LeaseQueue(reader, remote, flights, firstLook, new ReplaceThrottle(clock), () => recorder.wait());
  const filler = new LoadFiller(runtime, policy, writer, tags, recorder);
  const loads = new LoadCoordinator(namespace, runtime, flights, reader, leases, filler, recorder);
  return { runtime, policy, flights, local, remote, reader, writer, loads, tags, recorder, layout };
}

function instanceCopier(classes: ClassRegistry): CopyInstance | undefined {
  const copyInstance: CopyInstance = (instance) =>
    classes.copyInstance(instance, (data) => copyValue(data, { copyInstance }));
  return classes.isEmpty ? undefined : copyInstance;
}
