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
  return (type) => {
    const { name = type.name, ...given } = options;
    const problems = new ProblemList();
    const path = '@CachedClass.';
    const { class: _class, ...rows } = CLASS_OPTIONS;
    const { version = CLASS_OPTIONS.version.default } = new OptionReader({ ...given }, path, rows, problems).readAll();
    if (typeof name !== 'string' || name === '') {
      problems.add(`${path}name`, show(name), 'a text; a class without a name needs one');
    }
    problems.throwIfAny();
    const declaration: DeclaredClass = Object.freeze({ ...given, name, version, class: type });
    Object.defineProperty(type, DECLARATION, { value: declaration, configurable: true });
    allDeclared().add(type);
  };
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
