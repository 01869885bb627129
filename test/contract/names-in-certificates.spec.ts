import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Cluster } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { DistributedCache } from 'nestjs-distributed-cache/core';
import { BuiltLibrary } from '../support/built-library.js';
import { cacheForTest } from '../support/cache-for-test.js';
import { untilInvalidation } from '../support/channel-for-test.js';
import { RedisCluster } from '../support/redis-cluster.js';
import { RedisSentinel } from '../support/redis-sentinel.js';
import { canMakeCertificates, makeTestCertificates, type TestCertificates } from '../support/test-certificates.js';
import { ownRedis } from '../support/redis-for-test.js';

/** A name that resolves on every machine. */
const NAME = 'localhost';
const KEYS = Array.from({ length: 30 }, (_, index) => `key:${index}`);

describe.runIf(canMakeCertificates())(
  'one server, and Sentinels, with TLS and certificates that hold only names',
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'named-tls-'));
    let certificates: TestCertificates;
    beforeAll(() => void (certificates = makeTestCertificates(folder, `DNS:${NAME}`)));
    afterAll(() => rmSync(folder, { recursive: true }));

    it('are used under the name of the server', async () => {
      const server = await ownRedis({ tls: certificates });
      const redis = { host: NAME, port: server.tlsPort ?? 0, tls: { ca: readFileSync(certificates.caFile) } };
      expect(await cacheForTest({ redis }).getCache('users').set('key', 1)).toBe(true);
    });

    it('are used under the addresses that Sentinels report, where servername sets the name', async () => {
      const group = await RedisSentinel.start({ tls: certificates });
      onTestFinished(() => group.stop());
      const { host, port, tlsPort = 0 } = group.master;
      const tls = { ca: readFileSync(certificates.caFile), servername: NAME };
      const clientOptions = { natMap: { [`${host}:${port}`]: { host, port: tlsPort } } };
      const redis = { sentinels: group.tlsAddresses, name: group.name, tls, clientOptions };
      expect(await cacheForTest({ redis }).getCache('users').set('key', 1)).toBe(true);
    });
  },
);

describe.runIf(canMakeCertificates())('a cluster with TLS whose certificates hold only names', () => {
  const folder = mkdtempSync(join(tmpdir(), 'cluster-tls-'));
  let certificates: TestCertificates;
  let group: RedisCluster;

  beforeAll(async () => {
    certificates = makeTestCertificates(folder, `DNS:${NAME}`);
    const args = ['--cluster-announce-hostname', NAME, '--cluster-preferred-endpoint-type', 'hostname'];
    group = await RedisCluster.start({ node: { tls: certificates, args } });
  });
  afterAll(async () => {
    await group?.stop();
    rmSync(folder, { recursive: true });
  });

  const ca = (): Buffer => readFileSync(certificates.caFile);
  const nodes = (host = NAME): { host: string; port: number }[] =>
    group.masters.map(({ tlsPort = 0 }) => ({ host, port: tlsPort }));

  async function expectUse(all: DistributedCache): Promise<void> {
    await all.connect();
    const cache = all.getCache<string>('users');
    expect(await cache.setMany(KEYS.map((key) => [key, key] as const))).toBe(true);
    expect(await cache.getMany(KEYS)).toEqual(KEYS);
    await untilInvalidation(all, 'live');
    expect(await all.healthCheck()).toMatchObject({ status: 'up', redisConnected: true });
  }

  it('is used by default: every node is connected and verified under the name that the cluster announces', async () => {
    const redis = { cluster: { nodes: nodes().slice(0, 1), options: { tls: { ca: ca() } } } };
    await expectUse(cacheForTest({ redis, keyPrefix: 'default' }));
    const held = await Promise.all(group.masters.map((master) => master.command('DBSIZE')));
    expect(held.every((count) => Number(count) > 0)).toBe(true);
  });

  it('is used where tls is among the options of the client', async () => {
    const clientOptions = { redisOptions: { tls: { ca: ca() } } };
    await expectUse(cacheForTest({ redis: { cluster: { nodes: nodes(), options: { clientOptions } } } }));
  });

  it('is used through a client of the application that leaves names to the certificates', async () => {
    const client = new Cluster(nodes(), {
      dnsLookup: (name, callback) => callback(null, name),
      redisOptions: { tls: { ca: ca() } },
    });
    onTestFinished(() => client.disconnect());
    await expectUse(cacheForTest({ redis: { client } }));
  });

  it('is refused under an address that the certificates do not contain', async () => {
    const redis = { cluster: { nodes: nodes('127.0.0.1'), options: { tls: { ca: ca() } } } };
    const all = cacheForTest({ redis });
    await all.connect();
    expect((await all.healthCheck()).message).toContain('ERR_TLS_CERT_ALTNAME_INVALID');
  });

  it('is used under an address where servername sets the name that its certificates contain', async () => {
    const redis = { cluster: { nodes: nodes('127.0.0.1'), options: { tls: { ca: ca(), servername: NAME } } } };
    await expectUse(cacheForTest({ redis }));
  });

  it('is used with environment variables alone, where Node trusts the authority', async () => {
    const library = await BuiltLibrary.build();
    onTestFinished(() => library.remove());
    const script = `
      import { createDistributedCache } from '${library.addressOf('core/index.js')}';
      const all = await createDistributedCache();
      console.log(await all.getCache('users').set('key', 1), (await all.healthCheck()).message);
      await all.close();
    `;
    const { output } = await library.runScript(script, {
      NODE_EXTRA_CA_CERTS: certificates.caFile,
      REDIS_CLUSTER_NODES: nodes()
        .map(({ host, port }) => `${host}:${port}`)
        .join(),
      REDIS_SSL: 'true',
      CACHE_DEADLINE_MS: '5000', // a busy machine is slow
    });
    expect(output).toBe('true undefined\n');
  });
});
