import { setTimeout as delay } from 'node:timers/promises';
import type { FaultProxy } from '../support/fault-proxy.js';
import type { RedisServer } from '../support/redis-server.js';

export interface SoakWorld {
  readonly server: RedisServer;
  readonly proxies: readonly FaultProxy[];
  readonly random: () => number;
}

type Strike = (world: SoakWorld, lastsMs: number) => Promise<void>;

/** Each does its harm, waits, and takes it back. */
const STRIKES: readonly (readonly [name: string, strike: Strike])[] = [
  ['stall', onProxy((proxy) => proxy.stall())],
  ['stall answers', onProxy((proxy) => proxy.stall('down'))],
  ['stall old sockets', onProxy((proxy) => proxy.stall('both', { onlyExisting: true }))],
  ['black hole', onProxy((proxy) => proxy.blackhole())],
  ['delay', onProxy((proxy, random) => proxy.delay(Math.round(random() * 300)))],
  ['reset', onProxy((proxy) => proxy.cut())],
  ['refuse', refuse],
  ['pause', async ({ server }, lastsMs) => void (await server.command('CLIENT', 'PAUSE', Math.ceil(lastsMs), 'ALL'))],
  ['freeze', freeze],
  ['kill', kill],
  ['flush', async ({ server }) => void (await server.command('FLUSHALL'))],
  ['kill subscribers', async ({ server }) => void (await server.command('CLIENT', 'KILL', 'TYPE', 'pubsub'))],
];

const MOST_MS = 1200;
const REST_MS = 600;

/** One fault after another until the time is up, then heals everything. @returns what was done, in order */
export async function strikeUntil(endsAtMs: number, world: SoakWorld): Promise<string[]> {
  const done: string[] = [];
  while (performance.now() < endsAtMs) {
    const [name, strike] = STRIKES[Math.floor(world.random() * STRIKES.length)]!;
    const lastsMs = 50 + world.random() * MOST_MS;
    done.push(`${name} ${Math.round(lastsMs)}`);
    await strike(world, lastsMs);
    await delay(world.random() * REST_MS);
  }
  return done;
}

function onProxy(harm: (proxy: FaultProxy, random: () => number) => void): Strike {
  return async (world, lastsMs) => {
    const proxy = oneOf(world);
    harm(proxy, world.random);
    await delay(lastsMs);
    proxy.delay(0);
    proxy.resume();
  };
}

async function refuse(world: SoakWorld, lastsMs: number): Promise<void> {
  const proxy = oneOf(world);
  await proxy.refuseNew(true);
  proxy.cut();
  await delay(lastsMs);
  await proxy.refuseNew(false);
}

async function freeze({ server }: SoakWorld, lastsMs: number): Promise<void> {
  server.freeze();
  await delay(lastsMs);
  server.thaw();
}

async function kill({ server }: SoakWorld, lastsMs: number): Promise<void> {
  await server.killHard();
  await delay(lastsMs);
  await server.restart();
}

function oneOf({ proxies, random }: SoakWorld): FaultProxy {
  return proxies[Math.floor(random() * proxies.length)]!;
}
