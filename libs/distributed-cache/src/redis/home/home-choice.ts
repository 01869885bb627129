import type { HomeServer, ReplicaAddress } from './home-server.js';

/** How a replica is chosen. */
export type Pick = 'nearest' | 'spread';

/** A replica counts as no farther than the primary up to this factor and these milliseconds. */
const FARTHER_FACTOR = 2;
const FARTHER_MS = 1;

/** Processes that start together count the clients at different moments within this time, in milliseconds. */
const APART_MS = 200;

/** Replicas that the primary names are `online` when they have its data. @param info its reply to `INFO replication` */
export function replicasIn(info: string): ReplicaAddress[] {
  return [...info.matchAll(/^slave\d+:ip=([^,]+),port=(\d+),state=online\b/gm)].map(([, host = '', port]) => ({
    host,
    port: Number(port),
  }));
}

/** The candidates in the order in which they are tried: all of them, or for `spread` two random ones. */
function candidatesOf(
  addresses: readonly ReplicaAddress[],
  pick: Pick,
  random: () => number = Math.random,
): readonly ReplicaAddress[] {
  if (pick === 'nearest') {
    return addresses;
  }
  const shuffled = addresses
    .map((address) => ({ address, place: random() }))
    .toSorted((a, b) => a.place - b.place)
    .map(({ address }) => address);
  return shuffled.slice(0, 2);
}

/**
 * Chooses one of the connected candidates. `nearest`: the one that answers fastest, unless the primary is nearer by
 * far. `spread`: the one with fewer clients, which together with {@link candidatesOf} is the power of two choices
 * (Mitzenmacher, The power of two choices in randomized load balancing, 2001): processes need not agree to spread evenly.
 * @param primaryMs the round trip of the primary, in milliseconds
 */
async function choose(servers: readonly HomeServer[], pick: Pick, primaryMs: number): Promise<HomeServer | undefined> {
  const live = servers.filter(({ isLive }) => isLive);
  const costs = await Promise.all(
    live.map(async (server) => {
      const cost = pick === 'nearest' ? await server.measure() : ((await server.countClients()) ?? Infinity);
      return cost === undefined || !server.isLive ? [] : [{ server, cost }];
    }),
  );
  const [best] = costs.flat().toSorted((a, b) => a.cost - b.cost);
  const isTooFar = pick === 'nearest' && (best?.cost ?? 0) > FARTHER_FACTOR * primaryMs + FARTHER_MS;
  return isTooFar ? undefined : best?.server;
}

/** Connects to the candidates, and closes all but the chosen one. @returns that one, or why there is none */
export async function findReplica(
  addresses: readonly ReplicaAddress[],
  pick: Pick,
  primaryMs: number,
  open: (address: ReplicaAddress) => HomeServer,
): Promise<HomeServer | string> {
  if (addresses.length === 0) {
    return 'the primary names no replica';
  }
  const opened = candidatesOf(addresses, pick).map(open);
  await Promise.all(opened.map((server) => server.connect()));
  if (pick === 'spread') {
    await new Promise((resolve) => void setTimeout(resolve, Math.random() * APART_MS).unref());
  }
  const chosen = await choose(opened, pick, primaryMs);
  const isAnyLive = opened.some(({ isLive }) => isLive);
  opened.filter((server) => server !== chosen).forEach((server) => server.close());
  const names = opened.map(({ name }) => name).join(', ');
  return chosen ?? (isAnyLive ? `the primary is nearer than ${names}` : `no replica answers: ${names}`);
}
