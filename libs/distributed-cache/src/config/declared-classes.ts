import type { AnyClass, CachedClassOptions, ClassOptions } from './options.js';
import { ProblemList, show } from './problems.js';
import { OptionReader } from './reader.js';
import { CLASS_OPTIONS } from './schema.js';

/** A class that has declared by `@CachedClass` how its instances are stored. */
export interface DeclaredClass extends Readonly<ClassOptions> {
  readonly name: string;
  readonly version: number;
  readonly class: AnyClass;
}

/** Made by `Symbol.for`, so that a second copy of this package reads the same properties. */
const DECLARATION = Symbol.for('nestjs-distributed-cache:declared-class');
const ALL_DECLARED = Symbol.for('nestjs-distributed-cache:declared-classes');

/**
 * Declares that instances of the class are cached as instances, in every cache of this process, and how. It works
 * without the module: the class is known as soon as its file has been loaded, so an entry that another process has
 * stored can be read before this process has stored one. Subclasses don't inherit the declaration.
 * @param options `name` is the name in the stored data (default: the name of the class); with `serialize` and
 * `deserialize` a class may have private state
 * @throws ConfigurationError for wrong options, and for a class without a name
 */
export function CachedClass(options: CachedClassOptions = {}): (type: AnyClass) => void {
  return (type) => declareClass(type, options, '@CachedClass.');
}

/** A class whose instances are cached, with the options of `@CachedClass` or without. */
export type ClassToDeclare = AnyClass | (CachedClassOptions & { class: AnyClass });

/**
 * Declares classes as `@CachedClass` does. A class without options keeps the declaration that it has.
 * @param path the place of the list, for errors
 * @throws ConfigurationError as {@link CachedClass}, and for a class that is declared already under another name or in
 * another version
 */
export function declareClasses(classes: readonly ClassToDeclare[], path: string): void {
  for (const [index, given] of classes.entries()) {
    const { class: type, ...options } = typeof given === 'function' ? { class: given } : given;
    const place = `${path}[${index}]`;
    const problems = new ProblemList();
    if (typeof type !== 'function') {
      problems.add(place, show(type), 'a class, or { class, name, version, serialize, deserialize, migrate }');
      problems.throwIfAny();
    }
    const declared = declarationOf(type);
    const { name = type.name, version = CLASS_OPTIONS.version.default } = options;
    if (declared === undefined) {
      declareClass(type, options, `${place}.`);
    } else if (typeof given !== 'function' && (declared.name !== name || declared.version !== version)) {
      problems.add(
        place,
        `${name}, version ${version}`,
        `${declared.name}, version ${declared.version}: it is declared`,
      );
      problems.throwIfAny();
    }
  }
}

function declareClass(type: AnyClass, { name = type.name, ...given }: CachedClassOptions, path: string): void {
  const problems = new ProblemList();
  const { class: _class, ...rows } = CLASS_OPTIONS;
  const { version = CLASS_OPTIONS.version.default } = new OptionReader({ ...given }, path, rows, problems).readAll();
  if (typeof name !== 'string' || name === '') {
    problems.add(`${path}name`, show(name), 'a text; a class without a name needs one');
  }
  problems.throwIfAny();
  const declaration: DeclaredClass = Object.freeze({ ...given, name, version, class: type });
  Object.defineProperty(type, DECLARATION, { value: declaration, configurable: true });
  allDeclared().add(type);
}

/** The options that `@CachedClass` declares on this class itself. */
export function declaredOptionsOf(type: AnyClass): ClassOptions {
  const { name: _name, class: _class, ...options } = declarationOf(type) ?? {};
  return options;
}

/** The classes that are declared in this process. */
export const DECLARED_CLASSES = {
  of: declarationOf,
  named: (name: string): readonly DeclaredClass[] =>
    [...allDeclared()].flatMap((type) => declarationOf(type) ?? []).filter((declared) => declared.name === name),
};

function declarationOf(type: object): DeclaredClass | undefined {
  return Object.hasOwn(type, DECLARATION) ? (Reflect.get(type, DECLARATION) as DeclaredClass) : undefined;
}

/**
 * All declared classes of the process. It is the one list that all caches share: the stored name of a class has to be
 * found before any instance of it was met. It says nothing about what a cache does with a class; two classes of one name
 * may be in it, and a cache restores only the one that it has stored.
 */
function allDeclared(): Set<AnyClass> {
  const holder = globalThis as { [ALL_DECLARED]?: Set<AnyClass> };
  return (holder[ALL_DECLARED] ??= new Set());
}
