import { posix } from 'node:path';
import { ARROWS, ENTRY, PACKAGE_RULES } from './architecture-rules.js';
import { forbiddenCommandsOf, importsOf } from './read-source.js';
import { tooLongFiles } from './source-shape.js';

/** Source files by their path below src, with forward slashes. */
export type Sources = ReadonlyMap<string, string>;

/** One complaint per line, each beginning with the file; empty where there is none. */
export function checkArchitecture(sources: Sources): string[] {
  if (sources.size === 0) {
    return ['no source file was read'];
  }
  const complaints: string[] = [];
  const graph = new Map<string, string[]>();
  for (const [path, text] of sources) {
    const folder = folderOf(path);
    if (!(folder in ARROWS)) {
      complaints.push(`${path}: ${folder} is no known folder`);
    }
    const targets: string[] = [];
    for (const { specifier, line } of importsOf(path, text)) {
      if (specifier.startsWith('.')) {
        const target = posix.join(posix.dirname(path), specifier).replace(/\.js$/, '.ts');
        targets.push(target);
        complaints.push(...checkArrow(`${path}:${line}`, folder, target, sources));
      } else {
        complaints.push(...checkPackage(`${path}:${line}`, path, specifier));
      }
    }
    graph.set(path, targets);
    for (const { command, line } of forbiddenCommandsOf(path, text)) {
      complaints.push(`${path}:${line}: ${command} looks at keys that are not ours`);
    }
  }
  return [...complaints, ...tooLongFiles(sources), ...cyclesOf(graph)];
}

function folderOf(path: string): string {
  return path.split('/')[0] ?? path;
}

function checkArrow(place: string, folder: string, target: string, sources: Sources): string[] {
  const targetFolder = folderOf(target);
  if (!sources.has(target)) {
    return [`${place}: imports ${target}, which is not a file of src`];
  }
  if (targetFolder !== folder && (targetFolder === ENTRY || !ARROWS[folder]?.includes(targetFolder))) {
    return [`${place}: ${folder} may not import ${targetFolder} (${target})`];
  }
  return [];
}

function checkPackage(place: string, path: string, specifier: string): string[] {
  const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
  return PACKAGE_RULES.filter(({ packages }) => packages.test(name))
    .filter(({ onlyIn }) => !onlyIn.some((folder) => path.startsWith(`${folder}/`)))
    .map(({ onlyIn }) => `${place}: ${name} may be imported in ${onlyIn.join(', ') || 'no file of src'} only`)
    .slice(0, 1);
}

/** Depth-first search; each cycle is reported once, from the file in which it was entered. */
function cyclesOf(graph: ReadonlyMap<string, readonly string[]>): string[] {
  const complaints: string[] = [];
  const finished = new Set<string>();
  const trail: string[] = [];
  const visit = (path: string): void => {
    const start = trail.indexOf(path);
    if (start >= 0) {
      complaints.push(`${path}: import cycle ${[...trail.slice(start), path].join(' -> ')}`);
      return;
    }
    if (finished.has(path)) {
      return;
    }
    trail.push(path);
    for (const target of graph.get(path) ?? []) {
      visit(target);
    }
    trail.pop();
    finished.add(path);
  };
  for (const path of graph.keys()) {
    visit(path);
  }
  return complaints;
}
