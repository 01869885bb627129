/**
 * `npm run trace`: how many files and functions of the library each operation passes through, by V8's precise coverage of one call
 * on a warm cache beside a real Redis. `--files <part of a name>` lists the files and functions of some operations.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import { findRedisServer } from './find-redis.mjs';
import { AT_REST_MS, TracedLibrary } from './traced-library.mjs';

const DIST = new URL('../libs/distributed-cache/dist/', import.meta.url).href;
/** Calls before the one that is measured: connections, scripts, stamps and predictions are in place then. */
const WARM_CALLS = 5;

const { values } = parseArgs({ options: { files: { type: 'string' } } });
const folder = mkdtempSync(join(tmpdir(), 'ndc-trace-'));
const socket = join(folder, 'redis.sock');
const server = spawn(findRedisServer() ?? 'redis-server', ['--port', '0', '--unixsocket', socket, '--save', ''], {
  stdio: 'ignore',
});
try {
  const other = new Redis(socket, { retryStrategy: () => 20 });
  other.on('error', () => {}); // until the server listens
  await other.ping();
  const library = await TracedLibrary.open(DIST, { redis: { clientOptions: { path: socket } } });
  const { words, cache } = library;
  let number = 0;
  const load = async () => ({ text: 'loaded' });
  const forget = async (key) => {
    const bytes = await other.getBuffer(`cache:trace:${key}`);
    await other.set(`cache:trace:${key}`, bytes, 'KEEPTTL'); // a change by another client: L1 drops its copy
    await delay(AT_REST_MS);
  };
  /** Each is prepared by the first function and measured in the second. */
  const operations = {
    'decorated L1 hit': [() => {}, () => words.find('a')],
    'L1 hit': [() => {}, () => cache.getOrSet('hit', load)],
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
    const files = await (name.endsWith('L1 hit') ? library.traceLocalHit(operation) : library.trace(operation));
    const functions = [...files.values()].flat();
    const calls = functions.reduce((sum, each) => sum + each.calls, 0);
    const folders = new Map();
    for (const file of files.keys()) {
      const [first] = file.split('/');
      folders.set(first, (folders.get(first) ?? 0) + 1);
    }
    const byFolder = [...folders].map(([each, count]) => `${each} ${count}`).join(', ');
    console.log(`| ${name} | ${files.size} | ${functions.length} | ${calls} | ${byFolder} |`);
    if (values.files !== undefined && name.includes(values.files)) {
      for (const [file, called] of files) {
        console.log(
          `${file}: ${called.map(({ functionName, calls: times }) => `${functionName || 'anonymous'} ${times}`).join(', ')}`,
        );
      }
    }
  }
  await library.close();
  other.disconnect();
} finally {
  server.kill();
  rmSync(folder, { recursive: true, force: true });
}
process.exit(0);
