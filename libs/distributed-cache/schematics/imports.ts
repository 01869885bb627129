/** How a file is written: its quotes, its semicolons, and what its relative imports end in. */
export interface Style {
  readonly quote: string;
  readonly semicolon: string;
  /** `.js` in ESM with Node's resolution, else nothing. */
  readonly extension: string;
}

/**
 * @param isModule whether the package has `"type": "module"`; decides when the file has no relative import
 */
export function styleOf(text: string, isModule: boolean): Style {
  const [, quote = "'"] = /from\s*(['"])/.exec(text) ?? [];
  const relative = [...text.matchAll(/from\s*['"]\.{1,2}\/[^'"]*?(\.js)?['"]/g)];
  const hasExtension = relative.length > 0 ? relative.some(([, extension]) => extension !== undefined) : isModule;
  const semicolon = /from\s*['"][^'"]*['"][ \t]*\r?\n/.test(text) ? '' : ';';
  return { quote, semicolon, extension: hasExtension ? '.js' : '' };
}

/** An import of a module: `type`, its default, its names in braces. */
function importPattern(module: string, flags: string): RegExp {
  const escaped = module.replace(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
  const names = String.raw`(?:([\w$]+)\s*,?\s*)?(?:\{([^}]*)\})?`;
  const end = String.raw`[ \t]*;?[ \t]*(?:\r?\n)?`;
  return new RegExp(String.raw`^import\s+(type\s+(?=[\w${'{'}]))?${names}\s*from\s*(['"])${escaped}\4${end}`, flags);
}

function namesIn(list: string): string[] {
  return list
    .split(',')
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

/** The text with these names imported from the module, added to its import or in a line after the last import. */
export function withImport(text: string, module: string, wanted: readonly string[], style: Style): string {
  const existing = [...text.matchAll(importPattern(module, 'gm'))].find(
    ([, isType, , list]) => isType === undefined && list !== undefined,
  );
  if (existing !== undefined) {
    const [whole, , , list = ''] = existing;
    const names = namesIn(list);
    const missing = wanted.filter((name) => !names.includes(name) && !names.includes(name.replace(/^type /, '')));
    if (missing.length === 0) {
      return text;
    }
    const isBroken = list.includes('\n');
    const separator = isBroken ? `,\n${/\n([ \t]+)/.exec(list)?.[1] ?? '  '}` : ', ';
    const added = list.trimEnd().replace(/,$/, '') + separator + missing.join(separator);
    const end = isBroken ? ',\n' : ' ';
    return text.replace(whole, () => whole.replace(list, () => added + end));
  }
  const areTypes = wanted.every((name) => name.startsWith('type '));
  const names = areTypes ? `type { ${wanted.map((name) => name.slice(5)).join(', ')} }` : `{ ${wanted.join(', ')} }`;
  const line = `import ${names} from ${style.quote}${module}${style.quote}${style.semicolon}\n`;
  const imports = [...text.matchAll(/^import\s(?:[^;'"]*?\sfrom\s*)?['"][^'"]+['"][^\n]*\n/gm)];
  const last = imports.at(-1);
  const at = last === undefined ? 0 : last.index + last[0].length;
  return text.slice(0, at) + line + text.slice(at);
}

/** The text without these names in its imports from the module; an import that is left with nothing goes. */
export function withoutImport(text: string, module: string, names: readonly string[]): string {
  const localName = (name: string) => (name.split(/\s+as\s+/).at(-1) ?? name).replace(/^type\s+/, '');
  return text.replace(
    importPattern(module, 'gm'),
    (whole: string, isType = '', defaultName: string | undefined, list = '', quote = "'") => {
      const kept = namesIn(list).filter((name) => !names.includes(localName(name)));
      const keptDefault = defaultName !== undefined && names.includes(defaultName) ? undefined : defaultName;
      if (kept.length === namesIn(list).length && keptDefault === defaultName) {
        return whole;
      }
      const parts = [keptDefault, kept.length === 0 ? undefined : `{ ${kept.join(', ')} }`];
      const clause = parts.filter((part) => part !== undefined).join(', ');
      const end = /[ \t]*;?[ \t]*(\r?\n)?$/.exec(whole)?.[0] ?? '';
      return clause === '' ? '' : `import ${isType}${clause} from ${quote}${module}${quote}${end}`;
    },
  );
}
