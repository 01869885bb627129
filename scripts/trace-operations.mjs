/**
 * `npm run trace`: how many files and functions of the library each operation passes through, by V8's precise coverage of one call
 * on a warm cache beside a real Redis. `--files <part of a name>` lists the files and functions of some operations.
 */
import 'reflect-metadata';
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { Session } from 'node:inspector';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { NestFactory } from '@nestjs/core';
import { Redis } from 'ioredis';
import { findRedisServer } from './find-redis.mjs';

const DIST = new URL('../libs/distributed-cache/dist/', import.meta.url).href;
/** Calls before the one that is measured: connections, scripts, stamps and predictions are in place then. */
const WARM_CALLS = 5;
/** So long, in milliseconds, work is waited for that an operation leaves behind. */
const AT_REST_MS = 200;

const { values } = parseArgs({ options: { files: { type: 'string' } } });
const { Cached, DistributedCache, DistributedCacheModule } = await import(`${DIST}index.js`);
const session = new Session();
session.connect();
session.post('Profiler.enable');
session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });

/** The functions that have run since the last call. The inspector answers before `post` returns. */
function takeCoverage() {
  let scripts = [];
  session.post('Profiler.takePreciseCoverage', (_error, { result }) => (scripts = result));
  return scripts;
}

/**
 * The functions of the library that run during `operation`, by file.
 * @param {() => Promise<unknown>} operation
 * @param {() => Promise<unknown> | undefined} before in the same turn of the event loop: reads the coarse clock, which the turn shares
 */
async function trace(operation, before) {
  await delay(AT_REST_MS); // nothing is under way
  const preceding = before();
  takeCoverage(); // resets the counts
  await operation();
  const scripts = takeCoverage();
  await preceding;
  const files = new Map();
  for (const { url, functions } of scripts.filter((script) => script.url.startsWith(DIST))) {
    // the function at offset 0 is the module itself
    const called = functions.filter(({ ranges }) => ranges[0].startOffset > 0 && ranges[0].count > 0);
    if (called.length > 0) {
      files.set(
        url.slice(DIST.length),
        called.map(({ functionName, ranges }) => ({ functionName, calls: ranges[0].count })),
      );
    }
  }
  return files;
}

class Words {
  async find(word) {
    return { word };
  }
}
const found = Object.getOwnPropertyDescriptor(Words.prototype, 'find');
Object.defineProperty(Words.prototype, 'find', Cached({ ttl: '1h' })(Words.prototype, 'find', found) ?? found);

const folder = mkdtempSync(join(tmpdir(), 'ndc-trace-'));
const socket = join(folder, 'redis.sock');
const server = spawn(findRedisServer() ?? 'redis-server', ['--port', '0', '--unixsocket', socket, '--save', ''], {
  stdio: 'ignore',
});
try {
  const other = new Redis(socket, { retryStrategy: () => 20 });
  other.on('error', () => {}); // until the server listens
  await other.ping();
  const redis = { clientOptions: { path: socket } };
  class App {}
  const application = await NestFactory.createApplicationContext(
    { module: App, imports: [DistributedCacheModule.forRoot({ redis, heartbeatMs: 60_000 })], providers: [Words] },
    { logger: false },
  );
  const words = application.get(Words);
  const cache = application.get(DistributedCache).getCache('trace');
  let number = 0;
  const load = async () => ({ text: 'loaded' });
  const forget = async (key) => {
    const bytes = await other.getBuffer(`cache:trace:${key}`);
    await other.set(`cache:trace:${key}`, bytes, 'KEEPTTL'); // a change by another client: L1 drops its copy
    await delay(AT_REST_MS);
  };
  /** Each is prepared by the first function and measured in the second. */
  const operations = {
    'decorated L1 hit': [() => words.find('a'), () => words.find('a')],
    'L1 hit': [() => cache.getOrSet('hit', load), () => cache.getOrSet('hit', load)],
    'L2 hit': [() => cache.set('l2', 1).then(() => forget('l2')), () => cache.getOrSet('l2', load)],
    miss: [() => {}, () => cache.getOrSet(`miss${number++}`, load)],
    set: [() => {}, () => cache.set(`set${number++}`, 1)],
    delete: [() => cache.set('delete', 1), () => cache.delete('delete')],
    'incoming invalidation': [() => cache.set('told', 1), () => forget('told')],
  };
  console.log('| operation | files | functions | calls | by folder |\n| --- | --- | --- | --- | --- |');
  for (const [name, [prepare, operation]] of Object.entries(operations)) {
    for (let warm = 0; warm < WARM_CALLS; warm++) {
      await prepare();
      await operation();
    }
    await prepare();
    const isHit = name.endsWith('L1 hit');
    const files = await trace(operation, () => (isHit ? operation() : undefined));
    const functions = [...files.values()].flat();
    const calls = functions.reduce((sum, each) => sum + each.calls, 0);
    const folders = new Map();
    for (const file of files.keys()) {
      const room = file.split('/')[0];
      folders.set(room, (folders.get(room) ?? 0) + 1);
    }
    const byFolder = [...folders].map(([room, count]) => `${room} ${count}`).join(', ');
    console.log(`| ${name} | ${files.size} | ${functions.length} | ${calls} | ${byFolder} |`);
    if (values.files !== undefined && name.includes(values.files)) {
      for (const [file, called] of files) {
        console.log(
          `${file}: ${called.map(({ functionName, calls: times }) => `${functionName || 'anonymous'} ${times}`).join(', ')}`,
        );
      }
    }
  }
  await application.close();
  other.disconnect();
} finally {
  server.kill();
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);
