import type { Cluster, Redis, RedisOptions } from 'ioredis';
import { withinTime } from './deadline.js';

/**
 * The options with which a connection logs in. An application may change them while it runs: tokens that expire,
 * passwords that are rotated.
 */
const NAMES = ['username', 'password', 'sentinelUsername', 'sentinelPassword'] as const;

export type Credentials = Pick<RedisOptions, (typeof NAMES)[number]>;
export type Login = Pick<RedisOptions, 'username' | 'password'>;
export type AskForCredentials = () => Login | Promise<Login>;

/**
 * Replaces the credentials in `options` by getters of those that `current` returns. A client reads its options at each
 * connection, a cluster's client for each node.
 */
export function followCredentials<Options extends Credentials>(
  options: Options,
  current: () => Credentials,
  names: readonly (keyof Credentials)[] = NAMES,
): Options {
  for (const name of names) {
    Object.defineProperty(options, name, { enumerable: true, configurable: true, get: () => current()[name] });
  }
  return options;
}

/** The function of the application that returns the login, and its last result. */
class CredentialSource {
  login: Login = {};
  private asking: Promise<void> | undefined;

  constructor(
    private readonly ask: AskForCredentials,
    private readonly limitMs: number,
  ) {}

  /**
   * Resolves when the answer has arrived, is overdue, or has failed. In the latter two cases the previous login is
   * tried, and Redis decides.
   */
  refresh(): Promise<void> {
    this.asking ??= withinTime(this.answer(), this.limitMs, undefined, false).finally(() => {
      this.asking = undefined;
    });
    return this.asking;
  }

  private async answer(): Promise<void> {
    try {
      const { username, password } = await this.ask();
      this.login = { username, password };
    } catch {
      // Redis decides whether the previous login is still valid, and its error reply is reported.
    }
  }
}

const sources = new WeakMap<Redis, CredentialSource>();
const LOGIN = ['username', 'password'] as const;

/**
 * Makes the client ask for its login before each connection.
 * @param limitMs longest wait for the login, in milliseconds
 */
export function withCredentials(client: Redis, ask: AskForCredentials | undefined, limitMs: number): Redis {
  return ask === undefined ? client : askBeforeConnecting(client, new CredentialSource(ask, limitMs));
}

/**
 * Makes a cluster's client ask for its login. It asks before it connects as a whole. Its nodes may not wait (a command
 * makes them connect): they use the last answer and ask for the next. If that login is refused, the cluster as a whole
 * connects again.
 */
export function withClusterCredentials(cluster: Cluster, ask: AskForCredentials | undefined, limitMs: number): Cluster {
  if (ask === undefined) {
    return cluster;
  }
  const source = new CredentialSource(ask, limitMs);
  cluster.options.redisOptions = followCredentials(cluster.options.redisOptions ?? {}, () => source.login, LOGIN);
  cluster.on('+node', (node: Redis) => {
    sources.set(node, source);
    followCredentials(node.options, () => source.login, LOGIN);
    askWhileConnecting(node, source);
  });
  beforeConnecting(cluster, source);
  return cluster;
}

/** Gives a client that duplicates another the same source of credentials. */
export function shareCredentials(client: Redis, model: Redis): Redis {
  const source = sources.get(model);
  return source === undefined ? client : askBeforeConnecting(client, source);
}

function askBeforeConnecting(client: Redis, source: CredentialSource): Redis {
  sources.set(client, source);
  followCredentials(client.options, () => source.login, LOGIN);
  beforeConnecting(client, source);
  return client;
}

function askWhileConnecting(node: Redis, source: CredentialSource): void {
  const connect = node.connect.bind(node);
  node.connect = (): Promise<void> => {
    void source.refresh();
    return connect();
  };
}

/**
 * Makes `connect` wait for the login. The client calls its own `connect` at each reconnection, too. It may be ended
 * while it waits for the answer.
 */
function beforeConnecting(client: Redis | Cluster, source: CredentialSource): void {
  const connect = client.connect.bind(client);
  const disconnect = client.disconnect.bind(client);
  let isEnded = false;
  client.connect = async (): Promise<void> => {
    await source.refresh();
    if (!isEnded) {
      await connect();
    }
  };
  client.disconnect = (reconnect = false): void => {
    isEnded ||= !reconnect;
    disconnect(reconnect);
  };
}
