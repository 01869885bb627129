import { posix } from 'node:path';
import ts from 'typescript';
import { CONTEXTS, MAX_CLASS_LINES, MAX_COLLABORATORS, MAX_LINES, MIN_LINES } from './architecture-rules.js';
import type { Sources } from './check-architecture.js';

/** The properties of the types in a source tree: needed to distinguish a collaborator from data. */
interface TypeTable {
  /** Classes and interfaces that have methods. */
  readonly withMethods: ReadonlySet<string>;
  /** The types of the properties of each interface, by the name of the interface. */
  readonly propertiesOf: ReadonlyMap<string, readonly string[]>;
}

/** Files over the limit. */
export function tooLongFiles(sources: Sources): string[] {
  return [...sources]
    .map(([path, text]) => ({ path, lines: linesOf(text) }))
    .filter(({ lines }) => lines > MAX_LINES)
    .map(({ path, lines }) => `${path}: ${lines} lines, the limit is ${MAX_LINES}`);
}

/**
 * Files so short that they should be a part of another one. An `index.ts` is the interface of its folder and may be
 * short.
 */
export function slivers(sources: Sources): string[] {
  return [...sources]
    .map(([path, text]) => ({ path, lines: linesOf(text) }))
    .filter(({ path, lines }) => lines < MIN_LINES && posix.basename(path) !== 'index.ts')
    .map(({ path, lines }) => `${path}: ${lines} lines, the least is ${MIN_LINES}`);
}

/** Classes over the limit, and constructors with too many collaborators. */
export function overgrownClasses(sources: Sources): string[] {
  const parsed = [...sources].map(([path, text]) => ({ path, file: parse(path, text) }));
  const types = typeTableOf(parsed.map(({ file }) => file));
  const complaints: string[] = [];
  for (const { path, file } of parsed) {
    walk(file, (node) => {
      if (!ts.isClassDeclaration(node)) {
        return;
      }
      const place = `${path}: class ${node.name?.text ?? ''}`;
      const lines = linesOf(node.getText(file));
      if (lines > MAX_CLASS_LINES) {
        complaints.push(`${place} has ${lines} lines, the limit is ${MAX_CLASS_LINES}`);
      }
      const collaborators = collaboratorsOf(node, types);
      if (collaborators.length > MAX_COLLABORATORS) {
        complaints.push(
          `${place} has ${collaborators.length} collaborators (${collaborators.join(', ')}), the limit is ${MAX_COLLABORATORS}`,
        );
      }
    });
  }
  return complaints;
}

/**
 * The types of a constructor's parameters that have methods. A bundle of such objects counts once: its owner decides
 * what it contains. The contexts do not count.
 */
function collaboratorsOf(node: ts.ClassDeclaration, types: TypeTable): string[] {
  const constructor = node.members.find(ts.isConstructorDeclaration);
  const names = (constructor?.parameters ?? []).flatMap(({ type }) => namesIn(type));
  const hasMethods = (name: string): boolean => types.withMethods.has(name);
  return names
    .filter((name) => !CONTEXTS.includes(name))
    .filter((name) => hasMethods(name) || (types.propertiesOf.get(name) ?? []).some(hasMethods));
}

function typeTableOf(files: readonly ts.SourceFile[]): TypeTable {
  const withMethods = new Set<string>();
  const propertiesOf = new Map<string, readonly string[]>();
  for (const file of files) {
    walk(file, (node) => {
      if (ts.isClassDeclaration(node) && node.name !== undefined) {
        withMethods.add(node.name.text);
      } else if (ts.isInterfaceDeclaration(node)) {
        if (node.members.some(ts.isMethodSignature)) {
          withMethods.add(node.name.text);
        } else {
          const properties = node.members.filter(ts.isPropertySignature);
          propertiesOf.set(
            node.name.text,
            properties.flatMap(({ type }) => namesIn(type)),
          );
        }
      }
    });
  }
  return { withMethods, propertiesOf };
}

/** The names of the types that a type consists of: for `Tier | undefined` it is `Tier`. */
function namesIn(type: ts.TypeNode | undefined): string[] {
  if (type === undefined) {
    return [];
  }
  if (ts.isTypeReferenceNode(type)) {
    return [type.typeName.getText()];
  }
  return ts.isUnionTypeNode(type) ? type.types.flatMap(namesIn) : [];
}

function linesOf(text: string): number {
  return text.trimEnd().split('\n').length;
}

function parse(path: string, text: string): ts.SourceFile {
  return ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
}

function walk(node: ts.Node, visit: (node: ts.Node) => void): void {
  visit(node);
  ts.forEachChild(node, (child) => walk(child, visit));
}
