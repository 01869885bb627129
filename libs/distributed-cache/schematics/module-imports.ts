import type ts from 'typescript';
import { type Style, withImport } from './imports.js';
import { type Compiler, SourceFile } from './source.js';

/**
 * The text of a file with one more element in the `imports` of its module.
 * @param compiler without it the place is searched in the text
 * @returns undefined when no `@Module` of the class is found
 */
export function withModuleImport(
  text: string,
  className: string,
  element: { readonly expression: string; readonly module: string; readonly name: string },
  style: Style,
  compiler: Compiler | undefined,
): string | undefined {
  const at = compiler === undefined ? placeInText(text, className) : placeInTree(compiler, text, className, style);
  if (at === undefined) {
    return undefined;
  }
  const edited =
    text.slice(0, at.position) + at.before + element.expression + at.after + text.slice(at.position + at.skip);
  return withImport(edited, element.module, [element.name], style);
}

/** Where the element goes, and what stands around it. */
interface Place {
  readonly position: number;
  readonly skip: number;
  readonly before: string;
  readonly after: string;
}

function placeInTree(compiler: Compiler, text: string, className: string, style: Style): Place | undefined {
  const source = new SourceFile(compiler, 'module.ts', text, style);
  const owner = source.find(compiler.isClassDeclaration).find((each) => each.name?.text === className);
  const call = owner === undefined ? undefined : source.decorators(owner, 'Module')[0]?.call;
  const options = call?.arguments[0];
  if (options === undefined || !compiler.isObjectLiteralExpression(options)) {
    return undefined;
  }
  const imports = options.properties
    .filter(compiler.isPropertyAssignment)
    .find((each) => each.name.getText() === 'imports');
  if (imports === undefined) {
    return inBraces(text, options.getStart());
  }
  return compiler.isArrayLiteralExpression(imports.initializer)
    ? inBrackets(text, imports.initializer.getStart())
    : around(imports.initializer);
}

/** As well as text can tell: `imports` between the last `@Module(` before the class and the class. */
function placeInText(text: string, className: string): Place | undefined {
  const classAt = text.search(new RegExp(String.raw`\bclass\s+${className}\b`));
  const decoratorAt = text.slice(0, Math.max(classAt, 0)).lastIndexOf('@Module(');
  if (decoratorAt < 0) {
    return undefined;
  }
  const decorator = text.slice(decoratorAt, classAt);
  const imports = /\bimports:\s*\[/.exec(decorator);
  if (imports !== null) {
    return inBrackets(text, decoratorAt + imports.index + imports[0].length - 1);
  }
  const brace = decorator.indexOf('{');
  return brace < 0 || /\bimports\b/.test(decorator) ? undefined : inBraces(text, decoratorAt + brace);
}

/** At the beginning of a list, in a line of its own if the list has lines. */
function inBrackets(text: string, bracket: number): Place {
  const [, space = '', next] = /^(\s*)([^\s])/.exec(text.slice(bracket + 1)) ?? [];
  const isEmpty = next === ']';
  const isBroken = space.includes('\n') && !isEmpty;
  return {
    position: bracket + 1,
    skip: isEmpty ? space.length : 0,
    before: isBroken ? space : '',
    after: isEmpty ? '' : isBroken ? ',' : ', ',
  };
}

function inBraces(text: string, brace: number): Place {
  const [, space = '', next] = /^(\s*)([^\s])/.exec(text.slice(brace + 1)) ?? [];
  const isEmpty = next === '}';
  const isBroken = space.includes('\n') && !isEmpty;
  return {
    position: brace + 1,
    skip: isEmpty ? space.length : 0,
    before: `${isBroken ? space : ' '}imports: [`,
    after: isEmpty ? '] ' : isBroken ? '],' : '],',
  };
}

/** A list that is given by a name: it becomes part of a new one. */
function around(list: ts.Expression): Place {
  return { position: list.getStart(), skip: list.getWidth(), before: '[', after: `, ...${list.getText()}]` };
}
