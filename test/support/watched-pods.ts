import { Redis } from 'ioredis';
import { expect, onTestFinished, vi } from 'vitest';
import type {
  AsyncCache,
  DistributedCache,
  DistributedCacheOptions,
} from '../../libs/distributed-cache/src/core/index.js';
import { cacheForTest } from './cache-for-test.js';
import { RedisServer } from './redis-server.js';

export interface WatchedPods {
  readonly server: RedisServer;
  readonly all: DistributedCache;
  readonly cache: AsyncCache;
  /** Another process over the same Redis. */
  readonly other: AsyncCache;
  /**
   * The commands that have arrived for a key of the processes; scripts under the names of their calls: `get`, `set
   * lease`, ...
   */
  readonly commandsFor: (key: string) => Promise<string[]>;
}

/** The command that takes a lease. */
export const TAKING = ['set lease', 'get'];

/** Two processes on a Redis of their own, and the commands that arrive there. */
export async function watchedPods(options: DistributedCacheOptions = {}): Promise<WatchedPods> {
  const server = await RedisServer.start();
  const watched = new Redis({ port: server.port });
  await watched.ping(); // a monitor that is being opened would take the greeting of the connection for its own reply
  const monitor = await watched.monitor();
  monitor.options.retryStrategy = () => null; // a monitor that reconnects fails on the lines before its reply
  const client = new Redis({ port: server.port });
  onTestFinished(async () => {
    [watched, monitor, client].forEach((each) => each.disconnect());
    await server.stop();
  });
  const seen: string[][] = [];
  monitor.on('monitor', (_time: string, command: string[], source: string) => source === 'lua' || seen.push(command));
  const [all, others] = [1, 2].map(() => cacheForTest({ redis: { url: server.url }, ...options })) as [
    DistributedCache,
    DistributedCache,
  ];
  await Promise.all([all.connect(), others.connect()]);
  let marks = 0;
  const commandsFor = async (key: string) => {
    const mark = `mark:${marks++}`;
    await client.echo(mark);
    await vi.waitFor(() => expect(seen.some(([, arg]) => arg === mark)).toBe(true));
    return seen
      .filter(([, first = '']) => !first.startsWith('{')) // the same again, under the names of earlier versions
      .filter(([, ...args]) => args.some((arg) => arg.endsWith(`users:${key}`) || arg.includes(`users:${key}}`)))
      .map(([name = '', ...args]) =>
        `${name.toLowerCase()} ${args.some((arg) => arg.includes('}:lease')) ? 'lease' : ''}`.trim(),
      );
  };
  return { server, all, cache: all.getCache('users'), other: others.getCache('users'), commandsFor };
}

/** Loads each of these keys, for which no entry exists. */
export async function miss(cache: AsyncCache, ...keys: string[]): Promise<void> {
  for (const key of keys) {
    expect(await cache.getOrSet(key, async () => `loaded ${key}`)).toBe(`loaded ${key}`);
  }
}
