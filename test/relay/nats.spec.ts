import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { natsJetStream, startRelay } from 'nestjs-distributed-cache/relay';
import { NatsServer } from '../support/nats-server.js';
import { appliedIn, firstOf, regionOf, twoRegions, type Region } from './regions.js';

/** In CI a missing program is an error. */
const isLeftOut = !NatsServer.isThere && process.env['CI'] === undefined;
if (isLeftOut) {
  process.emitWarning('The tests of the relay by NATS are left out: there is no program nats-server');
}

describe.skipIf(isLeftOut)('a relay by NATS JetStream', () => {
  it('tells all other regions of a change, once, and ignores what comes back', async () => {
    const nats = await ownNats();
    const links = () => ({ nats: natsJetStream({ servers: nats.url }) });
    const { eu, us, keyPrefix } = await twoRegions({ delayMs: 0, links });
    const asia = await regionOf('asia', keyPrefix, 0);
    startRelay(firstOf(asia), links());
    await vi.waitFor(() => expect(new Set(asia.gaps.map(({ region }) => region))).toEqual(new Set(['eu', 'us'])));
    await vi.waitFor(() => expect(eu.gaps.length + us.gaps.length).toBe(4));
    await Promise.all([us, asia].map(({ users }) => users.set('a', 'old', { tags: ['t'] })));
    await vi.waitFor(() => expect(appliedIn(eu)).toBe(2));
    await Promise.all([us, asia].map(({ users }) => users.getOrSet('a', async () => 'old', { tags: ['t'] })));
    const before = [us, asia].map(appliedIn);
    await eu.others.delete('b');
    await eu.users.invalidateTags('t');
    await vi.waitFor(() => expect([us, asia].map(appliedIn)).toEqual(before.map((count) => count + 2)));
    for (const { users, others } of [us, asia]) {
      await vi.waitFor(async () =>
        expect([await users.get('a'), await others.get('a')]).toEqual([undefined, undefined]),
      );
    }
    expect(appliedIn(eu)).toBe(2);
  });

  it('goes on after a kill of the server', async () => {
    const nats = await ownNats();
    const { eu, us } = await regionsBy(nats);
    await us.users.set('a', 'old');
    await nats.killHard();
    await eu.users.delete('a');
    await vi.waitFor(() => expect(eu.failed.map(({ during }) => during)).toContain('publish'));
    await nats.restart();
    await vi.waitFor(async () => expect(await us.others.get('a')).toBeUndefined());
    expect(us.gaps).toHaveLength(1);
  });

  it('clears when the server has lost its messages', async () => {
    const nats = await ownNats();
    const { eu, us } = await regionsBy(nats);
    await firstOf(us).close();
    const sent = vi.fn();
    firstOf(eu).events.on('relaySent', sent);
    await eu.users.delete('a');
    await vi.waitFor(() => expect(sent).toHaveBeenCalled());
    await nats.restart({ isEmptied: true });
    await us.others.set('a', 'old');
    startRelay(us.caches[1] ?? firstOf(us), { nats: natsJetStream({ servers: nats.url }) });
    await vi.waitFor(() => expect(us.gaps).toHaveLength(2));
    expect(await us.others.get('a')).toBeUndefined();
  });
});

function regionsBy(nats: NatsServer): Promise<{ eu: Region; us: Region }> {
  return twoRegions({ delayMs: 0, links: () => ({ nats: natsJetStream({ servers: nats.url }) }) });
}

async function ownNats(): Promise<NatsServer> {
  const server = await NatsServer.start();
  onTestFinished(() => server.stop());
  return server;
}
