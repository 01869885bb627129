import { StartUpError } from './start-up-error.js';

const DEFAULT_PORT = 3000;
const HIGHEST_PORT = 65_535;

/**
 * The port to listen on; 0 lets the system choose one.
 * @param value of the variable `PORT`; unset or blank: 3000
 * @throws StartUpError where it is no port
 */
export function parsePort(value: string | undefined): number {
  const text = value?.trim() ?? '';
  if (text === '') {
    return DEFAULT_PORT;
  }
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > HIGHEST_PORT) {
    throw new StartUpError(`PORT must be a whole number from 0 to ${HIGHEST_PORT}, got "${text}".`);
  }
  return port;
}

/** What to tell about an error of `listen`; errors that are no matter of the port are returned as they are. */
export function explainListenError(error: unknown, port: number): unknown {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  if (code === 'EADDRINUSE') {
    return new StartUpError(
      `Port ${port} is taken by another program. Choose another one, for instance: PORT=${port + 1} npm start`,
    );
  }
  if (code === 'EACCES') {
    return new StartUpError(
      `Port ${port} is not open to this user. Choose one above 1023, for instance: PORT=3000 npm start`,
    );
  }
  return error;
}
