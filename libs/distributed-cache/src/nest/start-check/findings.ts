import { types } from 'node:util';
import { hiddenStateOf } from '../../core/index.js';
import type { DecoratedMethod } from '../decorators/decorated-methods.js';
import { nameInKeys } from '../decorators/cache-defaults.decorator.js';
import { defaultKeyClass, type DefaultKeyParts, defaultKeyRange, NAME_REMEDY } from '../decorators/entry-keys.js';
import type { ManagedClass, NamedClass, Application } from './managed-classes.js';
import { suggest } from '../../config/index.js';
import { isBuiltIn } from '../cache-tokens.js';
import { answersItself } from '../decorators/cached.decorator.js';

/*
 * What the check at the start finds in the decorated methods of an application: default keys that collide or change,
 * evictions that reach no entry, and results that depend on the request.
 */

interface DefaultKeyMethod {
  readonly owner: NamedClass;
  readonly method: DecoratedMethod;
  readonly parts: DefaultKeyParts;
}

/** What is wrong with the default keys of an application. */
export function keyFindings(classes: readonly ManagedClass[]): string[] {
  const methods = classes.flatMap(({ type, methods: all }) =>
    all.filter(({ hasDefaultKey }) => hasDefaultKey).map((method) => defaultKeyMethod(type, method)),
  );
  return [
    ...sharedKeys(methods),
    ...unstableNames(methods),
    ...classes.flatMap(severalInstances),
    ...uncacheableArguments(methods),
  ];
}

function defaultKeyMethod(owner: NamedClass, method: DecoratedMethod): DefaultKeyMethod {
  const { namespace, declaring, name, keyPrefix, varyBy, version } = method;
  const parts = { namespace, declaring: declaring.constructor, method: name, keyPrefix, varyBy, version };
  return { owner, method, parts };
}

/** The text before the arguments in the default keys of a method. */
function keyHead({ owner, method, parts }: DefaultKeyMethod): string {
  return `${defaultKeyClass(owner, parts)}.${String(method.name)}`;
}

/** Methods of several classes whose default keys can be the same. */
function sharedKeys(methods: readonly DefaultKeyMethod[]): string[] {
  const byRange = new Map<string, DefaultKeyMethod>();
  const shared = new Map<string, string>();
  for (const method of methods) {
    const range = defaultKeyRange(method.owner, method.parts);
    const first = byRange.get(range) ?? method;
    byRange.set(range, first);
    if (first.owner !== method.owner || first.method !== method.method) {
      const { namespace } = method.parts;
      shared.set(
        range,
        `Two classes have cached methods with the default key \`${keyHead(method)}(…)\` in the namespace "${namespace}": only the one that is called first is cached. ${NAME_REMEDY}.`,
      );
    }
  }
  return [...shared.values()];
}

/** A name of one character, or of two as minifiers make them. Few authors give a class such a name. */
const MINIFIED = /^(?:[\w$]|[a-z_$][\w$])$/;
/** The names that `mixin()` of Nest makes at each start. */
const RANDOM = /^[0-9a-f]{21}$/;

function unstableNames(methods: readonly DefaultKeyMethod[]): string[] {
  const named = (isMeant: (name: string) => boolean) => [
    ...new Set(methods.filter((method) => namesIn(method).some(isMeant)).map((method) => withName(keyHead(method)))),
  ];
  const minified = named((name) => name === '' || MINIFIED.test(name));
  const random = named((name) => RANDOM.test(name));
  return [
    ...(minified.length === 0
      ? []
      : [
          `Default keys contain names of classes that a minifier seems to have made, and that another class may have after the next build: ${listed(minified)}. ${NAME_REMEDY}.`,
        ]),
    ...(random.length === 0
      ? []
      : [
          `Default keys contain names of classes that mixin() makes anew at each start, so processes share no entries: ${listed(random)}. Write \`@CacheDefaults({ name })\` above these classes, or pass \`keyPrefix\` or \`key\` to the decorators.`,
        ]),
  ];
}

/** A class without a name is named as such. */
function withName(head: string): string {
  return head.replace(/^(?=[./])/, '(no name)').replace(/\/(?=\.)/, '/(no name)');
}

/** The names of classes in its keys, apart from those that `@CacheDefaults({ name })` gives. */
function namesIn({ owner, parts: { declaring, keyPrefix } }: DefaultKeyMethod): string[] {
  const own = owner === declaring ? [] : [owner];
  const classes = keyPrefix === undefined ? [...own, declaring] : own;
  return classes.filter((type) => nameInKeys(type) === type.name).map(({ name }) => name);
}

const MAX_LISTED = 5;

function listed(names: readonly string[]): string {
  const rest = names.length - MAX_LISTED;
  return names.slice(0, MAX_LISTED).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}

