import { Command as ClientCommand, Redis } from 'ioredis';
import { describe, expect, it, onTestFinished } from 'vitest';
import { redisForTest } from '../../../../test/support/redis-for-test.js';
import { allowDirect, senderOf } from './send.js';
import { writeCommand, type Command } from './wire-command.js';

interface SentCommand extends PromiseLike<unknown> {
  readonly promise: PromiseLike<unknown>;
  resolve: (reply: unknown) => void;
  reject: (error: Error) => void;
  toWritable(): string | Buffer;
}

/** Returns the command that the client receives. */
function sentBy(send: (client: Redis) => unknown): SentCommand {
  let sent: SentCommand | undefined;
  send({ sendCommand: (command: SentCommand) => (sent = command) } as unknown as Redis);
  return sent as SentCommand;
}

async function connected(url: string): Promise<Redis> {
  const client = new Redis(url, { autoResendUnfulfilledCommands: false, retryStrategy: () => null });
  client.on('error', () => {});
  onTestFinished(() => client.disconnect());
  await client.ping();
  return client;
}

function sendAndWait(client: Redis, command: Command): Promise<unknown> {
  return new Promise((resolve, reject) => writeCommand(client, command, { onReply: resolve, onFailure: reject }));
}

const COMMANDS: Command[] = [
  ['get', 'key'],
  ['get', 'ключ ✓ \u{1f600}'],
  ['set', 'key', Buffer.from([0, 13, 10, 255]), 'PX', 60_000],
  ['set', 'ключ', Buffer.alloc(0), 'PX', 1],
  ['set', 'a', Buffer.from('b'), 'é', Buffer.from('c')],
  ['mget', ...Array.from({ length: 100 }, (_, index) => `key ${index}`)],
  ['exec'],
];

describe('a command in wire form', () => {
  it.each(COMMANDS.map((command) => ({ command })))(
    'has the bytes that the client would send ($command.0, %#)',
    ({ command }) => {
      const [name, ...args] = command;
      const ours = sentBy((client) =>
        writeCommand(client, [name, ...args], { onReply: () => {}, onFailure: () => {} }),
      );
      const theirs = new ClientCommand(name, args, { replyEncoding: null });
      theirs.promise.catch(() => {});
      expect(Buffer.from(ours.toWritable())).toEqual(Buffer.from(theirs.toWritable({})));
    },
  );

  it('is a promise for a tracer that inspects it, and calls a resolve that the tracer has wrapped', async () => {
    const told: unknown[] = [];
    const command = sentBy((client) =>
      writeCommand(client, ['get', 'key'], { onReply: (reply) => told.push(reply), onFailure: () => {} }),
    );
    const seen = command.promise.then((reply) => `seen ${String(reply)}`);
    const { resolve } = command; // without its object, as tracers call it
    command.resolve = (reply) => resolve(`${String(reply)} and more`);
    command.resolve('reply');
    expect(told).toEqual(['reply and more']);
    expect(await seen).toBe('seen reply and more');
  });

  it('rejects for a tracer, too, and leaves no unhandled rejection when nothing observes it', async () => {
    const failures: Error[] = [];
    const listener = { onReply: () => {}, onFailure: (error: Error) => failures.push(error) };
    const watched = sentBy((client) => writeCommand(client, ['get', 'key'], listener));
    const failing = Promise.resolve(watched.promise);
    const [error, other] = [new Error('no'), new Error('not observed')];
    await Promise.resolve(); // a promise calls `then` of a thenable in the next microtask
    watched.reject(error);
    await expect(failing).rejects.toBe(error);
    const unwatched = sentBy((client) => writeCommand(client, ['get', 'key'], listener));
    unwatched.reject(other);
    await new Promise(setImmediate); // an unhandled rejection would be reported by now
    await expect(Promise.resolve(unwatched.promise)).rejects.toBe(other);
    expect(failures).toEqual([error, other]);
  });
});

describe('a client whose sendCommand is wrapped', () => {
  /** How the wrapper handles a command; `send` is the original method of the client. */
  type Wrapper = (command: ClientCommand, send: (command: ClientCommand) => unknown) => unknown;

  async function wrapped(wrapper: Wrapper): Promise<{ client: Redis; key: string }> {
    const { url, keyPrefix } = redisForTest();
    const client = await connected(url);
    const send = client.sendCommand.bind(client);
    client.sendCommand = (command) => wrapper(command, send);
    return { client, key: `${keyPrefix}:key` };
  }

  const WRAPPERS: [string, Wrapper][] = [
    ['which waits for the reply', async (command, send) => await send(command)],
    [
      'which calls what it gets a promise',
      (command, send) => {
        const sent = send(command) as Promise<unknown>;
        sent.catch(() => {});
        sent.finally(() => {}).catch(() => {});
        return sent;
      },
    ],
    ['which returns nothing', (command, send) => void send(command)],
  ];

  it('gets each outcome at the place of its command when the wrapper answers one of them early', async () => {
    const { client, key } = await wrapped((command, send) =>
      command.name === 'incr' ? Promise.resolve('answered by the wrapper') : send(command),
    );
    allowDirect(client);
    const commands: Command[] = [
      ['set', key, 'text'],
      ['get', key],
      ['incr', key],
    ];
    const outcomes = await new Promise((resolve) => senderOf(client).execute(commands, {}, resolve));
    expect(outcomes).toEqual([Buffer.from('OK'), Buffer.from('text'), 'answered by the wrapper']);
  });

  it.each(WRAPPERS)('%s: passes on replies and refusals, and leaves no unhandled rejection', async (_what, wrapper) => {
    const { client, key } = await wrapped(wrapper);
    expect(await sendAndWait(client, ['set', key, 'text'])).toEqual(Buffer.from('OK'));
    expect(await sendAndWait(client, ['get', key])).toEqual(Buffer.from('text'));
    await expect(sendAndWait(client, ['incr', key])).rejects.toThrow('not an integer');
    await new Promise(setImmediate); // an unhandled rejection would be reported by now
  });

  it('passes on the answer and the refusal of the wrapper at once', async () => {
    const refusal = new Error('too many');
    const { client, key } = await wrapped(async ({ name }) => {
      if (name === 'get') {
        return 'from elsewhere';
      }
      throw refusal;
    });
    expect(await sendAndWait(client, ['get', key])).toBe('from elsewhere');
    await expect(sendAndWait(client, ['del', key])).rejects.toBe(refusal);
  });

  it('is reported once if it throws after the command has left', async () => {
    const error = new Error('a fault of the wrapper');
    const { client, key } = await wrapped((command, send) => {
      send(command);
      throw error;
    });
    const told: unknown[] = [];
    writeCommand(client, ['set', key, 'text'], {
      onReply: (reply) => told.push(reply),
      onFailure: (each) => told.push(each),
    });
    await expect(sendAndWait(client, ['get', key])).rejects.toBe(error);
    const { admin } = redisForTest();
    await expect.poll(() => admin.get(key)).toBe('text');
    expect(told).toEqual([error]);
  });
});
