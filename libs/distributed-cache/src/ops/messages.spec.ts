import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { liveCaches, processIdOf } from '../../../../test/support/channel-for-test.js';
import { clientOf, listenTo } from '../../../../test/support/redis-for-test.js';
import { RedisServer } from '../../../../test/support/redis-server.js';

describe('a hostile message', () => {
  let server: RedisServer;
  beforeAll(async () => void (server = await RedisServer.start()));
  afterAll(() => server?.stop());
  const redis = (): { redis: { host: string; port: number } } => ({ redis: { host: '127.0.0.1', port: server.port } });
  const HUGE = { filler: 'x'.repeat(20_000) };
  const question = (fields: object): string =>
    JSON.stringify({ v: 1, id: 'q1', op: 'hello', args: {}, replyTo: 'cache:#ops:spy', ...fields });

  it.each([
    ['is not JSON', '{'],
    ['is no object', '[1]'],
    ['has another version', question({ v: 2 })],
    ['has no id', question({ id: undefined })],
    ['has an id that is too long', question({ id: 'x'.repeat(65) })],
    ['asks something unknown', question({ op: 'toString' })],
    ['asks for a value of the prototype', question({ op: '__proto__' })],
    ['wants the answer outside the prefix', question({ replyTo: 'other:topic' })],
    ['wants the answer on the topic of questions', question({ replyTo: 'cache:#ops' })],
    ['wants the answer on a topic that is no process', question({ replyTo: 'cache:#ops:a:b' })],
    ['wants too many entries', question({ op: 'top', args: { by: 'uses', count: 1001 } })],
    ['has arguments of another type', question({ op: 'inspect', args: { namespace: 1, key: {} } })],
    ['has no arguments', question({ args: undefined })],
    ['is too large', question({ args: HUGE })],
  ])('that %s is ignored and counted', async (_what, message) => {
    const [asker] = await liveCaches(1, redis());
    const answers = vi.fn();
    await listenTo(server, '*[!f]', (topic) => topic.includes('proof') || topic === 'cache:#ops' || answers(topic));
    await server.command('PUBLISH', 'cache:#ops', message);
    await vi.waitFor(() => expect(asker!.operations.ignoredMessages).toBe(1));
    const [own] = (await asker!.operations.processes({ deadlineMs: 20 })).answers;
    expect(own?.answer).toMatchObject({ ignoredMessages: 1, invalidation: 'live', redis: 'live' });
    expect(answers).not.toHaveBeenCalled();
  });

  it('that is one of thousands is ignored: a process answers a hundred questions a second', async () => {
    const [asker] = await liveCaches(1, redis());
    let heard = 0;
    await listenTo(server, 'cache:#ops:spy', () => heard++);
    const sender = clientOf(server);
    await Promise.all(
      Array.from({ length: 3000 }, (_, index) => sender.publish('cache:#ops', question({ id: `q${index}` }))),
    );
    await vi.waitFor(() => expect(heard + asker!.operations.ignoredMessages).toBe(3000));
    expect(heard).toBeGreaterThan(0);
    expect(asker!.operations.ignoredMessages).toBeGreaterThan(1000);
  });

  it('as an answer is left out and counted', async () => {
    const [asker] = await liveCaches(1, redis());
    const answers = `cache:#ops:${processIdOf(asker!)}`;
    const from = { id: 'spy', host: 'h', pid: 1 };
    await listenTo(server, 'cache:#ops', (_topic, text) => {
      const { id } = JSON.parse(text) as { id: string };
      const wrong = [
        '{',
        { v: 1, id, from: 'me', body: {} },
        { v: 1, id, from, body: {} },
        { v: 2, id, from, body: {} },
      ];
      wrong.forEach((message) => {
        void server.command('PUBLISH', answers, typeof message === 'string' ? message : JSON.stringify(message));
      });
    });
    expect((await asker!.operations.processes({ deadlineMs: 500 })).answers).toHaveLength(1);
    await vi.waitFor(() => expect(asker!.operations.ignoredMessages).toBe(4));
  });
});
