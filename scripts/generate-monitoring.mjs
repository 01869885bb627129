/** `npm run monitoring`: writes the dashboards, rules and alerts of the package from libs/distributed-cache/monitoring. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';

const library = fileURLToPath(new URL('../libs/distributed-cache', import.meta.url));
const work = mkdtempSync(join(library, 'node_modules-monitoring-'));
try {
  const build = await rolldown({
    input: { files: join(library, 'monitoring/files.ts') },
    platform: 'node',
    external: /^@grafana/,
  });
  await build.write({ dir: work, entryFileNames: '[name].mjs' });
  const { monitoringFiles } = await import(pathToFileURL(join(work, 'files.mjs')).href);
  const { homepage } = JSON.parse(readFileSync(join(library, 'package.json'), 'utf8'));
  for (const [path, text] of monitoringFiles(homepage)) {
    mkdirSync(join(library, path, '..'), { recursive: true });
    writeFileSync(join(library, path), text);
  }
} finally {
  rmSync(work, { recursive: true, force: true });
}
