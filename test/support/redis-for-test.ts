import { randomUUID } from 'node:crypto';
import { Redis } from 'ioredis';
import { inject, onTestFinished } from 'vitest';
import { FaultProxy } from './fault-proxy.js';
import { RedisServer, type RedisServerOptions } from './redis-server.js';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Port of the run's shared Redis on 127.0.0.1; redis-global-setup.ts provides it. */
    redisPort: number;
  }
}

export interface RedisForTest {
  readonly host: string;
  readonly port: number;
  readonly url: string;
  /** Belongs to this call alone, so nothing needs to be flushed; matches `[A-Za-z0-9_.-]+`. */
  readonly keyPrefix: string;
  /** A plain client of the same server, opened at the first use and closed when the test ends. */
  readonly admin: Redis;
}

/**
 * The shared Redis of the run, for one test; call it inside the test (or a `beforeEach`).
 * Don't kill, freeze, flush or reconfigure this server: other tests use it. `ownRedis()` gives one to break.
 */
export function redisForTest(): RedisForTest {
  const host = '127.0.0.1';
  const port = inject('redisPort');
  let admin: Redis | undefined;
  onTestFinished(() => admin?.disconnect());
  return {
    host,
    port,
    url: `redis://${host}:${port}`,
    keyPrefix: `test-${randomUUID()}`,
    get admin() {
      admin ??= new Redis({ host, port });
      return admin;
    },
  };
}

/** The options of a cache over the shared Redis of the run, with a key prefix of this call. */
export function sharedRedis(): { redis: { url: string }; keyPrefix: string } {
  const { url, keyPrefix } = redisForTest();
  return { redis: { url }, keyPrefix };
}

/** A Redis for this test alone, to break or to reconfigure; it ends with the test. */
export async function ownRedis(options?: RedisServerOptions): Promise<RedisServer> {
  const server = await RedisServer.start(options);
  onTestFinished(() => server.stop());
  return server;
}

/** A proxy before the server; it ends with the test. */
export async function proxyTo({ port }: { readonly port: number }): Promise<FaultProxy> {
  const proxy = await FaultProxy.start(port);
  onTestFinished(() => proxy.close());
  return proxy;
}

/** A plain client of a server, which ends with the test. */
export function clientOf({ port }: { readonly port: number }): Redis {
  const client = new Redis({ host: '127.0.0.1', port });
  onTestFinished(() => client.disconnect());
  return client;
}

/** Receives what is published to the topics of a pattern, until the test ends. */
export async function listenTo(
  server: { readonly port: number },
  pattern: string,
  onMessage: (topic: string, message: string) => void,
): Promise<void> {
  const client = clientOf(server);
  await client.psubscribe(pattern);
  client.on('pmessage', (_pattern: string, topic: string, message: string) => onMessage(topic, message));
}