/** Several instances of one class, which may answer differently, with the same default keys. */
function severalInstances({ type, methods, instances, hasCustomInstances }: ManagedClass): string[] {
  const shared = methods.filter(
    ({ role, hasDefaultKey, instanceKey, varyBy }) =>
      role === 'read' && hasDefaultKey && instanceKey === undefined && varyBy === undefined,
  );
  if (shared.length === 0 || instances.size < 2 || !(hasCustomInstances || differInData([...instances]))) {
    return [];
  }
  const names = listed(shared.map(({ name }) => `${type.name}.${String(name)}`));
  return [
    `There are ${instances.size} instances of ${type.name}, which share the entries of ${names}: pass \`instanceKey: (instance) => …\` to say what distinguishes them, or \`key\` or \`varyBy\`.`,
  ];
}

/** Whether the instances have different texts, numbers or booleans: a table, a region. Injected objects do not count. */
function differInData([first = {}, ...others]: readonly object[]): boolean {
  const dataOf = (instance: object) =>
    Object.entries(Object.getOwnPropertyDescriptors(instance))
      .map(([name, { value }]) => [name, value as unknown])
      .filter(([, value]) => ['string', 'number', 'boolean'].includes(typeof value));
  const expected = JSON.stringify(dataOf(first));
  return others.some((instance) => JSON.stringify(dataOf(instance)) !== expected);
}

/** Parameters whose declared class has no encoding, so that no call is cached. */
function uncacheableArguments(methods: readonly DefaultKeyMethod[]): string[] {
  const checked = new Set<DecoratedMethod>();
  return methods.flatMap(({ method }) => {
    if (checked.has(method)) {
      return [];
    }
    checked.add(method);
    const { declaring, name } = method;
    const parameters: unknown = Reflect.getMetadata('design:paramtypes', declaring, name);
    const of = `${declaring.constructor.name}.${String(name)}`;
    return (Array.isArray(parameters) ? (parameters as unknown[]) : []).flatMap((type, index) => {
      const reason = typeof type === 'function' ? reasonAgainst(type) : undefined;
      return reason === undefined
        ? []
        : [
            `Argument ${index + 1} of ${of} can't be part of a cache key: ${reason}, so its calls are not cached. Pass plain data, or \`key: (…) => string\` to the decorator.`,
          ];
    });
  });
}

/** The types that the compiler writes for what has an encoding, and for types that say nothing. */
const ENCODABLE: ReadonlySet<unknown> = new Set([
  Object,
  String,
  Number,
  Boolean,
  BigInt,
  Array,
  Date,
  RegExp,
  URL,
  URLSearchParams,
  Map,
  Set,
  Buffer,
  ArrayBuffer,
  SharedArrayBuffer,
  DataView,
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
]);

// eslint-disable-next-line typescript/no-unsafe-function-type -- a class as `design:paramtypes` holds it
function reasonAgainst(type: Function): string | undefined {
  const prototype: unknown = type.prototype;
  if (ENCODABLE.has(type) || typeof prototype !== 'object' || prototype === null || 'toJSON' in prototype) {
    return type === Function ? 'it is a function' : undefined;
  }
  if (types.isNativeError(prototype) || prototype instanceof Error) {
    return 'it is an error';
  }
  const hidden = hiddenStateOf(prototype);
  return hidden === undefined ? undefined : `it is an instance of ${type.name}, which has no toJSON(), and ${hidden}`;
}

/**
 * Methods with `@CacheEvict` or `@CachePut` that can't reach the entries that other methods read: these are in another
 * namespace, under other keys, or have no tags.
 */
export function evictionFindings(application: Application, configured: ReadonlySet<string>): string[] {
  const methods = [...new Set(application.classes.flatMap((managed) => managed.methods))];
  return methods
    .filter(({ role, namespace }) => role !== 'read' && !application.injected.has(namespace))
    .flatMap((changing) => {
      const filling = methods.filter(({ role }) => role === 'read' || (role === 'write' && changing.role === 'evict'));
      const filled = filling.filter(({ namespace }) => namespace === changing.namespace);
      if (filled.length > 0) {
        return unreachedEntries(changing, filled);
      }
      const isNamed = configured.has(changing.namespace) || application.features.has(changing.namespace);
      return isNamed ? [] : emptyNamespace(changing, filling, application.usesWholeCache);
    });
}

/**
 * The namespace has no decorated method that fills it.
 * @param isMaybeUsed whether the application may use it without naming it: then only a similar name is a finding
 */
