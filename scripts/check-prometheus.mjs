/**
 * `npm run check:prometheus`: the metrics of a running application, in a real Prometheus. An application with two caches over
 * a Redis of its own makes each metric move. `promtool check metrics` must have nothing to say about either content type.
 * Then a Prometheus with exemplar storage scrapes the application: every metric must be there, and the exemplar of a load
 * under a trace must come back. Nothing is installed, and every process ends with this one. Needs `npm run build`.
 */
import { context, trace, TraceFlags } from '@opentelemetry/api';
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createDistributedCache } from 'nestjs-distributed-cache/core';
import { registerCacheMetrics } from 'nestjs-distributed-cache/prometheus';
import { Registry } from 'prom-client';
import { findPrometheus, findRedisServer } from './find-redis.mjs';

const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736';
const WAIT_MS = 30_000;

const programs = [findPrometheus('prometheus'), findPrometheus('promtool'), findRedisServer()];
const work = mkdtempSync(join(tmpdir(), 'check-prometheus-'));
/** @type {(() => unknown)[]} */
const cleanUp = [() => rmSync(work, { recursive: true, force: true })];

const [prometheusBin, promtoolBin, redisServerBin] = programs;
if (prometheusBin === undefined || promtoolBin === undefined || redisServerBin === undefined) {
  console.log('Left out: there is no prometheus with its promtool. Install the package prometheus.');
  process.exitCode = process.env.CI ? 1 : 0;
} else {
  try {
    await check(prometheusBin, promtoolBin, redisServerBin);
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  } finally {
    for (const end of cleanUp.toReversed()) {
      await end();
    }
  }
}

/**
 * @param {string} prometheus
 * @param {string} promtool
 * @param {string} redisServer
 */
async function check(prometheus, promtool, redisServer) {
  const redisPort = await freePort();
  run(redisServer, ['--port', String(redisPort), '--bind', '127.0.0.1', '--save', '', '--dir', work]);
  const { text, open } = await application(`redis://127.0.0.1:${redisPort}`);
  for (const [name, registry] of /** @type {const} */ ([
    ['text', text],
    ['OpenMetrics', open],
  ])) {
    lint(promtool, name, asTextFormat(await registry.metrics()));
  }
  const { url: target } = await serve(open);
  const api = await startPrometheus(prometheus, target);
  const names = (await open.getMetricsAsJSON()).map(({ name, type }) => seriesOf(name, String(type)));
  await until('every metric in Prometheus', async () => {
    const { data } = await api('label/__name__/values');
    const missing = names.filter((name) => !data.includes(name));
    return missing.length === 0 ? true : `missing: ${missing.join(', ')}`;
  });
  const [scraped] = (await api('targets')).data.activeTargets;
  if (scraped.health !== 'up') {
    throw new Error(`Prometheus can't read the metrics: ${scraped.lastError}`);
  }
  await until('the exemplar', async () => {
    const now = Date.now() / 1000;
    const query = new URLSearchParams({
      query: 'cache_load_duration_seconds_bucket',
      start: String(now - 600),
      end: String(now + 60),
    });
    const { data } = await api(`query_exemplars?${query}`);
    const traces = data.flatMap((/** @type {any} */ series) => series.exemplars).map(({ labels }) => labels.trace_id);
    return traces.includes(TRACE_ID) ? true : `found: ${JSON.stringify(traces)}`;
  });
  console.log(`${names.length} metrics in Prometheus, promtool content with both types, the exemplar came back`);
}

