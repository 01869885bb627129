import { isDeepStrictEqual } from 'node:util';
import { EntryEncoder } from './encode.js';
import { tagNames } from './entry-options.js';
import { EntrySetter, EntryWriter } from './write.js';
import { EntryInspector } from './inspect.js';
import { Invalidator } from './invalidate.js';
import { EntryCodec } from '../codec/index.js';
import { EncryptionKeys, type ResolvedNamespace } from '../config/index.js';
import type { Counters } from '../events/index.js';
import { ConfigurationError, TierTimeoutError } from '../errors/index.js';
import { keyLayout } from '../keys/index.js';
import { REAL_TIME, WaitBudget } from '../redis/index.js';
import type { CacheRuntime } from './runtime.js';
import { SharedDictionaries } from './dictionaries.js';
import { Companions } from './companions.js';
import { Flights } from './flights.js';
import type { LoadParts } from './grouped-loads.js';
import { LoadCoordinator } from './load.js';
import { LoadFiller } from './load-filler.js';
import { MissPredictor, LeaseQueue, ReplaceThrottle } from './lease-wait.js';
import { EntryReader } from './read.js';
import type { NamespaceView } from './process-view.js';
import { LocalTier, LocalValues } from './local-tier.js';
import type { CheckedNamespace } from './consistency.js';
import { Recorder } from './recorder.js';
import { RemoteTier } from './remote-tier.js';
import { TagRegistry } from './tags.js';
import { ValueChecks, versionStamps } from './value-check.js';

/** The parts of one namespace that its `AsyncCache` calls. */
interface Namespace {
  readonly local: LocalTier;
  readonly reader: EntryReader;
  readonly loads: LoadCoordinator;
  readonly loadParts: LoadParts;
  readonly setter: EntrySetter;
  readonly invalidator: Invalidator;
  readonly inspector: EntryInspector;
  readonly view: NamespaceView;
  readonly recorder: Recorder;
  readonly checked: CheckedNamespace;
}

/** Makes the parts of one namespace. Each part is made after the parts that it uses. */
export function createNamespace(
  namespace: string,
  policy: ResolvedNamespace,
  runtime: CacheRuntime,
  counters: Counters,
): Namespace {
  const { config, events, redis, clock } = runtime;
  redis?.outbox?.join(namespace);
  const layout = keyLayout(config.keyPrefix, namespace);
  const dictionaries = redis && new SharedDictionaries(redis, layout, policy, runtime);
  const { maxValueBytes } = config;
  const codec = new EntryCodec({ ...policy, maxValueBytes, classes: runtime.classes, dictionaries });
  const recorder = new Recorder(namespace, counters, events);
  const flights = new Flights();
  const companions =
    policy.companions === false
      ? undefined
      : new Companions(
          policy.companions,
          () => local.entryCount,
          (what) => recorder.companion(what),
        );
  const local: LocalTier = new LocalTier(runtime, namespace, (reason) => recorder.evicted(reason), companions);
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
            onSent: (payload, lifeMs) => {
              recorder.sent(payload);
              if (payload.compressor === 'dictionary') {
                dictionaries?.guard(lifeMs);
              }
            },
            onUnknownClass: (className) => runtime.unknownClasses.report(namespace, className),
          },
          versionStamps(policy),
        );
  const values = new LocalValues(codec, policy.values, runtime.classes);
  const checks = new ValueChecks(policy, config.deadlineMs, (key, mismatch) => recorder.mismatch(key, mismatch));
  const reader = new EntryReader(flights, local, remote, checks, values, policy.graceMs);
  const encoder = new EntryEncoder(codec, values, {
    onRefused: (key, refusal, reason, className) => recorder.valueRefused(key, refusal, reason, { className }),
  });
  const deadlineClock = redis?.connection.deadlineClock ?? REAL_TIME;
  const newBudget = (): WaitBudget =>
    new WaitBudget(deadlineClock, config.deadlineMs, 0, () =>
      recorder.tierError('redis', 'set', new TierTimeoutError('SET', config.deadlineMs)),
    );
  const writer = new EntryWriter(values, encoder, flights, local, remote, newBudget);
  const missPredictor = new MissPredictor(redis, config.deadlineMs);
  const leases = new LeaseQueue(reader, remote, flights, missPredictor, new ReplaceThrottle(clock), () =>
    recorder.wait(),
  );
  const filler = new LoadFiller(runtime, policy, writer, tags, recorder);
  const loads = new LoadCoordinator(namespace, runtime, flights, reader, leases, filler, recorder);
  const loadParts = { namespace, runtime, flights, reader, leases, filler, loads, recorder };
  const invalidator = new Invalidator(runtime, policy, flights, local, remote, tags, recorder);
  const setter = new EntrySetter(policy, config.enabled, flights, writer, tags, checks, invalidator);
  const inspector = new EntryInspector(namespace, runtime, policy, layout, flights, local, remote, tags);
  const view: NamespaceView = {
    top: (by, limit) => local.top(by, limit),
    inspect: (key) => inspector.inspectHere(key),
    tagged: (tag) => local.countTagged(tags.scopeOf(tagNames([tag])[0] ?? '')),
    takeUses: (limit) => local.takeUses(limit),
    fill: (keys) => reader.fill(keys),
    loads: () => [...flights.slots].flatMap(([key, { load }]) => (load === undefined ? [] : [[key, load] as const])),
  };
  const checked = { local, layout, recorder };
  return { local, reader, loads, loadParts, setter, invalidator, inspector, view, recorder, checked };
}

/**
 * Requires that the options of a namespace are those with which it is in use.
 * @throws ConfigurationError with every difference
 */
export function requireSamePolicy(
  { namespace, policy }: { readonly namespace: string; readonly policy: ResolvedNamespace },
  wanted: ResolvedNamespace,
): void {
  const problems = (Object.keys(wanted) as (keyof ResolvedNamespace)[])
    .filter((name) => !isSame(wanted[name], policy[name]))
    .map((name) => {
      const unit = name.endsWith('Ms') ? ' ms' : '';
      return {
        name: `${namespace}.${name.replace(/Ms$/, '')}`,
        value: shown(wanted[name]) + unit,
        allowed: `${shown(policy[name])}${unit}, with which the namespace is in use already: give its options in one place`,
      };
    });
  if (problems.length > 0) {
    throw new ConfigurationError(problems);
  }
}

function isSame(wanted: unknown, given: unknown): boolean {
  return wanted instanceof EncryptionKeys && given instanceof EncryptionKeys
    ? wanted.equals(given)
    : wanted === given || (isPlain(wanted) && isPlain(given) && isDeepStrictEqual(wanted, given));
}

/** Whether a setting is a plain object of this library; a schema or a function is compared by identity. */
function isPlain(setting: unknown): boolean {
  return typeof setting === 'object' && setting !== null && Object.getPrototypeOf(setting) === Object.prototype;
}

/**
 * The text of a setting in an error. Encryption keys show their ids only; a schema or a function is named by its type,
 * because its text says nothing.
 */
function shown(setting: unknown): string {
  if (typeof setting === 'string' || typeof setting === 'number') {
    return String(setting);
  }
  return typeof setting === 'function' || (typeof setting === 'object' && setting !== null && '~standard' in setting)
    ? `another ${typeof setting}`
    : (JSON.stringify(setting) ?? 'undefined');
}
