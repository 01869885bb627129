import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { join } from 'node:path';
import { beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { freePort } from '../support/free-port.js';
import { ownRedis, redisForTest } from '../support/redis-for-test.js';
import { buildDemo, DemoProcess } from './demo-process.js';

const TERM = '/insights/keywords/linux';

beforeAll(buildDemo, 120_000);

describe('the demo as a process', () => {
  it('prints in one line that Redis answers and which address to open, and serves requests', async () => {
    const { host, port, keyPrefix } = redisForTest();
    const demo = await DemoProcess.start({ REDIS_HOST: host, REDIS_PORT: String(port), CACHE_KEY_PREFIX: keyPrefix });
    await demo.untilReady();
    expect(demo.greetings).toEqual([
      `Keyword Insights is ready: open http://localhost:${demo.port} (API: http://localhost:${demo.port}/docs, ` +
        `health: http://localhost:${demo.port}/health). Redis answers at redis://${host}:${port}/0: the cache is shared, ` +
        'with the memory of this process in front.',
    ]);
    expect(await demo.ask(TERM)).toMatchObject({ status: 200, cacheStatus: 'keywords; fwd=miss; stored' });
    expect(await demo.ask(TERM)).toMatchObject({ status: 200, cacheStatus: expect.stringContaining('detail=local') });
    expect(await demo.ask('/docs')).toMatchObject({ status: 200 });
    const places = demo.places;
    expect(await demo.ask(new URL(places['Admin page']!).pathname)).toMatchObject({ status: 200 });
    expect(await demo.ask(new URL(places['Metrics']!).pathname)).toMatchObject({ status: 200 });
    expect(existsSync(join(places['Dashboards']!.split(' ')[0]!, 'overview.json'))).toBe(true);
    expect(places['Command line']).toBe('npx nestjs-distributed-cache stats'); // finds Redis by the same variables
    expect(demo.stderr).toBe('');
    expect(demo.stdout).not.toMatch(/WARN|ERROR/);
  });

  it('prints in one line that memory serves where Redis is refused, and ends on SIGINT', async () => {
    const redisPort = await freePort();
    const demo = await DemoProcess.start({ REDIS_PORT: String(redisPort) });
    await demo.untilReady();
    expect(demo.greetings).toHaveLength(1);
    expect(demo.greetings[0]).toContain(
      `Redis can't be used at redis://localhost:${redisPort}/0: the memory of this process serves until it can.`,
    );
    expect(await demo.ask('/health')).toMatchObject({ status: 200, body: expect.stringContaining('"degraded"') });
    // Printed once, however often the connection is tried again.
    expect(told(demo, 'redis_connection_failed')).toBe(1);
    expect(told(demo, 'cache_fallback_on')).toBe(1);
    // Ctrl-C.
    demo.stop('SIGINT');
    expect(await demo.ended()).toBe('SIGINT');
  });

  it('ends on SIGTERM once the pending requests are answered', async () => {
    const { host, port, keyPrefix } = redisForTest();
    const demo = await DemoProcess.start({ REDIS_HOST: host, REDIS_PORT: String(port), CACHE_KEY_PREFIX: keyPrefix });
    await demo.untilReady();
    // The mails are being read at this moment, so these requests have to wait.
    const underWay = ['keywords/linux', 'trends/linux', 'domains/lockergnome.com', 'collectors/amazon'].map((path) =>
      demo.ask(`/insights/${path}`),
    );
    // Connections are accepted in order: after this answer the others have arrived.
    await demo.ask('/health');
    demo.stop('SIGTERM');
    for (const answer of await Promise.all(underWay)) {
      expect(answer).toMatchObject({ status: 200, cacheStatus: expect.stringMatching(/fwd=miss; stored$/) });
    }
    expect(await demo.ended()).toBe('SIGTERM');
    await expect(demo.ask('/health')).rejects.toThrow('ECONNREFUSED');
    expect(demo.stderr).toBe('');
  });

  it('ends with one line and code 1 where its port is taken', async () => {
    const other = createServer().listen(0);
    await once(other, 'listening');
    onTestFinished(() => void other.close());
    const address = other.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const demo = await DemoProcess.start({ PORT: String(port), REDIS_PORT: String(await freePort()) });
    expect(await demo.ended()).toBe(1);
    expect(lastWords(demo)).toEqual([
      `Keyword Insights did not start: Port ${port} is taken by another program. Choose another one, for instance: PORT=${port + 1} npm start`,
    ]);
    expect(demo.greetings).toEqual([]);
  });

  it('ends with code 1 and names every invalid environment variable at once', async () => {
    const demo = await DemoProcess.start({
      REDIS_PORT: 'abc',
      CACHE_TTL_DEFAULT: '-1',
      REDIS_PASSWORD: 'not-for-print',
    });
    expect(await demo.ended()).toBe(1);
    expect(demo.stderr).toMatch(/^Keyword Insights did not start: /);
    expect(demo.stderr).toMatch(/REDIS_PORT.*abc/);
    expect(demo.stderr).toMatch(/CACHE_TTL_DEFAULT.*-1/);
    // For users: what to change, without a stack trace or a password.
    expect(demo.stderr).not.toMatch(/\n\s+at /);
    expect(demo.stdout + demo.stderr).not.toContain('not-for-print');
    expect(demo.greetings).toEqual([]);
  });

  it('ends with one line and code 1 where PORT is invalid', async () => {
    const demo = await DemoProcess.start({ PORT: 'three thousand' });
    expect(await demo.ended()).toBe(1);
    expect(lastWords(demo)).toEqual([
      'Keyword Insights did not start: PORT must be a whole number from 0 to 65535, got "three thousand".',
    ]);
  });

  it('serves from memory with a wrong password, and prints neither that nor the right one', async () => {
    const server = await ownRedis({ password: 'right-and-secret' });
    const address = `${server.host}:${server.port}`;
    const environments: Record<string, string>[] = [
      { REDIS_HOST: server.host, REDIS_PORT: String(server.port), REDIS_PASSWORD: 'wrong-and-secret' },
      { REDIS_URL: `redis://unknown-user:wrong-and-secret@${address}` },
    ];
    for (const environment of environments) {
      const demo = await DemoProcess.start(environment);
      await demo.untilReady();
      expect(demo.greetings[0]).toContain(
        `Redis can't be used at redis://${address}/0: the memory of this process serves`,
      );
      const health = await demo.ask('/health');
      expect(health).toMatchObject({ status: 200, body: expect.stringContaining('"degraded"') });
      expect(demo.stdout + demo.stderr + health.body).not.toMatch(/and-secret|unknown-user/);
    }
  });

  it('computes every answer again with CACHE_ENABLED=false, and reports it', async () => {
    const { host, port, keyPrefix, admin } = redisForTest();
    const demo = await DemoProcess.start({
      CACHE_ENABLED: 'false',
      REDIS_HOST: host,
      REDIS_PORT: String(port),
      CACHE_KEY_PREFIX: keyPrefix,
    });
    await demo.untilReady();
    expect(demo.greetings).toHaveLength(1);
    expect(demo.greetings[0]).toContain('The cache is switched off: every answer is worked out anew.');
    const answers = [await demo.ask(TERM), await demo.ask(TERM)];
    for (const answer of answers) {
      expect(answer).toMatchObject({ status: 200, cacheStatus: 'distributed-cache; fwd=bypass' });
    }
    expect(new Set(answers.map(({ body }) => body)).size).toBe(2);
    expect(await demo.ask('/insights/domains/nobody.example')).toMatchObject({ status: 404 });
    expect(await demo.ask('/health')).toMatchObject({ status: 200 });
    expect(await admin.keys(`${keyPrefix}*`)).toEqual([]);
  });
});

function lastWords({ stderr }: DemoProcess): string[] {
  return stderr.split('\n').filter((line) => line !== '');
}

/** The number of lines that report an event. */
function told({ stdout, stderr }: DemoProcess, event: string): number {
  return `${stdout}${stderr}`.split('\n').filter((line) => line.includes(event)).length;
}
