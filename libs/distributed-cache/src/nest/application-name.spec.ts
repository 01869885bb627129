import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { redisForTest, type RedisForTest } from '../../../../test/support/redis-for-test.js';
import { CacheConfig, type CacheEventMap, DistributedCache } from '../core/index.js';
import { applicationName } from './application-name.js';

/** A folder with these files; a `package.json` holds the text that is given. */
function folderWith(files: Readonly<Record<string, string>>): string {
  const folder = mkdtempSync(join(tmpdir(), 'application-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  return folder;
}

describe('the name of the application', () => {
  const root = () =>
    folderWith({
      'package.json': '{ "name": "@acme/shop" }',
      'dist/package.json': '{ "type": "module" }',
      'services/billing/package.json': '{ "name": "billing" }',
      'node_modules/jest/package.json': '{ "name": "jest" }',
    });

  it.each([
    ['dist/main.js', '@acme/shop'],
    ['dist/src/worker.js', '@acme/shop'],
    ['services/billing/dist/main.js', 'billing'],
    ['dist/apps/orders/main.js', '@acme/shop/orders'],
    ['apps/orders/src/main.ts', '@acme/shop/orders'],
  ])('is that of its package, and of its folder in apps/: %s is %s', (script, name) => {
    expect(applicationName(join(root(), script), '/')).toBe(name);
  });

  it('is that of the working folder for a program of node_modules, and without a program', () => {
    const folder = root();
    expect(applicationName(join(folder, 'node_modules/jest/bin/jest.js'), folder)).toBe('@acme/shop');
    expect(applicationName(undefined, join(folder, 'services/billing'))).toBe('billing');
  });

  it('is unknown without a package, and where its file can not be read', () => {
    expect(applicationName('/main.js', '/')).toBeUndefined();
    expect(applicationName(join(folderWith({ 'package.json': '{' }), 'main.js'), '/')).toBeUndefined();
  });
});

describe('another application with the same key prefix', () => {
  async function start(application: string | undefined, redis: RedisForTest, prefix = redis.keyPrefix) {
    const config = CacheConfig.resolve({ redis: { url: redis.url }, keyPrefix: prefix });
    const cache = new DistributedCache(config, { application });
    const shared: CacheEventMap['prefixShared'][] = [];
    cache.events.on('prefixShared', (event) => shared.push(event));
    onTestFinished(() => cache.close());
    await cache.connect();
    await vi.waitFor(async () => expect(await redis.admin.get(`${prefix}:{#application}`)).toBe(application ?? null));
    return shared;
  }

  it('is noticed at the start, by its name; processes and versions of one application are not', async () => {
    const redis = redisForTest();
    expect(await start('shop', redis)).toEqual([]);
    expect(await start('shop', redis)).toEqual([]);
    expect(await start('billing', redis)).toEqual([{ application: 'billing', other: 'shop' }]);
    expect(await start('billing', redis)).toEqual([]);
    expect(await start('shop', redis)).toEqual([{ application: 'shop', other: 'billing' }]);
    expect(await start('shop', redis, `${redis.keyPrefix}-2`)).toEqual([]);
    expect(await redis.admin.pttl(`${redis.keyPrefix}:{#application}`)).toBeGreaterThan(0);
  });

  it('leaves no mark where the name is unknown', async () => {
    expect(await start(undefined, redisForTest())).toEqual([]);
  });

  it('is not named where the mark is no name', async () => {
    const redis = redisForTest();
    await redis.admin.set(`${redis.keyPrefix}:{#application}`, 'a\nline of its own');
    expect(await start('shop', redis)).toEqual([]);
  });
});
