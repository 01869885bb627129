import { IncomingMessage, ServerResponse } from 'node:http';
import { type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import { CONDITION_FIELDS } from '../rules/validators.js';
import type { RawExchange } from './exchange.js';

/** Handles a request as the server of the application does. */
export type RequestListener = (request: IncomingMessage, response: ServerResponse) => void;

/**
 * A GET request with no client behind it: to refresh a stored response in the background, or to store one ahead of
 * time. It has the fields of the given request, but for its conditions, and a socket that leads nowhere.
 */
export function replayOf(
  original: Pick<IncomingMessage, 'headers'> & Partial<Pick<IncomingMessage, 'socket'>>,
  url: string,
): RawExchange {
  const kept = Object.entries(original.headers).filter(([name]) => !CONDITION_FIELDS.includes(name));
  const socket = new NowhereSocket(original.socket);
  const request = new IncomingMessage(socket as unknown as Socket);
  Object.assign(request, { httpVersion: '1.1', httpVersionMajor: 1, httpVersionMinor: 1 });
  request.method = 'GET';
  request.url = url;
  request.headers = Object.fromEntries(kept);
  request.push(null);
  const response = new ServerResponse(request);
  response.assignSocket(socket as unknown as Socket);
  return { request, response };
}

/** Takes what is written and drops it. It shows the addresses of the connection that it stands in for. */
class NowhereSocket extends Duplex {
  readonly remoteAddress: string | undefined;
  readonly remotePort: number | undefined;
  readonly localAddress: string | undefined;
  readonly localPort: number | undefined;
  readonly encrypted: boolean;

  constructor(connection: Socket | undefined) {
    super();
    this.remoteAddress = connection?.remoteAddress;
    this.remotePort = connection?.remotePort;
    this.localAddress = connection?.localAddress;
    this.localPort = connection?.localPort;
    this.encrypted = (connection as { encrypted?: boolean } | undefined)?.encrypted === true;
  }

  override _read(): void {}

  override _write(_chunk: unknown, _encoding: unknown, done: () => void): void {
    done();
  }

  setTimeout(): this {
    return this;
  }

  setNoDelay(): this {
    return this;
  }

  setKeepAlive(): this {
    return this;
  }

  address(): object {
    return {};
  }
}
