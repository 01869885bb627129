import ts from 'typescript';

export interface ImportedModule {
  readonly specifier: string;
  readonly line: number;
}

export interface ForbiddenCommand {
  readonly command: string;
  readonly line: number;
}

/**
 * Every module that a file names: `import`, `import type`, `export … from`, `import()`, `import('x').Type`, `require`.
 */
export function importsOf(path: string, text: string): ImportedModule[] {
  const found: ImportedModule[] = [];
  walk(path, text, (node, line) => {
    const specifier = specifierOf(node);
    if (specifier && ts.isStringLiteralLike(specifier)) {
      found.push({ specifier: specifier.text, line });
    }
  });
  return found;
}

function specifierOf(node: ts.Node): ts.Node | undefined {
  if (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) {
    return node.moduleSpecifier;
  }
  if (ts.isImportTypeNode(node)) {
    return ts.isLiteralTypeNode(node.argument) ? node.argument.literal : undefined;
  }
  if (ts.isExternalModuleReference(node)) {
    return node.expression;
  }
  const isLoad = ts.isCallExpression(node) && /^(import|require|require\.resolve)$/.test(node.expression.getText());
  return isLoad ? node.arguments[0] : undefined;
}

const FLUSHES = /^(flushdb|flushall)(buffer)?$/i;
const SENDS_ITS_FIRST_ARGUMENT = /(^|\.)(call|callBuffer|sendCommand|Command|command)$/;
const IN_LUA = /redis\.p?call\(\s*["'](keys|flushdb|flushall)["']/i;

/**
 * Uses of Redis commands that read or empty a whole database. `Object.keys(x)` and `map.keys()` are none: only a call
 * with a pattern, on something that is not `Object`, counts as the Redis command.
 */
export function forbiddenCommandsOf(path: string, text: string): ForbiddenCommand[] {
  const found: ForbiddenCommand[] = [];
  walk(path, text, (node, line) => {
    const command = forbiddenCommandIn(node);
    if (command) {
      found.push({ command, line });
    }
  });
  return found;
}

function forbiddenCommandIn(node: ts.Node): string | undefined {
  if (ts.isIdentifier(node) || ts.isStringLiteralLike(node)) {
    return FLUSHES.test(node.text) ? node.text : IN_LUA.exec(node.text)?.[1];
  }
  if (ts.isTemplateHead(node) || ts.isTemplateMiddleOrTemplateTail(node)) {
    return IN_LUA.exec(node.text)?.[1];
  }
  if (!ts.isCallExpression(node) && !ts.isNewExpression(node)) {
    return undefined;
  }
  const [firstArgument] = node.arguments ?? [];
  const callee = node.expression;
  if (!firstArgument) {
    return undefined;
  }
  const isKeysMethod = ts.isPropertyAccessExpression(callee) && /^keys(Buffer)?$/.test(callee.name.text);
  if (isKeysMethod) {
    return /^(Object|Reflect)$/.test(callee.expression.getText()) ? undefined : callee.getText();
  }
  const sendsKeys = ts.isStringLiteralLike(firstArgument) && /^keys$/i.test(firstArgument.text);
  return sendsKeys && SENDS_ITS_FIRST_ARGUMENT.test(callee.getText()) ? firstArgument.text : undefined;
}

function walk(path: string, text: string, visit: (node: ts.Node, line: number) => void): void {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true);
  const enter = (node: ts.Node): void => {
    visit(node, source.getLineAndCharacterOfPosition(node.getStart()).line + 1);
    ts.forEachChild(node, enter);
  };
  enter(source);
}
