import { DistributedCache } from 'nestjs-distributed-cache/core';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { examine } from '../../libs/distributed-cache/src/cli/doctor/doctor.js';
import { collectFacts } from '../../libs/distributed-cache/src/cli/doctor/facts.js';
import { ownRedis, proxyTo } from '../support/redis-for-test.js';
import type { FaultProxy } from '../support/fault-proxy.js';
import type { RedisServer } from '../support/redis-server.js';
import { dashboardForTest } from './dashboard-for-test.js';

interface Broken {
  readonly server: RedisServer;
  readonly proxy: FaultProxy;
}

const acl = (...rules: string[]) => ({ server }: Broken) => server.command('ACL', 'SETUSER', 'default', ...rules);
const cutAll = async ({ server }: Broken) => void (await server.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'));

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
    await cutAll(broken).catch(() => {});
  },
  'refuses the topics of the processes': async (broken) => {
    await acl('resetchannels')(broken);
  },
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

describe('the admin page while Redis', () => {
  it.each(Object.entries(FAULTS))('%s: tells what health and the doctor tell', async (name, breakIt) => {
    const server = await ownRedis();
    const proxy = await proxyTo(server);
    const { ask, text, cache } = await dashboardForTest('express', { actions: true }, { redis: { host: '127.0.0.1', port: proxy.port } });
    const users = cache.getCache('users');
    await users.set('ada', 1);
    await vi.waitFor(async () => expect((await cache.healthCheck()).redis?.invalidation).toBe('live'));
    await breakIt({ server, proxy });
    onTestFinished(() => server.thaw());
    await vi.waitFor(async () => {
      await users.set('bob', 2);
      expect((await cache.healthCheck()).status).not.toBe('up');
    }, { timeout: 10_000, interval: 200 });
    await new Promise((r) => setTimeout(r, 1500));
    const t = performance.now();
    const page = await text();
    const t1 = performance.now();
    const health = await cache.healthCheck();
    const plain = (s: string) => s.replace(/<[^>]*>/g, ' ').replace(/\s+/g, ' ');
    console.log(name, Math.round(t1 - t), health.status, health.message, '| PAGE', /data-status="\w+"/.exec(page)?.[0], plain(/<p class="health"[^]*?<\/p>/.exec(page)?.[0] ?? ''), plain(/<p class="note"[^]*?<\/p>/.exec(page)?.[0] ?? ''));
    const t2 = performance.now();
    const checks = await text('/checks');
    console.log(Math.round(performance.now() - t2), plain(/<tbody>[^]*?<\/tbody>/.exec(checks)?.[0] ?? '').slice(0, 300));
    for (const path of ['/namespace?name=users', '/processes', '/audit']) {
      const t3 = performance.now();
      const answer = await ask(path);
      console.log(path, answer.status, Math.round(performance.now() - t3));
    }
    const observer = new DistributedCache(cache.config, { observer: true });
    onTestFinished(() => observer.close());
    await observer.connect();
    if (observer.redis?.connection.isLive) {
      const facts = await collectFacts(observer, { sampleSize: 10, isStrict: false, env: {}, folder: '.', now: Date.now, onProgress: () => {} });
      console.log(examine(facts).filter((f) => f.status !== 'ok').map((f) => `${f.id} ${f.status} ${f.found}`).join('; '));
    } else { console.log('doctor: unreachable', observer.redis?.connection.reason) }
  });
});
