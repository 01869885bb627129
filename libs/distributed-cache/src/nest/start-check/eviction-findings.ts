import { suggest } from '../../config/index.js';
import { isBuiltIn } from '../cache-tokens.js';
import type { DecoratedMethod } from '../decorators/decorated-methods.js';
import type { Application } from './managed-classes.js';

/** Evictions that can't reach an entry: entries are in another namespace, under other keys, or have no tags. */
export function evictionFindings(application: Application, configured: ReadonlySet<string>): string[] {
  const methods = [...new Set(application.classes.flatMap((managed) => managed.methods))];
  const filling = methods.filter(({ role }) => role !== 'evict');
  const isUsedByHand = (namespace: string) => application.usesWholeCache || application.injected.has(namespace);
  return methods
    .filter(({ role, namespace }) => role === 'evict' && !isUsedByHand(namespace))
    .flatMap((evicting) => {
      const filled = filling.filter(({ namespace }) => namespace === evicting.namespace);
      if (filled.length > 0) {
        return unreachedEntries(evicting, filled);
      }
      const isNamed = configured.has(evicting.namespace) || application.features.has(evicting.namespace);
      return isNamed ? [] : emptyNamespace(evicting, filling);
    });
}

/** The namespace has no decorated method that fills it. */
function emptyNamespace(evicting: DecoratedMethod, filling: readonly DecoratedMethod[]): string[] {
  const { namespace, declaring } = evicting;
  const filled = [...new Set(filling.map((method) => method.namespace))];
  const ofClass = filling.filter((method) => method.declaring === declaring).map((method) => method.namespace);
  if (isBuiltIn(namespace) && ofClass.length === 0) {
    return []; // other parts of the application may use it without naming it
  }
  const meant = suggest(namespace, filled) ?? ofClass[0];
  const remedy =
    meant === undefined
      ? `Write the namespace of the entries, or name "${namespace}" in a forFeature if another application fills it`
      : `Write \`namespace: '${meant}'\`, or name "${namespace}" in a forFeature if another application fills it`;
  return [`${nameOf(evicting)} evicts in the namespace "${namespace}", which no decorated method fills. ${remedy}.`];
}

/** The namespace has entries, but none that the eviction can name. */
function unreachedEntries(evicting: DecoratedMethod, filled: readonly DecoratedMethod[]): string[] {
  const { key, tags, namespace } = evicting;
  if (tags !== undefined && filled.every((method) => method.tags === undefined)) {
    return [
      `${nameOf(evicting)} evicts by \`tags\`, but no decorated method gives tags to entries of "${namespace}". Pass \`tags\` to ${filledBy(filled)}, or evict by \`key\` or \`all\`.`,
    ];
  }
  if (key !== undefined && filled.every(({ hasDefaultKey }) => hasDefaultKey) && !namesDefaultKeys(key, filled)) {
    return [
      `${nameOf(evicting)} evicts by keys of its own, but the entries of "${namespace}" have default keys. Pass the same \`key\` to ${filledBy(filled)}, or evict by \`tags\` or \`all\`.`,
    ];
  }
  return [];
}

/** Whether a function seems to make default keys: `Users.find(1)`. Only its source is known. */
function namesDefaultKeys(key: (...args: never[]) => unknown, filled: readonly DecoratedMethod[]): boolean {
  const source = Function.prototype.toString.call(key);
  return source.includes('methodKey') || filled.some(({ name }) => source.includes(`${String(name)}(`));
}

function filledBy(methods: readonly DecoratedMethod[]): string {
  return methods.map(({ declaring, name }) => `${declaring.constructor.name}.${String(name)}`).join(', ');
}

function nameOf({ declaring, name, decorator }: DecoratedMethod): string {
  return `${declaring.constructor.name}.${String(name)} (@${decorator})`;
}
