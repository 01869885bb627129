import { describe, expect, it, vi } from 'vitest';
import { clusterClientOptions, clusterOptionsLike, reconnectDelayMs, singleClientOptions } from './client-options.js';

const COMMAND_TIMEOUT_MS = 5000;
/** The defaults of every connection, single or in a cluster. */
const FAIL_FAST = {
  connectTimeout: 1000,
  commandTimeout: COMMAND_TIMEOUT_MS,
  enableOfflineQueue: false,
  maxRetriesPerRequest: 0,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  disconnectTimeout: 200,
  keepAlive: 5000,
  noDelay: true,
  maxLoadingRetryTime: 500,
};

describe('the options of a single client', () => {
  it('fail fast, without a queue and without resending', () => {
    const options = singleClientOptions({ host: 'h', port: 1 }, COMMAND_TIMEOUT_MS);
    expect(options).toStrictEqual({
      ...FAIL_FAST,
      enableReadyCheck: false,
      disableClientInfo: true,
      lazyConnect: true,
      retryStrategy: reconnectDelayMs,
      reconnectOnError: expect.any(Function) as unknown,
      host: 'h',
      port: 1,
    });
  });

  it('never set socketTimeout, whose timer closes a healthy socket after a reconnection', () => {
    expect(singleClientOptions({}, COMMAND_TIMEOUT_MS)).not.toHaveProperty('socketTimeout');
    expect(clusterClientOptions({}, COMMAND_TIMEOUT_MS).redisOptions).not.toHaveProperty('socketTimeout');
  });

  it('limit opening a connection to the command timeout where that is shorter than a second', () => {
    expect(singleClientOptions({}, 250)).toMatchObject({ connectTimeout: 250, commandTimeout: 250 });
  });

  it('pass on the options of the application, and omit those that it did not give', () => {
    const given = { path: '/redis.sock', db: 3, username: 'u', password: 'p', connectionName: 'n', family: 6 };
    const options = singleClientOptions(given, COMMAND_TIMEOUT_MS);
    expect(options).toMatchObject(given);
    expect(Object.keys(options)).not.toEqual(expect.arrayContaining(['host']));
    expect(Object.values(options)).not.toContain(undefined);
  });

  it('turn TLS on with the given options, and off', () => {
    expect(singleClientOptions({ tls: true }, 1).tls).toEqual({});
    expect(singleClientOptions({ tls: { ca: 'x', servername: 's' } }, 1).tls).toEqual({ ca: 'x', servername: 's' });
    expect(singleClientOptions({ tls: false }, 1)).not.toHaveProperty('tls');
  });

  it('are overridden by clientOptions', () => {
    const retryStrategy = (): number => 7;
    const clientOptions = { enableOfflineQueue: true, retryStrategy, keepAlive: 1 };
    expect(singleClientOptions({ clientOptions }, 1)).toMatchObject(clientOptions);
  });

  it('find the master through Sentinels, with TLS where the master has it', () => {
    const sentinels = [{ host: 'a', port: 1 }];
    const options = singleClientOptions(
      { sentinels, name: 'main', tls: true, sentinelTls: { ca: 'x' }, sentinelUsername: 'su', sentinelPassword: 'sp' },
      COMMAND_TIMEOUT_MS,
    );
    expect(options).toMatchObject({
      ...FAIL_FAST,
      sentinels,
      name: 'main',
      failoverDetector: true,
      sentinelCommandTimeout: 500,
      enableTLSForSentinelMode: true,
      tls: {},
      sentinelTLS: { ca: 'x' },
      sentinelUsername: 'su',
      sentinelPassword: 'sp',
    });
    expect(options.sentinelRetryStrategy?.(50)).toBeLessThanOrEqual(500);
    expect(singleClientOptions({ sentinels, name: 'main' }, 1)).toMatchObject({ enableTLSForSentinelMode: false });
  });
});

