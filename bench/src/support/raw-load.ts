import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { HttpLoadOptions } from './http-load.js';

const HEAD_END = Buffer.from('\r\n\r\n');

/**
 * Sends requests over a few keep-alive connections, one at a time per connection, and reads no more of each answer than
 * its status and its length: the client of `node:http` takes several times as long as the server that is measured.
 */
export class RawLoad {
  private readonly sockets: Socket[] = [];
  private readonly fields: string;
  private readonly status: number;

  constructor(
    private readonly port: number,
    private readonly connections: number,
    { headers = {}, status = 200 }: HttpLoadOptions = {},
  ) {
    this.fields = Object.entries({ host: `127.0.0.1:${port}`, ...headers })
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('');
    this.status = status;
  }

  /** Requests the paths in order, without a pause. @throws if a status is another one than expected */
  async run(paths: readonly string[]): Promise<void> {
    while (this.sockets.length < this.connections) {
      const socket = connect(this.port, '127.0.0.1');
      socket.setNoDelay(true);
      await once(socket, 'connect');
      this.sockets.push(socket);
    }
    let next = 0;
    await Promise.all(this.sockets.map((socket) => this.requestAll(socket, () => paths[next++])));
  }

  close(): void {
    this.sockets.forEach((socket) => socket.destroy());
  }

  private async requestAll(socket: Socket, nextPath: () => string | undefined): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      let received: Buffer = Buffer.alloc(0);
      const send = (): void => {
        const path = nextPath();
        if (path === undefined) {
          socket.removeAllListeners();
          resolve();
        } else {
          socket.write(`GET ${path} HTTP/1.1\r\n${this.fields}\r\n`);
        }
      };
      socket.on('data', (chunk: Buffer) => {
        received = received.length === 0 ? chunk : Buffer.concat([received, chunk]);
        const length = answerLength(received);
        if (length === undefined || received.length < length) {
          return;
        }
        const status = Number(received.toString('latin1', 9, 12));
        received = Buffer.alloc(0);
        if (status === this.status) {
          send();
        } else {
          reject(new Error(`an answer has the status ${status}`));
        }
      });
      socket.once('error', reject);
      socket.once('close', () => reject(new Error('the server has closed the connection')));
      send();
    });
  }
}

/** The length of the answer at the start of the bytes; `undefined`: more bytes are needed to know it. */
function answerLength(bytes: Buffer): number | undefined {
  const headEnd = bytes.indexOf(HEAD_END);
  if (headEnd < 0) {
    return undefined;
  }
  const head = bytes.toString('latin1', 0, headEnd).toLowerCase();
  const bodyAt = headEnd + HEAD_END.length;
  if (head.includes('\r\ntransfer-encoding: chunked')) {
    return bytes.subarray(-5).toString('latin1') === '0\r\n\r\n' ? bytes.length : undefined;
  }
  const at = head.indexOf('\r\ncontent-length:');
  return at < 0 ? bodyAt : bodyAt + Number.parseInt(head.slice(at + 17), 10);
}
