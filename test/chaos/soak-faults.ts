import { setTimeout as delay } from 'node:timers/promises';
import type { FaultProxy } from '../support/fault-proxy.js';
import type { RedisServer } from '../support/redis-server.js';
import { untilTrue } from '../support/until-true.js';
import type { OwnLoadBurst } from './own-load-burst.js';
import type { SoakWorld } from './soak-world.js';

export interface Arena {
  readonly world: SoakWorld;
  readonly burst: OwnLoadBurst;
  readonly random: () => number;
  /** Every fault so far, in order: its name and how long it lasted, in milliseconds. */
  readonly strikes: string[];
}

type Strike = (arena: Arena, lastsMs: number) => Promise<void>;

/** Each one causes a fault, waits, and repairs it. */
const STRIKES: readonly (readonly [name: string, strike: Strike])[] = [
  ['stall', onProxy((proxy) => proxy.stall())],
  ['stall answers', onProxy((proxy) => proxy.stall('down'))],
  ['stall old sockets', onProxy((proxy) => proxy.stall('both', { onlyExisting: true }))],
  ['black hole', onProxy((proxy) => proxy.blackhole())],
  ['delay', onProxy((proxy, random) => proxy.delay(Math.round(random() * 300)))],
  ['reset', onProxy((proxy) => proxy.cut())],
  ['refuse', refuse],
  ['pause', onServer((server, lastsMs) => server.command('CLIENT', 'PAUSE', Math.ceil(lastsMs), 'ALL'))],
  ['freeze', freeze],
  ['kill', kill],
  ['flush', onServer((server) => server.command('FLUSHALL'))],
  ['kill subscribers', onServer((server) => server.command('CLIENT', 'KILL', 'TYPE', 'pubsub'))],
  ['burst', async ({ world, burst, random }) => burst.strike(oneOf(world.nodes, random))],
  ['rights', takeRights],
  ['evict', evict],
  ['failover', async ({ world }) => world.failOver()],
  ['messages lost', loseMessages],
];

/** Permissions that an operator may remove from the user of the processes while they run. */
const LESS_RIGHTS: readonly (readonly string[])[] = [
  ['-@write'],
  ['-@read'],
  ['-@scripting'],
  ['-unlink', '-del'],
  ['-client|tracking'],
  ['-publish', '-subscribe'],
  ['resetchannels'],
  ['resetkeys', '~elsewhere:*'],
  ['off'],
];
const EVICTING = ['allkeys-lru', 'volatile-lru', 'allkeys-lfu', 'volatile-ttl'];

const MOST_MS = 1200;
const REST_MS = 600;

/** Runs one fault after another until the time is over, then repairs everything. */
export async function strikeUntil(endsAtMs: number, arena: Arena): Promise<void> {
  while (performance.now() < endsAtMs) {
    const [name, strike] = STRIKES[Math.floor(arena.random() * STRIKES.length)]!;
    const lastsMs = 50 + arena.random() * MOST_MS;
    arena.strikes.push(`${name} ${Math.round(lastsMs)}`);
    await strike(arena, lastsMs);
    await delay(arena.random() * REST_MS);
  }
}

function onProxy(harm: (proxy: FaultProxy, random: () => number) => void): Strike {
  return async ({ world, random }, lastsMs) => {
    const proxy = oneOf(world.proxies, random);
    harm(proxy, random);
    await delay(lastsMs);
    proxy.delay(0);
    proxy.resume();
  };
}

function onServer(harm: (server: RedisServer, lastsMs: number) => Promise<unknown>): Strike {
  return async ({ world }, lastsMs) => void (await harm(world.server, lastsMs));
}

async function refuse({ world, random }: Arena, lastsMs: number): Promise<void> {
  const proxy = oneOf(world.proxies, random);
  await proxy.refuseNew(true);
  proxy.cut();
  await delay(lastsMs);
  await proxy.refuseNew(false);
}

async function freeze({ world: { server } }: Arena, lastsMs: number): Promise<void> {
  server.freeze();
  await delay(lastsMs);
  server.thaw();
}

async function kill({ world: { server } }: Arena, lastsMs: number): Promise<void> {
  await server.killHard();
  await delay(lastsMs);
  await server.restart();
}

/**
 * Half of the times the subscribers lose their connections as well, so that they reconnect with the remaining
 * permissions.
 */
async function takeRights({ world, random, strikes }: Arena, lastsMs: number): Promise<void> {
  const rights = oneOf(LESS_RIGHTS, random);
  strikes[strikes.length - 1] += ` (${rights.join(' ')})`;
  await world.setRights(...rights);
  if (random() < 0.5) {
    await world.server.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
  }
  await delay(lastsMs);
  await world.setRights();
}

/** Less memory than is in use: Redis evicts almost everything, or refuses the commands that need an eviction. */
async function evict({ world: { server }, random }: Arena, lastsMs: number): Promise<void> {
  const usedBytes = Number(/used_memory:(\d+)/.exec(String(await server.command('INFO', 'memory')))?.[1]);
  await server.command('CONFIG', 'SET', 'maxmemory-policy', oneOf(EVICTING, random));
  await server.command('CONFIG', 'SET', 'maxmemory', Math.round(usedBytes * (0.7 + random() * 0.3)));
  await delay(lastsMs);
  await server.command('CONFIG', 'SET', 'maxmemory', 0);
  await server.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction');
}

/**
 * Lasts until the process has detected it at its next heartbeat: TCP has no connection that loses messages and
 * continues between two heartbeats, and no check could detect one.
 */
async function loseMessages({ world, random }: Arena, lastsMs: number): Promise<void> {
  const splitter = oneOf(world.splitters, random);
  const { cache } = world.nodes[world.splitters.indexOf(splitter)]!;
  splitter.dropsMessages = true;
  await delay(lastsMs);
  await untilTrue(async () => (await cache.healthCheck()).redis?.invalidation !== 'live');
  splitter.dropsMessages = false;
}

function oneOf<T>(choices: readonly T[], random: () => number): T {
  return choices[Math.floor(random() * choices.length)]!;
}
