import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BuiltLibrary } from '../../../../test/support/built-library.js';
import { freePort } from '../../../../test/support/free-port.js';
import { redisForTest } from '../../../../test/support/redis-for-test.js';

let library: BuiltLibrary;

beforeAll(async () => {
  library = await BuiltLibrary.build();
}, 60_000);

afterAll(() => library.remove());

const tiers: readonly (readonly [name: string, redis: () => Promise<string>])[] = [
  ['with Redis', async () => JSON.stringify({ url: redisForTest().url })],
  ['with a Redis that refuses', async () => JSON.stringify({ host: '127.0.0.1', port: await freePort() })],
  ['without Redis', async () => 'false'],
];

/** The options of a script's cache, as source text. */
async function optionsWith(redis: () => Promise<string>): Promise<string> {
  const { keyPrefix } = redisForTest();
  return `{ redis: ${await redis()}, keyPrefix: '${keyPrefix}' }`;
}

describe.each(tiers)('a process ends by itself, %s,', (_name, redis) => {
  it('after a plain script that never closed its cache', async () => {
    const outcome = await library.runScript(`
      const { createDistributedCache } = await import('${library.addressOf('core/index.js')}');
      const cache = (await createDistributedCache(${await optionsWith(redis)})).getCache('users');
      await cache.set('a', 1);
      console.log(await cache.getOrSet('b', async () => 'loaded'), await cache.get('a'));
    `);
    expect(outcome).toEqual({ exitCode: 0, signal: null, output: 'loaded 1\n' });
  });

  it('after a Nest application context that was never closed', async () => {
    const outcome = await library.runScript(await nestScript('class Quiet {}', await optionsWith(redis)));
    expect(outcome).toEqual({ exitCode: 0, signal: null, output: 'started 1\n' });
  });

  it('after a Nest application that could not start because of another provider', async () => {
    const failing = `class Failing {
      async onModuleInit() {
        throw new Error('another cause');
      }
    }`;
    const outcome = await library.runScript(await nestScript(failing, await optionsWith(redis)));
    expect(outcome).toEqual({ exitCode: 0, signal: null, output: 'failed: another cause\n' });
  });
});

it('a process with a wrong configuration opens nothing and ends', async () => {
  const outcome = await library.runScript(await nestScript('class Quiet {}', `{ ttl: -1, keyPrefix: '' }`));
  expect(outcome).toMatchObject({ exitCode: 0, signal: null });
  expect(outcome.output).toMatch(/^failed: 2 mistakes in the cache configuration\n/);
});

/** Starts a Nest application context in which `provider`, the source of a class, is a provider. */
async function nestScript(provider: string, options: string): Promise<string> {
  return `
    import 'reflect-metadata';
    import { Module } from '@nestjs/common';
    import { NestFactory } from '@nestjs/core';
    const { DistributedCache, DistributedCacheModule } = await import('${library.addressOf('index.js')}');
    const provider = ${provider};
    class AppModule {}
    Module({ imports: [DistributedCacheModule.forRoot(${options})], providers: [provider] })(AppModule);
    try {
      const app = await NestFactory.createApplicationContext(AppModule, { logger: false, abortOnError: false });
      const cache = app.get(DistributedCache).getCache('users');
      console.log('started', await cache.getOrSet('key', async () => 1));
    } catch (error) {
      console.log('failed: ' + error.message);
    }
  `;
}
