import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { BuiltLibrary } from '../support/built-library.js';
import { redisForTest } from '../support/redis-for-test.js';
import { TestProcess } from '../support/test-process.js';
import { bodyOf, get } from './http-client.js';
import type { Platform } from './sample-application.js';

/** All processes answer for one host: the key has it. */
const HOST = { host: 'app.example' };
/** `.ci/run` takes 1,000. */
const TURNS = Number(process.env['PURGE_TURNS'] ?? 40);

let library: BuiltLibrary;
beforeAll(async () => {
  library = await BuiltLibrary.build();
});
afterAll(() => library.remove());

/** One application in a process of its own. */
const startPod = (platform: Platform, options: object): Promise<TestProcess> => {
  const addresses = [library.addressOf('nest/index.js'), library.addressOf('http/index.js')];
  return TestProcess.start(join(import.meta.dirname, 'pod.mjs'), ...addresses, platform, JSON.stringify(options));
};

async function startPods(...platforms: readonly Platform[]): Promise<TestProcess[]> {
  const { url, keyPrefix } = redisForTest();
  return Promise.all(platforms.map((platform) => startPod(platform, { redis: { url }, keyPrefix })));
}

async function runsOf(pods: readonly TestProcess[]): Promise<number> {
  const runs = await Promise.all(pods.map((pod) => pod.call('runs')));
  return runs.reduce<number>((sum, count) => sum + Number(count), 0);
}

describe('the response caches of several processes on one Redis', () => {
  it('run a handler once for 50 requests at once, on Express and Fastify', async () => {
    const pods = await startPods('express', 'fastify', 'express', 'fastify');
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, index) => get(pods[index % 4]?.port ?? 0, '/slow', HOST)),
    );
    expect(new Set(answers.map((answer) => `${answer.status} ${bodyOf(answer)}`)).size).toBe(1);
    expect(await runsOf(pods)).toBe(1);
    expect(pods.map(({ exitCode }) => exitCode)).toEqual([null, null, null, null]);
  });

  it('answer the waiters of a process that is killed while its handler runs', async () => {
    const [doomed, ...others] = await startPods('express', 'express', 'fastify');
    const began = doomed?.untilStarted('hang');
    const lost = get(doomed?.port ?? 0, '/hang', HOST).catch(() => 'lost');
    await began;
    const waiters = others.flatMap(({ port }) => [get(port, '/hang', HOST), get(port, '/hang', HOST)]);
    doomed?.child.kill('SIGKILL');
    expect(await lost).toBe('lost');
    const bodies = (await Promise.all(waiters)).map((answer) => `${answer.status} ${bodyOf(answer)}`);
    expect(new Set(bodies).size).toBe(1);
    expect(bodies[0]).toMatch(/^200 {"pod":\d+}$/);
    expect(await runsOf(others)).toBe(1);
  });

  it('answer the waiters of a process that is frozen while its handler runs, and do not keep what it answers late', async () => {
    const [frozen, ...others] = (await startPods('express', 'express', 'fastify')) as [
      TestProcess,
      TestProcess,
      TestProcess,
    ];
    const began = frozen.untilStarted('hang');
    const late = get(frozen.port, '/hang', HOST);
    await began;
    const waiters = others.flatMap(({ port }) => [get(port, '/hang', HOST), get(port, '/hang', HOST)]);
    frozen.child.kill('SIGSTOP');
    const bodies = (await Promise.all(waiters)).map((answer) => `${answer.status} ${bodyOf(answer)}`);
    expect(new Set(bodies).size).toBe(1);
    expect(await runsOf(others)).toBe(1);
    frozen.child.kill('SIGCONT');
    expect(bodyOf(await late)).toBe(`{"pod":${frozen.child.pid}}`);
    for (const { port } of [frozen, ...others]) {
      await vi.waitFor(async () => expect(`200 ${bodyOf(await get(port, '/hang', HOST))}`).toBe(bodies[0]));
    }
  });

  it.each(['/row', '/refreshed'])(
    'answer no old body of %s after an awaited purge and its message, whatever requests and refreshes are under way',
    async (path) => {
      const [writer, reader] = (await startPods('express', 'fastify')) as [TestProcess, TestProcess];
      const state = { isOver: false, reads: 0 };
      const read = async ({ port }: TestProcess) => {
        state.reads++;
        const { version } = JSON.parse(bodyOf(await get(port, path, HOST))) as { version: number };
        return version;
      };
      // Requests at all times, in both processes: loads begin before a change and end after it.
      const noise = [writer, reader].map(async (pod) => {
        while (!state.isOver) {
          await read(pod);
        }
      });
      const old: object[] = [];
      let late = 0;
      const turns = path === '/row' ? TURNS : TURNS / 4;
      for (let turn = 1; turn <= turns; turn++) {
        const kind = ['url', 'tag', 'all'][turn % 3];
        await writer.call('change', turn, kind, `http://app.example${path}`);
        const [here, there] = await Promise.all([read(writer), read(reader)]);
        if (there < turn) {
          late++; // Redis had answered the one process, and not yet told the other one
          await vi.waitFor(async () => expect(await read(reader)).toBe(turn));
        }
        const again = await read(reader);
        if (here !== turn || again !== turn) {
          old.push({ turn, kind, here, again });
        }
      }
      state.isOver = true;
      await Promise.all(noise);
      expect(old).toEqual([]);
      expect(late).toBeLessThan(turns / 20 + 1);
      expect(await runsOf([writer, reader])).toBeLessThan(state.reads);
      expect([writer.exitCode, reader.exitCode]).toEqual([null, null]);
    },
  );

  it('answer with the new body soon after a soft purge, and never with an older one than before', async () => {
    const [writer, reader] = (await startPods('express', 'fastify')) as [TestProcess, TestProcess];
    const read = async ({ port }: TestProcess) =>
      (JSON.parse(bodyOf(await get(port, '/refreshed', HOST))) as { version: number }).version;
    const backwards: object[] = [];
    for (let turn = 1; turn <= TURNS / 10; turn++) {
      const seen = [await read(writer), await read(reader)];
      await writer.call('change', turn, 'soft', 'http://app.example/refreshed');
      for (const [index, pod] of [writer, reader].entries()) {
        await vi.waitFor(async () => {
          const version = await read(pod);
          if (version < (seen[index] ?? 0)) {
            backwards.push({ turn, index, version });
          }
          expect(version).toBe(turn);
        });
      }
    }
    expect(backwards).toEqual([]);
  });
});
