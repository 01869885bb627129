import { connect } from 'node:net';

const DEADLINE_MS = 500;

/** The first line of any answer of Redis to `PING`: an error, such as `-NOAUTH`, is an answer too. */
const ANY_ANSWER = /^[+-].*\r\n/;

/**
 * Sends one command over a connection of its own. Resolves to true when the answer matches, to false on an error of the
 * connection and after half a second.
 * @param command in Redis' inline form
 */
export function redisAnswers(host: string, port: number, command = 'PING', expected = ANY_ANSWER): Promise<boolean> {
  return new Promise((resolve) => {
    let answer = '';
    const socket = connect({ host, port }, () => socket.write(`${command}\r\n`));
    const finish = (matches: boolean): void => {
      clearTimeout(deadline);
      socket.destroy();
      resolve(matches);
    };
    const deadline = setTimeout(() => finish(false), DEADLINE_MS);
    socket.on('error', () => finish(false));
    socket.on('close', () => finish(false));
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString();
      if (expected.test(answer)) {
        finish(true);
      }
    });
  });
}
