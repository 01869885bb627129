/** Before `npm pack`: the package carries the repository's README and licence. */
import { copyFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
for (const file of ['README.md', 'LICENSE']) {
  copyFileSync(join(root, file), join(root, 'libs', 'distributed-cache', file));
}
