import { exec } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { redisAnswers } from '../../apps/keyword-insights/src/own-redis/redis-answers.js';
import { startOwnRedis } from '../../apps/keyword-insights/src/own-redis/start-own-redis.js';
import { freePort } from '../support/free-port.js';
import { ownRedis, redisForTest } from '../support/redis-for-test.js';
import { buildDemo, DemoProcess } from './demo-process.js';

const HEADERS = { 'x-demo-request': '1' };
const PATH = process.env['PATH'] ?? '';
const ROOT = join(import.meta.dirname, '../..');

/** A demo uses a Redis that answers there: then it starts none, and the tests of the process have nothing to test. */
const isDefaultPortTaken = await redisAnswers('localhost', 6379);

beforeAll(buildDemo, 120_000);

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** The demo with its Redis, whose process ends with the test in any case. */
async function startWithRedis(): Promise<{ demo: DemoProcess; pid: number; url: string }> {
  const demo = await DemoProcess.start({});
  await demo.untilReady();
  const { body } = await demo.ask('/demo/redis', { headers: HEADERS });
  const { pid, url } = JSON.parse(body) as { pid: number; url: string };
  onTestFinished(() => {
    if (isAlive(pid)) {
      process.kill(pid, 'SIGKILL');
    }
  });
  return { demo, pid, url };
}

describe.skipIf(isDefaultPortTaken)('the demo as a process, where no Redis answers', () => {
  it('starts its own Redis, prints that in its greeting, and uses it', async () => {
    const { demo, pid, url } = await startWithRedis();
    expect(isAlive(pid)).toBe(true);
    expect(demo.greetings).toHaveLength(1);
    expect(demo.greetings[0]).toContain(
      `No Redis answered at localhost:6379, so the demo started its own at ${url}/0.`,
    );
    expect(await demo.ask('/health')).toMatchObject({ status: 200, body: expect.stringContaining('"up"') });
    expect(demo.places['Command line']).toBe(`npx nestjs-distributed-cache stats --url ${url}`);
    expect(demo.places['More processes']).toBe(`PORT=${Number(demo.port) + 1} REDIS_URL=${url} npm start`);
    const { stdout } = await promisify(exec)(`${demo.places['Command line']} --json`, { cwd: ROOT });
    expect(JSON.parse(stdout)).toMatchObject({ processes: 1, unanswered: 0 });
    expect(await demo.ask('/')).toMatchObject({ status: 200, body: expect.stringContaining('Freeze Redis') });
    expect(demo.stderr).toBe('');
  });

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGKILL'] as const)('leaves no Redis behind after %s', async (signal) => {
    const { demo, pid } = await startWithRedis();
    demo.stop(signal);
    expect(await demo.ended()).toBe(signal);
    await vi.waitFor(() => expect(isAlive(pid)).toBe(false));
  });

  it.each(['SIGTERM', 'SIGKILL'] as const)('leaves no frozen Redis behind after %s', async (signal) => {
    const { demo, pid } = await startWithRedis();
    await demo.ask('/demo/redis/freeze', { method: 'POST', headers: HEADERS });
    demo.stop(signal);
    expect(await demo.ended()).toBe(signal);
    await vi.waitFor(() => expect(isAlive(pid)).toBe(false));
  });

  it('leaves no Redis behind that was killed and started', async () => {
    const { demo } = await startWithRedis();
    await demo.ask('/demo/redis/kill', { method: 'POST', headers: HEADERS });
    const { body } = await demo.ask('/demo/redis/start', { method: 'POST', headers: HEADERS });
    const { pid } = JSON.parse(body) as { pid: number };
    expect(isAlive(pid)).toBe(true);
    demo.stop('SIGKILL');
    await demo.ended();
    await vi.waitFor(() => expect(isAlive(pid)).toBe(false));
  });

  it('ends with code 1 on an invalid variable, although it has started a Redis', async () => {
    const demo = await DemoProcess.start({ CACHE_TTL_DEFAULT: '-1' });
    expect(await demo.ended()).toBe(1);
    expect(demo.stderr).toMatch(/CACHE_TTL_DEFAULT.*-1/);
  });

  it('serves from memory where redis-server is not installed', async () => {
    const emptyFolder = mkdtempSync(join(tmpdir(), 'empty-path-'));
    onTestFinished(() => rmSync(emptyFolder, { recursive: true }));
    const demo = await DemoProcess.start({ PATH: emptyFolder });
    await demo.untilReady();
    expect(demo.greetings[0]).toContain("Redis can't be used at redis://localhost:6379/0: the memory of this process");
    expect(await demo.ask('/demo/redis/kill', { method: 'POST', headers: HEADERS })).toMatchObject({ status: 404 });
    expect(await demo.ask('/insights/keywords/linux')).toMatchObject({ status: 200 });
  });
});

describe('startOwnRedis', () => {
  const free = async () => ({ host: '127.0.0.1', port: await freePort() });

  it('starts a Redis on another port where none answers at the default address', async () => {
    const address = await free();
    const started = await startOwnRedis({ PATH, REDIS_HOST: ' ' }, address);
    onTestFinished(() => started?.kill());
    expect(started).toMatchObject({ state: 'running' });
    expect(started?.url).not.toBe(`redis://127.0.0.1:${address.port}`);
  });

  it('starts none where a Redis answers, with an error too', async () => {
    const { host, port } = redisForTest();
    expect(await startOwnRedis({ PATH }, { host, port })).toBeUndefined();
    const withPassword = await ownRedis({ password: 'secret' });
    expect(await startOwnRedis({ PATH }, withPassword)).toBeUndefined();
  });

  it.each<[string, Record<string, string>]>([
    ['REDIS_HOST is set', { PATH, REDIS_HOST: 'localhost' }],
    ['another variable of Redis is set', { PATH, REDIS_CLUSTER_NODES: 'localhost:7000' }],
    ['the cache is switched off', { PATH, CACHE_ENABLED: 'False' }],
    ['redis-server is not on the PATH', { PATH: '/nowhere' }],
    ['there is no PATH', {}],
  ])('starts none where %s', async (_case, environment) => {
    expect(await startOwnRedis(environment, await free())).toBeUndefined();
  });
});
