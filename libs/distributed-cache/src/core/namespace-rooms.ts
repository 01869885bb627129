import { EntryCodec } from '../codec/index.js';
import type { ResolvedNamespace } from '../config/index.js';
import type { Counters } from '../events/index.js';
import { keyLayout, type KeyLayout } from '../keys/index.js';
import { REAL_TIME } from '../redis/index.js';
import type { CacheRuntime } from './cache-runtime.js';
import { EntryLoader } from './entry-loader.js';
import { EntryReader } from './entry-reader.js';
import { EntryWriter } from './entry-writer.js';
import { FirstLook } from './first-look.js';
import { LoadTurns } from './load-turns.js';
import { LocalValues } from './local-values.js';
import { LocalView } from './local-view.js';
import { LookupRecorder } from './lookup-recorder.js';
import { RemoteView } from './remote-view.js';
import { TagRegistry } from './tag-registry.js';
import { ValueChecks, versionStamps } from './value-check.js';
import { VersionPeace } from './version-peace.js';
import { WaitBudget } from './wait-budget.js';
import { type ClassRegistry, copyValue, type CopyInstance } from '../values/index.js';

/** The parts of one namespace's cache: a reader, the loads and a writer, over the local tier and the remote tier. */
export interface NamespaceRooms {
  readonly runtime: CacheRuntime;
  readonly policy: ResolvedNamespace;
  readonly local: LocalView;
  /** Absent when no Redis is configured. */
  readonly remote: RemoteView | undefined;
  readonly reader: EntryReader;
  readonly writer: EntryWriter;
  readonly loads: EntryLoader;
  readonly tags: TagRegistry;
  readonly recorder: LookupRecorder;
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
  const recorder = new LookupRecorder(namespace, counters, events);
  const layout = keyLayout(config.keyPrefix, namespace);
  const local = new LocalView(runtime, namespace);
  const tags = new TagRegistry(
    redis,
    layout,
    () => clock.nowMs(),
    (name) => loads.flights.onTag(name, true),
    () => counters.tagsForgotten++,
  );
  const remote =
    redis === undefined
      ? undefined
      : new RemoteView(
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
    (key, flight) => {
      reader.detach(key);
      loads.onWritten(key, flight);
    },
    () => new WaitBudget(redis?.connection.deadlineClock ?? REAL_TIME, config.deadlineMs),
  );
  const firstLook = new FirstLook(redis, config.deadlineMs);
  const turns = new LoadTurns(reader, remote, firstLook, new VersionPeace(clock), () => recorder.wait());
  const loads = new EntryLoader(runtime, policy, reader, writer, firstLook, turns, tags, recorder, namespace);
  return { runtime, policy, local, remote, reader, writer, loads, tags, recorder, layout };
}

function instanceCopier(classes: ClassRegistry): CopyInstance | undefined {
  const copyInstance: CopyInstance = (instance) =>
    classes.copyInstance(instance, (data) => copyValue(data, { copyInstance }));
  return classes.isEmpty ? undefined : copyInstance;
}
