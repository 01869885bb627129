import type { RedisOptions } from 'ioredis';

/** What a connection logs in with. An application may change them while it runs: tokens that end, passwords that are rotated. */
const NAMES = ['username', 'password', 'sentinelUsername', 'sentinelPassword'] as const;

export type Credentials = Pick<RedisOptions, (typeof NAMES)[number]>;

/**
 * Makes the credentials in `options` those that `current` has whenever they are read: a client reads them at each connection, a cluster's
 * for each node.
 */
export function followCredentials<Options extends Credentials>(options: Options, current: () => Credentials): Options {
  for (const name of NAMES) {
    Object.defineProperty(options, name, { enumerable: true, configurable: true, get: () => current()[name] });
  }
  return options;
}
