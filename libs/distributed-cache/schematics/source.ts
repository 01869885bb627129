import { createRequire } from 'node:module';
import { join } from 'node:path';
import type ts from 'typescript';
import { type Style, withImport, withoutImport } from './imports.js';

/** The programming interface of TypeScript. */
export type Compiler = typeof ts;

/** The TypeScript of the application, if it can parse: version 7 has no programming interface. */
export function compilerOf(folder: string): Compiler | undefined {
  try {
    const compiler = createRequire(join(folder, 'package.json'))('typescript') as Partial<Compiler>;
    return typeof compiler.createSourceFile === 'function' ? (compiler as Compiler) : undefined;
  } catch {
    return undefined;
  }
}

/** What changes in a range of a text. */
export interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** The text of a range after its edits; of two edits at one place the first stands first. */
export function applyEdits(text: string, edits: readonly Edit[], start = 0, end = text.length): string {
  const inside = edits.filter((edit) => edit.start >= start && edit.end <= end);
  const ordered = inside.toSorted((a, b) => a.start - b.start);
  let result = '';
  let at = start;
  for (const edit of ordered.filter((each, index) => !ordered.slice(0, index).some((outer) => contains(outer, each)))) {
    result += text.slice(at, edit.start) + edit.text;
    at = edit.end;
  }
  return result + text.slice(at, end);
}

function contains(outer: Edit, inner: Edit): boolean {
  return outer.start <= inner.start && inner.end <= outer.end && outer.end - outer.start > inner.end - inner.start;
}

/** A node whose name is no name of the scope. */
function isNamedMember(compiler: Compiler, node: ts.Node) {
  return (
    compiler.isPropertyAccessExpression(node) ||
    compiler.isPropertyAssignment(node) ||
    compiler.isPropertySignature(node) ||
    compiler.isPropertyDeclaration(node) ||
    compiler.isMethodDeclaration(node)
  );
}

/** A parsed file, and what is to change in it. */
export class SourceFile {
  readonly tree: ts.SourceFile;
  private readonly edits: Edit[] = [];
  private readonly moved: (readonly [module: string, name: string])[] = [];
  private readonly wanted = new Map<string, Set<string>>();

  constructor(
    readonly compiler: Compiler,
    readonly path: string,
    readonly text: string,
    private readonly style: Style,
  ) {
    this.tree = compiler.createSourceFile(path, text, compiler.ScriptTarget.Latest, true);
  }

  /** All nodes below a node that are of this kind, in the order of the text. */
  find<T extends ts.Node>(is: (node: ts.Node) => node is T, from: ts.Node = this.tree): T[] {
    const found: T[] = [];
    const visit = (node: ts.Node): void => {
      if (is(node)) {
        found.push(node);
      }
      this.compiler.forEachChild(node, visit);
    };
    this.compiler.forEachChild(from, visit);
    return found;
  }

  /** The imports by the name in this file: the module, and the name there (`default` for a default import). */
  get imports(): Map<string, { module: string; name: string }> {
    const { compiler } = this;
    const found = new Map<string, { module: string; name: string }>();
    for (const { moduleSpecifier, importClause } of this.tree.statements.filter(compiler.isImportDeclaration)) {
      const module = compiler.isStringLiteral(moduleSpecifier) ? moduleSpecifier.text : '';
      if (importClause?.name !== undefined) {
        found.set(importClause.name.text, { module, name: 'default' });
      }
      const bindings = importClause?.namedBindings;
      if (bindings !== undefined && compiler.isNamedImports(bindings)) {
        for (const { name, propertyName } of bindings.elements) {
          found.set(name.text, { module, name: (propertyName ?? name).text });
        }
      }
    }
    return found;
  }

  /** The name in this file of what a module exports. */
  localName(module: string, exported: string): string | undefined {
    return [...this.imports].find(([, from]) => from.module === module && from.name === exported)?.[0];
  }

