/**
 * A check that looks at no file always passes. This one fails when lint, format or typecheck have lost sight of
 * the library's source, for instance through a pattern in an ignore file.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { getFileInfo } from 'prettier';
import { root } from './packed-apps.mjs';
import { check, runCommand } from './run-command.mjs';

const SOURCE = 'libs/distributed-cache/src';
const files = readdirSync(join(root, SOURCE), { recursive: true, encoding: 'utf8' })
  .filter((path) => path.endsWith('.ts'))
  .map((path) => join(SOURCE, path));

check('the source has files', () => seen(files.length));

check('the linter sees them', () => {
  const output = run('oxlint', '--allow', 'all', SOURCE); // whether they are clean is not asked here
  return seen(Number(/ on (\d+) files?/.exec(output)?.[1]));
});

const ignorePath = ['.gitignore', '.prettierignore'].map((name) => join(root, name));
const infos = await Promise.all(files.map((file) => getFileInfo(join(root, file), { ignorePath })));
check('the formatter sees them', () => seen(infos.filter((info) => !info.ignored && info.inferredParser).length));

check('the typecheck sees them', () => {
  const listed = run('tsc', '-p', 'tsconfig.json', '--listFilesOnly').split('\n');
  return seen(listed.filter((path) => path.includes(`/${SOURCE}/`)).length);
});

/**
 * @param {string} program
 * @param {string[]} args
 */
function run(program, ...args) {
  return runCommand(join(root, 'node_modules/.bin', program), args, { cwd: root });
}

/** @param {number} count */
function seen(count) {
  if (!(count > 0) || count < files.length) {
    throw new Error(`${count || 'no'} of ${files.length} files of ${SOURCE}`);
  }
  return `${count} files`;
}
