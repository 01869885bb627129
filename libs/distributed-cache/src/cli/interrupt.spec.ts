import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { BuiltLibrary } from '../../../../test/support/built-library.js';
import { liveCaches } from '../../../../test/support/channel-for-test.js';
import { ownRedis } from '../../../../test/support/redis-for-test.js';

let library: BuiltLibrary;

beforeAll(async () => void (library = await BuiltLibrary.build()), 60_000);
afterAll(() => library?.remove());

/** The command line in a process of its own. */
function start(port: number, ...argv: readonly string[]) {
  const program = fileURLToPath(library.addressOf('cli/index.js'));
  const env = { PATH: process.env['PATH'], REDIS_URL: `redis://127.0.0.1:${port}` };
  const child = spawn(process.execPath, [program, ...argv], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const shown = { out: '', err: '' };
  child.stdout.on('data', (text) => (shown.out += String(text)));
  child.stderr.on('data', (text) => (shown.err += String(text)));
  return { child, shown, ended: once(child, 'exit') };
}

it('prints changes as they happen, one JSON object a line, and ends at Ctrl-C without a connection left', async () => {
  const server = await ownRedis();
  const [all] = await liveCaches(1, { redis: { host: '127.0.0.1', port: server.port } });
  const { child, shown, ended } = start(server.port, 'watch', '--json', '--ns', 'users', '--keys');
  await vi.waitFor(() => expect(shown.err).toContain('Watching'), { timeout: 10_000 });
  await all!.getCache('orders').set('other', 1);
  await all!.getCache('users').set('key', 'confidential');
  await vi.waitFor(() => expect(shown.out).toContain('"key"'));
  child.kill('SIGINT');
  expect(await ended).toEqual([130, null]);
  const lines = shown.out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as object);
  expect(lines).toContainEqual({ atMs: expect.any(Number), kind: 'key', namespace: 'users', name: 'key' });
  expect(shown.out).not.toMatch(/confidential|other/);
  await all!.close();
  await vi.waitFor(async () =>
    expect(
      String(await server.command('CLIENT', 'LIST'))
        .trimEnd()
        .split('\n'),
    ).toHaveLength(1),
  );
});

it('removes what it has measured with when it is interrupted', async () => {
  const server = await ownRedis();
  const { child, shown, ended } = start(server.port, 'bench', '--count', '100000');
  await vi.waitFor(async () => expect(Number(await server.command('DBSIZE'))).toBeGreaterThan(50), { timeout: 10_000 });
  child.kill('SIGINT');
  expect(await ended).toEqual([130, null]);
  expect(shown.err).toBe('');
  expect(await server.command('KEYS', '*')).toEqual([]);
});