  /** The identifiers of this name that are neither in an import nor the name of a property. */
  uses(name: string, from: ts.Node = this.tree): ts.Identifier[] {
    const { compiler } = this;
    return this.find(compiler.isIdentifier, from).filter(
      (node) =>
        node.text === name &&
        !compiler.isImportSpecifier(node.parent) &&
        !compiler.isImportClause(node.parent) &&
        !(isNamedMember(compiler, node.parent) && node.parent.name === node),
    );
  }

  /** The decorators of a node with a call of this name. */
  decorators(node: ts.Node, name: string | undefined): { decorator: ts.Decorator; call: ts.CallExpression }[] {
    const { compiler } = this;
    return (compiler.canHaveDecorators(node) ? (compiler.getDecorators(node) ?? []) : []).flatMap((decorator) => {
      const call = decorator.expression;
      const isIt = compiler.isCallExpression(call) && call.expression.getText() === name;
      return isIt ? [{ decorator, call }] : [];
    });
  }

  line(node: ts.Node): string {
    return `${this.path}:${this.tree.getLineAndCharacterOfPosition(node.getStart()).line + 1}`;
  }

  edit(edit: Edit): void {
    this.edits.push(edit);
  }

  replace(node: ts.Node, text: string): void {
    this.edit({ start: node.getStart(), end: node.getEnd(), text });
  }

  insertBefore(node: ts.Node, text: string): void {
    this.edits.push({ start: node.getStart(), end: node.getStart(), text });
  }

  /** Removes an element of a list with its comma, or another node with the rest of its line. */
  remove(node: ts.Node, list?: ts.NodeArray<ts.Node>): void {
    const isLast = list?.at(-1) === node;
    if (list?.length === 1) {
      this.edit({ start: list.pos, end: list.end, text: '' });
    } else if (isLast) {
      this.edit({ start: node.getFullStart() - 1, end: node.getEnd(), text: '' });
    } else {
      const after = list === undefined ? /^[ \t]*(\r?\n[ \t]*)?/ : /^\s*,[ \t]*(\r?\n[ \t]*)?/;
      const length = after.exec(this.text.slice(node.getEnd()))?.[0].length ?? 0;
      this.edit({ start: node.getStart(), end: node.getEnd() + length, text: '' });
    }
  }

  import(module: string, ...names: string[]): void {
    const wanted = this.wanted.get(module) ?? new Set();
    names.forEach((name) => wanted.add(name));
    this.wanted.set(module, wanted);
  }

  /** Imports a name from another module than before. */
  moveImport(from: string, localName: string, to: string, ...wanted: string[]): void {
    this.moved.push([from, localName]);
    this.import(to, ...wanted);
  }

  get isChanged(): boolean {
    return this.edits.length > 0 || this.wanted.size > 0;
  }

  /** The text after all edits, with the imports that it needs and without those that it has stopped using. */
  result(): string {
    const edited = this.withoutUnused(applyEdits(this.text, this.edits));
    const after = new SourceFile(this.compiler, this.path, edited, this.style);
    const unused = [...this.imports].filter(([name]) => this.uses(name).length > 0 && after.uses(name).length === 0);
    const gone = [...this.moved, ...unused.map(([name, { module }]) => [module, name] as const)];
    const pruned = gone.reduce((text, [module, name]) => withoutImport(text, module, [name]), edited);
    const wanted = [...this.wanted].filter(([, names]) => names.size > 0);
    return wanted.reduce((text, [module, names]) => withImport(text, module, [...names], this.style), pruned);
  }

  /** The edited text without the constants that only the replaced code used, such as that of a store. */
  private withoutUnused(edited: string): string {
    const { compiler } = this;
    const after = new SourceFile(compiler, this.path, edited, this.style);
    const isUnused = ({ declarationList, modifiers, parent }: ts.VariableStatement) => {
      const [declaration, another] = declarationList.declarations;
      const name = declaration?.name.getText() ?? '';
      const wasUsed = this.uses(name).length > 1;
      return another === undefined && modifiers === undefined && wasUsed && after.uses(name, parent).length === 1;
    };
    const first = after.find(compiler.isVariableStatement).find((statement) => isUnused(statement));
    return first === undefined
      ? edited
      : this.withoutUnused(edited.slice(0, first.getFullStart()) + edited.slice(first.getEnd()));
  }
}
