import { IncomingMessage, ServerResponse } from 'node:http';
import { type Socket } from 'node:net';
import { Duplex } from 'node:stream';
import type { RawExchange } from './exchange.js';

/** Handles a request as the server of the application does. */
export type RequestListener = (request: IncomingMessage, response: ServerResponse) => void;

/** The fields of one client's request that a repetition for all clients must not have. */
const OWN_CONDITIONS: ReadonlySet<string> = new Set([
  'if-match',
  'if-none-match',
  'if-modified-since',
  'if-unmodified-since',
  'if-range',
  'range',
]);

/**
 * A GET request with no client behind it: to refresh a stored response in the background, or to store one ahead of
 * time. It has the fields of the given request, but for its conditions, and a socket that leads nowhere.
 */
export function replayOf(
  original: IncomingMessage | undefined,
  fields: Readonly<Record<string, string>>,
  url: string,
): RawExchange {
  const kept = Object.entries(original?.headers ?? {}).filter(([name]) => !OWN_CONDITIONS.has(name));
  const socket = new NowhereSocket(original?.socket);
  const request = new IncomingMessage(socket as unknown as Socket);
  Object.assign(request, { httpVersion: '1.1', httpVersionMajor: 1, httpVersionMinor: 1 });
  request.method = 'GET';
  request.url = url;
  request.headers = { ...Object.fromEntries(kept), ...fields };
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