function emptyNamespace(
  evicting: DecoratedMethod,
  filling: readonly DecoratedMethod[],
  isMaybeUsed: boolean,
): string[] {
  const { namespace, declaring } = evicting;
  const filled = [...new Set(filling.map((method) => method.namespace))];
  const ofClass = filling.filter((method) => method.declaring === declaring).map((method) => method.namespace);
  if (isBuiltIn(namespace) && ofClass.length === 0) {
    return []; // other parts of the application may use it without naming it
  }
  const similar = suggest(namespace, filled);
  if (isMaybeUsed && similar === undefined) {
    return [];
  }
  const meant = similar ?? ofClass[0];
  const remedy =
    meant === undefined
      ? `Write the namespace of the entries, or name "${namespace}" in a forFeature if another application uses it`
      : `Write \`namespace: '${meant}'\`, or name "${namespace}" in a forFeature if another application uses it`;
  const what = evicting.role === 'evict' ? 'evicts in' : 'stores in';
  const reading = evicting.role === 'evict' ? 'fills' : 'reads';
  return [`${nameOf(evicting)} ${what} the namespace "${namespace}", which no decorated method ${reading}. ${remedy}.`];
}

/** The namespace has entries, but none that the eviction can name. */
function unreachedEntries(evicting: DecoratedMethod, filled: readonly DecoratedMethod[]): string[] {
  const { key, tags, namespace } = evicting;
  if (evicting.role === 'evict' && tags !== undefined && filled.every((method) => method.tags === undefined)) {
    return [
      `${nameOf(evicting)} evicts by \`tags\`, but no decorated method gives tags to entries of "${namespace}". Pass \`tags\` to ${filledBy(filled)}, or evict by \`key\` or \`all\`.`,
    ];
  }
  if (key === undefined || namesDefaultKeys(key, filled)) {
    return [];
  }
  if (filled.every(({ hasDefaultKey }) => hasDefaultKey)) {
    return [
      `${nameOf(evicting)} uses keys of its own, but the entries of "${namespace}" have default keys. Pass the same \`key\` to ${filledBy(filled)}, or evict by \`tags\` or \`all\`.`,
    ];
  }
  const keyed = filled.filter(({ hasDefaultKey }) => !hasDefaultKey);
  if (keyed.every((method) => suffixOf(method) !== suffixOf(evicting))) {
    return [
      `${nameOf(evicting)} reaches no entry of ${filledBy(keyed)}: \`varyBy\`, \`version\` and \`instanceKey\` must be the same, as they are parts of the key.`,
    ];
  }
  return [];
}

/** What the options add to the keys of a method, as far as it is known at the start. */
function suffixOf({ varyBy = [], version, instanceKey }: DecoratedMethod): string {
  return JSON.stringify([[...new Set(varyBy)].sort(), typeof version, version, instanceKey !== undefined]);
}

/** Whether a function seems to make default keys: `Users.find(1)`. Only its source is known. */
function namesDefaultKeys(key: (...args: never[]) => unknown, filled: readonly DecoratedMethod[]): boolean {
  const source = Function.prototype.toString.call(key);
  return (
    source.includes('methodKey') ||
    source.includes('keyOf') ||
    filled.some(({ name }) => source.includes(`${String(name)}(`))
  );
}

function filledBy(methods: readonly DecoratedMethod[]): string {
  return methods.map(({ declaring, name }) => `${declaring.constructor.name}.${String(name)}`).join(', ');
}

/** Cached methods whose result, or whose answer, depends on the request in a way that the cache can't see. */
export function requestFindings(classes: readonly ManagedClass[]): string[] {
  return [...new Set(classes.flatMap((managed) => [...answeringHandlers(managed), ...readersOfRequest(managed)]))];
}

/** Route handlers with `@Res()` or `@Next()`: a hit would leave the request without its answer, or without headers. */
function answeringHandlers({ methods }: ManagedClass): string[] {
  return methods
    .filter(({ role, declaring, name }) => role === 'read' && answersItself(declaring, name))
    .map(
      (method) =>
        `${nameOf(method)} writes to the response itself (@Res() or @Next()), which a hit would not repeat, so its calls are not cached. Return the body, set headers with @Header(), or cache the method of a service instead.`,
    );
}

/** Classes that inject the request, or a provider that does: what they read from it is not a part of the key. */
function readersOfRequest({ type, methods, wayToRequest }: ManagedClass): string[] {
  if (wayToRequest === undefined) {
    return [];
  }
  const through = wayToRequest.length === 0 ? '' : ` through ${wayToRequest.join(', ')}`;
  return methods
    .filter(({ role, hasDefaultKey, varyBy, instanceKey }) => {
      return role === 'read' && hasDefaultKey && varyBy === undefined && instanceKey === undefined;
    })
    .map(
      (method) =>
        `${nameOf(method)} can read the request that ${type.name} injects${through}, but its default key does not say which request: one caller could get the result of another. Pass \`varyBy\` or \`key\` with what the result depends on, such as the user; a \`key\` of the arguments alone says that it depends on nothing else.`,
    );
}

function nameOf({ declaring, name, decorator }: DecoratedMethod): string {
  return `${declaring.constructor.name}.${String(name)} (@${decorator})`;
}
