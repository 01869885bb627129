/**
 * Before `npm pack`: the package carries the repository's README, documentation and licence.
 *
 * npm's page resolves a relative link against the root of the repository, and an editor resolves it against the folder
 * of the package; the same path leads to docs/ in both (for this reason `repository` in package.json has no
 * `directory`). A link to a file that is not in the package becomes a link to the repository.
 */
import { copyFileSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const library = join(root, 'libs', 'distributed-cache');
const { homepage } = JSON.parse(readFileSync(join(library, 'package.json'), 'utf8'));
const repository = homepage.replace(/#.*$/, '');
const docs = readdirSync(join(root, 'docs')).filter((name) => name.endsWith('.md'));
const pages = ['README.md', ...docs.map((name) => `docs/${name}`)];

rmSync(join(library, 'docs'), { recursive: true, force: true });
mkdirSync(join(library, 'docs'));
copyFileSync(join(root, 'LICENSE'), join(library, 'LICENSE'));
for (const page of pages) {
  const text = readFileSync(join(root, page), 'utf8');
  writeFileSync(
    join(library, page),
    text.replace(/(!?)(\[[^\]]*\])\((?!\w+:|#)([^)#\s]+)/g, (link, image, label, path) => {
      const target = posix.join(posix.dirname(page), path);
      return pages.includes(target) ? link : `${image}${label}(${repository}/${image ? 'raw' : 'blob'}/HEAD/${target}`;
    }),
  );
}
