import { suggest } from '../../config/index.js';
import { isBuiltIn } from '../cache-tokens.js';
import type { DecoratedMethod } from '../decorators/decorated-methods.js';
import type { Application } from './managed-classes.js';

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

function nameOf({ declaring, name, decorator }: DecoratedMethod): string {
  return `${declaring.constructor.name}.${String(name)} (@${decorator})`;
}
