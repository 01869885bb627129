import { expect, it, vi } from 'vitest';
import { ownRedis, podAt, proxyTo, untilUp } from './pods.js';

/** The connections of clients that the server knows. */
async function clientsOf(server: Awaited<ReturnType<typeof ownRedis>>): Promise<string> {
  return String(await server.command('CLIENT', 'LIST', 'TYPE', 'normal'));
}

it('a set has no effect when its bytes arrive late on a connection that was given up', async () => {
  const server = await ownRedis();
  const proxy = await proxyTo(server);
  const [cutOff, other] = [await podAt(proxy.port), await podAt(server.port)];
  await cutOff.cache.set('other', 1);
  const before = await clientsOf(server);
  proxy.stall('up', { onlyExisting: true });
  expect(await cutOff.cache.set('key', 'late')).toBe(false);
  await untilUp(cutOff);
  await cutOff.cache.delete('key');
  await other.cache.set('key', 'newest');
  proxy.resume(); // the contents of the old socket would be executed now
  // The server has closed the old connection: nothing that is still in it can be executed.
  const oldIds = [...before.matchAll(/^id=(\d+)/gm)].map(([, id]) => id);
  const isGone = (list: string): boolean =>
    oldIds.filter((id) => new RegExp(`^id=${id} `, 'm').test(list)).length < oldIds.length;
  await vi.waitFor(async () => expect(isGone(await clientsOf(server))).toBe(true));
  for (let look = 0; look < 20; look++) {
    expect(await server.command('GET', 'cache:users:key')).toContain('newest');
  }
  expect(await cutOff.cache.get('key')).toBe('newest');
  expect(await other.cache.get('key')).toBe('newest');
});