describe('the options of a cluster', () => {
  it('fail fast at both levels and leave the reconnection of nodes to the cluster client', () => {
    const settings = { username: 'u', password: 'p', connectionName: 'n', family: 4, tls: true } as const;
    expect(clusterClientOptions(settings, COMMAND_TIMEOUT_MS)).toStrictEqual({
      lazyConnect: true,
      enableOfflineQueue: false,
      clusterRetryStrategy: reconnectDelayMs,
      maxRedirections: 5,
      retryDelayOnFailover: 0,
      retryDelayOnClusterDown: 0,
      retryDelayOnTryAgain: 10,
      slotsRefreshTimeout: 500,
      slotsRefreshInterval: 1000,
      dnsLookup: expect.any(Function) as unknown,
      redisOptions: { ...FAIL_FAST, username: 'u', password: 'p', connectionName: 'n', family: 4, tls: {} },
    });
  });

  it('leave the node names to the connections and their certificates', () => {
    const { dnsLookup } = clusterClientOptions({}, COMMAND_TIMEOUT_MS);
    const addresses: unknown[] = [];
    dnsLookup?.('node.example.org', (_error, address) => addresses.push(address));
    expect(addresses).toEqual(['node.example.org']);
    const own = (): void => {};
    expect(clusterClientOptions({ clientOptions: { dnsLookup: own } }, COMMAND_TIMEOUT_MS).dnsLookup).toBe(own);
    expect(clusterOptionsLike({ dnsLookup: own }, COMMAND_TIMEOUT_MS)).not.toHaveProperty('dnsLookup');
  });

  it('are overridden by clientOptions, those of the nodes one by one', () => {
    const clientOptions = { maxRedirections: 9, redisOptions: { keepAlive: 1 } };
    const options = clusterClientOptions({ password: 'p', clientOptions }, COMMAND_TIMEOUT_MS);
    expect(options).toMatchObject({ maxRedirections: 9, enableOfflineQueue: false });
    expect(options.redisOptions).toStrictEqual({ ...FAIL_FAST, keepAlive: 1, password: 'p' });
  });
});

describe('reconnectDelayMs', () => {
  it('begins with 50 ms, continues with 70, is a second after ten seconds, and varies by a quarter each way', () => {
    const random = vi.spyOn(Math, 'random');
    const delays = (value: number): number[] => {
      random.mockReturnValue(value);
      return [0, 1, 2, 3, 4, 140, 141, 5000].map(reconnectDelayMs);
    };
    expect(delays(0.5)).toEqual([50, 50, 70, 70, 70, 70, 1000, 1000]);
    expect(delays(0)).toEqual([38, 38, 53, 53, 53, 53, 750, 750]);
    expect(delays(1)).toEqual([63, 63, 88, 88, 88, 88, 1250, 1250]);
  });
});

describe('reconnectOnError', () => {
  it('looks for the new master after READONLY only, with a delay that doubles each time', () => {
    const reconnect = singleClientOptions({}, 1).reconnectOnError;
    const now = vi.spyOn(performance, 'now');
    const answers = (message: string, atMs: number): unknown => {
      now.mockReturnValue(1_000_000 + atMs);
      return reconnect?.(new Error(message));
    };
    expect(answers('OOM command not allowed', 0)).toBe(false);
    expect(answers('ERR not READONLY', 0)).toBe(false);
    expect(answers("READONLY You can't write against a read only replica.", 0)).toBe(true);
    expect(answers("READONLY You can't write against a read only replica.", 0)).toBe(false);
    expect(answers('MASTERDOWN Link with MASTER is down', 1000)).toBe(true);
    const looks = Array.from({ length: 60 }, (_, index) => 2000 + index * 1000).filter((atMs) =>
      answers('READONLY', atMs),
    );
    expect(looks).toEqual([3000, 7000, 15_000, 31_000, 47_000]);
  });

  it('looks for the new master at once after a second failover', () => {
    const reconnect = singleClientOptions({}, 1).reconnectOnError;
    const now = vi.spyOn(performance, 'now');
    const looks = (fromMs: number): number[] =>
      Array.from({ length: 8 }, (_, index) => fromMs + index * 500).filter((atMs) => {
        now.mockReturnValue(1_000_000 + atMs);
        return reconnect?.(new Error('READONLY'));
      });
    expect(looks(0)).toEqual([0, 1000, 3000]);
    expect(looks(8000)).toEqual([8000, 9000, 11_000]);
  });

  it('keeps the delays of two connections apart', () => {
    const [one, other] = [singleClientOptions({}, 1), singleClientOptions({}, 1)];
    expect(one.reconnectOnError?.(new Error('READONLY'))).toBe(true);
    expect(other.reconnectOnError?.(new Error('READONLY'))).toBe(true);
  });
});
