import { createServer } from 'node:net';
import { randomInt } from 'node:crypto';

/**
 * Ports below the range from which systems take the local port of outgoing connections, so that a server can be stopped
 * and started again on its port without another connection using it.
 */
const FIRST = 20_000;
const LAST = 32_000;

/** No other call may get the port between the check and the start of the server. */
const handedOut = new Set<number>();

/** A TCP port that is free on 127.0.0.1 at this moment, and that this process has not received before. */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 50; attempt += 1) {
    const port = randomInt(FIRST, LAST);
    if (!handedOut.has(port)) {
      handedOut.add(port);
      if (await isFree(port)) {
        return port;
      }
    }
  }
  throw new Error(`no free port on 127.0.0.1 between ${FIRST} and ${LAST}`);
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}