/** Uses a cache so that every metric has a sample. @param {string} url */
async function application(url) {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  const options = { redis: { url }, keyPrefix: 'check', heartbeatMs: 300, local: { maxEntries: 50 } };
  const [cache, other] = [await createDistributedCache(options), await createDistributedCache(options)];
  cleanUp.push(
    () => cache.close(),
    () => other.close(),
  );
  await until(
    'Redis',
    async () => (await cache.healthCheck()).redisConnected && (await other.healthCheck()).redisConnected,
  );
  const text = new Registry();
  /** @type {import('prom-client').Registry<import('prom-client').OpenMetricsContentType>} */
  const open = new Registry();
  open.setContentType(Registry.OPENMETRICS_CONTENT_TYPE);
  for (const registry of [text, open]) {
    registerCacheMetrics(registry, cache, { byMethod: true, group: (_namespace, key) => key.slice(0, 5) });
  }
  const users = cache.getCache('users');
  const span = { traceId: TRACE_ID, spanId: '00f067aa0ba902b7', traceFlags: TraceFlags.SAMPLED };
  await context.with(trace.setSpanContext(context.active(), span), () => users.getOrSet('traced', () => sleep(20, 1)));
  for (let index = 0; index < 100; index++) {
    const load = async () => ({ text: 'word '.repeat(500), index });
    await users.getOrSet(`Users.find(${index})`, load, { tags: ['all'] });
    await users.getOrSet(`Users.find(${index})`, load);
  }
  await users.set('key', 1);
  await users.set('refused', () => 1);
  await users.getMany(['key', 'refused']);
  await users.invalidateTags('all');
  await other.getCache('users').set('key', 2);
  await users.getOrSet('fails', () => Promise.reject(new Error('no'))).catch(() => {});
  await until('a heartbeat', async () => !(await open.metrics()).includes('cache_invalidation_lag_seconds_count 0'));
  return { text, open };
}

/**
 * promtool reads the text format. OpenMetrics has exemplars besides, and names a counter without `_total` in its metadata; both
 * are checked by the scrape.
 * @param {string} metrics
 */
function asTextFormat(metrics) {
  const counters = [...metrics.matchAll(/^# TYPE (\S+) counter$/gm)].map(([, name]) => name);
  const ofCounters = new Set(counters.filter((name) => !name?.endsWith('_total')));
  return metrics
    .replaceAll(/ # \{.*$/gm, '')
    .replaceAll(/^# (HELP|TYPE) (\S+)/gm, (line, _kind, name) => (ofCounters.has(name) ? `${line}_total` : line));
}

/** @param {string} promtool @param {string} name @param {string} metrics */
function lint(promtool, name, metrics) {
  const { status, stdout, stderr } = spawnSync(promtool, ['check', 'metrics'], { input: metrics, encoding: 'utf8' });
  const found = `${stdout}${stderr}`.trim();
  if (status !== 0 || found !== '') {
    throw new Error(`promtool check metrics (${name}) ended with ${status}:\n${found}\n${metrics}`);
  }
}

/** @param {import('prom-client').Registry<import('prom-client').OpenMetricsContentType>} registry */
async function serve(registry) {
  const server = createServer((_request, response) => {
    registry.metrics().then(
      (metrics) => response.setHeader('content-type', registry.contentType).end(metrics),
      (error) => response.writeHead(500).end(String(error)),
    );
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanUp.push(
    () => server.closeAllConnections(),
    () => server.close(),
  );
  const address = server.address();
  return { url: `127.0.0.1:${typeof address === 'object' ? address?.port : ''}` };
}

/** @param {string} prometheus @param {string} target */
async function startPrometheus(prometheus, target) {
  const port = await freePort();
  const config = join(work, 'prometheus.yml');
  writeFileSync(
    config,
    `global: { scrape_interval: 500ms, scrape_timeout: 500ms }
scrape_configs: [{ job_name: demo, static_configs: [{ targets: ['${target}'] }] }]
`,
  );
  run(prometheus, [
    `--config.file=${config}`,
    `--storage.tsdb.path=${join(work, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
    '--enable-feature=exemplar-storage',
    '--log.level=error',
  ]);
  const api = async (/** @type {string} */ path) => (await fetch(`http://127.0.0.1:${port}/api/v1/${path}`)).json();
  await until('a ready Prometheus', () =>
    fetch(`http://127.0.0.1:${port}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    ),
  );
  return api;
}

/** The series of a metric that is always there. @param {string} name @param {string} type */
function seriesOf(name, type) {
  const base = name.replace(/_total$/, '');
  return type === 'counter' ? `${base}_total` : type === 'histogram' ? `${name}_count` : name;
}

/** Starts a program that ends with this process. @param {string} program @param {string[]} args */
function run(program, args) {
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
  cleanUp.push(async () => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
}

/** @param {string} what @param {() => Promise<boolean | string>} isDone a text: not yet, and why */
async function until(what, isDone) {
  let last;
  for (const endsAtMs = Date.now() + WAIT_MS; Date.now() < endsAtMs; await sleep(100)) {
    last = await isDone();
    if (last === true) {
      return;
    }
  }
  throw new Error(`waited in vain for ${what}: ${last}`);
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  return typeof address === 'object' ? (address?.port ?? 0) : 0;
}
