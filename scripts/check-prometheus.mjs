/**
 * `npm run check:prometheus`: metrics, dashboards and rules in a real Prometheus. Every metric that an application can show must
 * arrive, in both content types. Every expression of the dashboards and rules must have data of three processes of the demo and of
 * two days of history, and the loss of any metric must be noticed. Every alert must fire when its condition is made to
 * happen, and end with it. Nothing is installed, and every process ends with this one. Needs `npm run build`.
 *
 * `--pictures` writes what the dashboards show to docs/pictures.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runnerImport } from 'vite';
import { findPrometheus, findRedisServer } from './find-redis.mjs';

const work = mkdtempSync(join(tmpdir(), 'check-prometheus-'));
const pictures = process.argv.includes('--pictures')
  ? fileURLToPath(new URL('../docs/pictures', import.meta.url))
  : work;

if ([findPrometheus('prometheus'), findPrometheus('promtool'), findRedisServer()].includes(undefined)) {
  console.log('Left out: there is no prometheus with its promtool. Install the package prometheus.');
  process.exit(process.env.CI ? 1 : 0);
}
try {
  const { checkMetrics } = await load('check-metrics.ts');
  console.log(await checkMetrics());
  const { checkDashboards } = await load('check-dashboards.ts');
  console.log((await checkDashboards(pictures)).join('\n'));
  const { checkAlerts } = await load('check-alerts.ts');
  console.log(await checkAlerts());
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
} finally {
  rmSync(work, { recursive: true });
}
process.exit();

/** @param {string} file of test/monitoring */
async function load(file) {
  const path = fileURLToPath(new URL(`../test/monitoring/${file}`, import.meta.url));
  const { module } = await runnerImport(path, { configFile: false, logLevel: 'warn' });
  return module;
}
