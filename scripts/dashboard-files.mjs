/**
 * `npm run dashboard`: writes the files that the admin page sends to browsers into a module, from the script and the style in
 * src/dashboard/client and from uPlot. As a module they are found in every build, also in an application that is bundled
 * into one file.
 */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';

const root = fileURLToPath(new URL('..', import.meta.url));
const folder = join(root, 'libs/distributed-cache/src/dashboard/client');
const uplot = join(root, 'node_modules/uplot');
const read = (...path) => readFileSync(join(...path), 'utf8');

const licence = `/*!\n${read(uplot, 'LICENSE').trim()}\n*/\n`;
const files = [
  ['page.js', 'text/javascript; charset=utf-8', read(folder, 'page.js')],
  ['page.css', 'text/css; charset=utf-8', read(folder, 'page.css') + read(uplot, 'dist/uPlot.min.css')],
  ['uplot.js', 'text/javascript; charset=utf-8', licence + read(uplot, 'dist/uPlot.iife.min.js')],
];
const version = createHash('sha256').update(JSON.stringify(files)).digest('hex').slice(0, 8);

const entries = files.map(([name, type, body]) => `  ['${name}', { type: '${type}', body: ${JSON.stringify(body)} }],`);
const module = `/* Written by \`npm run dashboard\` from page.js, page.css and uPlot: change those. */

/** A file of the page, as it is sent to browsers. */
export interface Asset {
  readonly type: string;
  readonly body: string;
}

/** A digest of the files, for their addresses. */
export const ASSET_VERSION = '${version}';

export const ASSETS: ReadonlyMap<string, Asset> = new Map([
${entries.join('\n')}
]);
`;
const file = join(folder, 'index.ts');
writeFileSync(file, await format(module, { ...(await resolveConfig(file)), filepath: file }));
