import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { REAL_TIME, withinDeadline, withinTime } from './deadline.js';

const LIMIT_MS = 30;
let server: Server;
let socket: Socket;

beforeEach(async () => {
  server = createServer((each) => each.pipe(each)).listen(0, '127.0.0.1');
  await once(server, 'listening');
  socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
  await once(socket, 'connect');
});

afterEach(() => {
  socket.destroy();
  server.close();
});

function workFor(durationMs: number): void {
  const untilMs = performance.now() + durationMs;
  for (let rounds = 0; performance.now() < untilMs; rounds++) {
    Math.sqrt(rounds);
  }
}

/** The first bytes that come back from the server, which runs in this process, too. */
async function echoOf(text: string): Promise<string> {
  const [bytes] = (await (socket.write(text), once(socket, 'data'))) as [Buffer];
  return bytes.toString();
}

describe('a time limit', () => {
  it.each([
    ['withinTime', (work: Promise<string>) => withinTime(work, LIMIT_MS, 'late', false)],
    [
      'withinDeadline',
      (work: Promise<string>) => withinDeadline(work, REAL_TIME, REAL_TIME.nowMs() + LIMIT_MS, () => 'late'),
    ],
  ])('waits for the answer where the process has been busy beyond the limit (%s)', async (_name, within) => {
    const waiting = within(echoOf('answer'));
    workFor(3 * LIMIT_MS);
    expect(await waiting).toBe('answer');
  });

  it('ends the wait for work that never ends, also in a process that is always busy', async () => {
    let isOver = false;
    const waiting = withinTime(new Promise<never>(() => {}), LIMIT_MS, 'late', true).finally(() => (isOver = true));
    const work = (): void => {
      workFor(20);
      if (!isOver) {
        setImmediate(work);
      }
    };
    work();
    expect(await waiting).toBe('late');
  });
});
