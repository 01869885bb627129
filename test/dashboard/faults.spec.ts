import { DistributedCache } from 'nestjs-distributed-cache/core';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { examine } from '../../libs/distributed-cache/src/cli/doctor/doctor.js';
import { collectFacts } from '../../libs/distributed-cache/src/cli/doctor/facts.js';
import { connectObserver } from '../../libs/distributed-cache/src/cli/session.js';
import { ownRedis, proxyTo } from '../support/redis-for-test.js';
import type { FaultProxy } from '../support/fault-proxy.js';
import type { RedisServer } from '../support/redis-server.js';
import { type DashboardForTest, dashboardForTest } from './dashboard-for-test.js';

interface Broken {
  readonly server: RedisServer;
  readonly proxy: FaultProxy;
}

const acl =
  (...rules: string[]) =>
  ({ server }: Broken) =>
    server.command('ACL', 'SETUSER', 'default', ...rules);
const cutAll = async ({ server }: Broken) =>
  void (await server.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'));

/** Ten ways in which Redis breaks. */
const FAULTS: Readonly<Record<string, (broken: Broken) => unknown>> = {
  'is killed': ({ server }) => server.killHard(),
  'is frozen': ({ server }) => server.freeze(),
  'is behind a link that swallows everything': ({ proxy }) => proxy.stall(),
  'is behind a link that refuses': async ({ proxy }) => {
    await proxy.refuseNew(true);
    proxy.cut();
  },
  'wants a password': async (broken) => {
    await broken.server.command('CONFIG', 'SET', 'requirepass', 'other');
    broken.server.password = 'other';
    await cutAll(broken);
  },
  'refuses the topics of the processes': acl('resetchannels'),
  'refuses SET': acl('-set'),
  'refuses every write as a replica': async ({ server }) => {
    const master = await ownRedis();
    await server.command('REPLICAOF', '127.0.0.1', master.port);
  },
  'is full': ({ server }) => server.command('CONFIG', 'SET', 'maxmemory', '1'),
  'refuses tracking': async (broken) => {
    await acl('-client|tracking')(broken);
    await cutAll(broken);
  },
};

/** What the page says: the texts of the elements of a kind, as a reader sees them. */
function textsOf(page: string, element: RegExp): string[] {
  const entities: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', '#39': "'" };
  return Array.from(page.matchAll(element), ([markup]) =>
    markup
      .replace(/<[^>]*>/g, ' ')
      .replace(/&(#?\w+);/g, (_all, name: string) => entities[name] ?? '')
      .replace(/\s+/g, ' ')
      .trim(),
  );
}

/** The checks that are not sound, as the command line finds them: `about fail`. */
async function doctorOf(cache: DistributedCache): Promise<string[]> {
  const observer = new DistributedCache(cache.config, { observer: true });
  try {
    await connectObserver(observer);
    if (observer.redis?.connection.isLive !== true) {
      return ['Redis answers fail'];
    }
    const options = { sampleSize: 10, isStrict: false, env: process.env, folder: process.cwd() };
    const facts = await collectFacts(observer, { ...options, now: Date.now, onProgress: () => {} });
    return examine(facts)
      .filter(({ status }) => status !== 'ok')
      .map(({ about, status }) => `${about} ${status}`)
      .sort();
  } finally {
    await observer.close();
  }
}

/** The page as the process with a broken Redis answers it. */
async function pageWhile(name: string): Promise<DashboardForTest> {
  const server = await ownRedis();
  const proxy = await proxyTo(server);
  const redis = { host: '127.0.0.1', port: proxy.port };
  const shown = await dashboardForTest('express', { actions: true }, { redis });
  const users = shown.cache.getCache('users');
  await users.set('ada', 1);
  await vi.waitFor(async () => expect((await shown.cache.healthCheck()).redis?.invalidation).toBe('live'));
  onTestFinished(() => server.thaw());
  await FAULTS[name]?.({ server, proxy });
  await vi.waitFor(
    async () => {
      await users.set('bob', 2);
      expect((await shown.cache.healthCheck()).message).toBeDefined();
    },
    { timeout: 10_000, interval: 100 },
  );
  return shown;
}

/** All ten take half a minute: `.ci/run` does. */
const CHOSEN = Object.keys(FAULTS).filter((name) => process.env['LONG_SPECS'] === 'all' || /frozen|SET/.test(name));

describe('the admin page while Redis', () => {
  it.each(CHOSEN)('%s: tells what health and the doctor tell, and shows this process', async (name) => {
    const { text, ask, cache } = await pageWhile(name);
    await vi.waitFor(
      async () => {
        const page = await text();
        const { status, message = '' } = await cache.healthCheck();
        expect(page).toContain(`data-status="${status}"`);
        expect(textsOf(page, /<p class="health"[^]*?<\/p>/g)[0]).toContain(message);
        expect(textsOf(page, /<section [^>]*id="processes"[^]*?<\/section>/g)[0]).toContain(`:${process.pid}`);
      },
      { timeout: 10_000, interval: 500 },
    );
    await vi.waitFor(
      async () => {
        const rows = textsOf(await text('/checks'), /<th scope="row">[^]*?<span class="badge[^]*?<\/span> \w+/g);
        const found = rows.map((row) => row.replace(/ [●▲■○]/, '')).filter((row) => !row.endsWith(' ok'));
        expect(found.sort()).toEqual(await doctorOf(cache));
      },
      { timeout: 20_000, interval: 1000 },
    );
    for (const path of ['/namespace?name=users', '/processes', '/audit']) {
      expect((await ask(path)).status).toBe(200);
    }
  });

  it('is frozen: takes a change, and says that it is made there later', async () => {
    const { submit, cache } = await pageWhile('is frozen');
    const answer = await submit('/namespace?name=users', 'clear', { confirm: 'yes' });
    const [main] = textsOf(await answer.text(), /<main[^]*<\/main>/g);
    expect(main).toContain("Redis can't be used: the change is made there");
    expect(main).toContain('The audit trail does not have this change (redis-unavailable)');
    expect(cache.redis?.journal.size).toBeGreaterThan(0);
  });
});
