import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { cacheForTest } from '../support/cache-for-test.js';
import { RedisServer } from '../support/redis-server.js';

const run = promisify(execFile);

/** The commands of the section of docs/operations.md with this title, for a server on this port. */
async function commandsOf(title: string, port: number): Promise<string[]> {
  const page = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8');
  const section = page.split(/^## /m).find((text) => text.startsWith(`${title}\n`)) ?? '';
  return [...section.matchAll(/```bash\n([\s\S]*?)```/g)].map(([, block = '']) =>
    block.replaceAll('redis-cli ', `redis-cli -p ${port} `),
  );
}

async function twoProcesses() {
  const server = await RedisServer.start();
  onTestFinished(() => server.stop());
  const open = async () => {
    const all = cacheForTest({ redis: { url: server.url } });
    await all.connect();
    return all.getCache<number>('users');
  };
  const [first, second] = [await open(), await open()];
  await first.setMany([1, 2].map((id) => [`user:${id}`, id]));
  expect(await second.getMany(['user:1', 'user:2'])).toEqual([1, 2]); // now in L1 of both
  return { server, first, second };
}

describe('the commands of docs/operations.md', () => {
  it('remove one entry from every process, and leave the others', async () => {
    const { server, first, second } = await twoProcesses();
    for (const command of await commandsOf('Remove one entry', server.port)) {
      await run('bash', ['-c', command]);
    }
    for (const cache of [first, second]) {
      await vi.waitFor(async () => expect(await cache.getMany(['user:1', 'user:2'])).toEqual([undefined, 2]));
    }
  });

  it('empty a namespace in every process, then free its memory', async () => {
    const { server, first, second } = await twoProcesses();
    const [emptying = '', freeing = ''] = await commandsOf('Empty a namespace', server.port);
    await run('bash', ['-c', emptying]);
    for (const cache of [first, second]) {
      await vi.waitFor(async () => expect(await cache.getMany(['user:1', 'user:2'])).toEqual([undefined, undefined]));
    }
    expect(await server.command('EXISTS', 'cache:users:user:1', 'cache:users:user:2')).toBe(2);
    await run('bash', ['-c', freeing]);
    expect(await server.command('EXISTS', 'cache:users:user:1', 'cache:users:user:2')).toBe(0);
  });

  it('empty all namespaces of the cache, and nothing of another program', async () => {
    const { server, first, second } = await twoProcesses();
    await server.command('SET', 'other', 'program');
    for (const command of await commandsOf('Empty everything', server.port)) {
      await run('bash', ['-c', command]);
    }
    for (const cache of [first, second]) {
      await vi.waitFor(async () => expect(await cache.get('user:1')).toBeUndefined());
    }
    expect(await server.command('GET', 'other')).toBe('program');
  });
});
