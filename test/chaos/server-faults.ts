import { FaultProxy } from '../support/fault-proxy.js';
import { RedisServer, type RedisServerOptions } from '../support/redis-server.js';
import { untilTrue } from '../support/until-true.js';
import { chaosNode, type Fault, type FaultBench } from './fault-bench.js';
import { LinkByLinkProxy } from './link-by-link-proxy.js';

interface ServerFault extends Omit<Fault, 'prepare'> {
  readonly server?: RedisServerOptions;
  /** The password of the nodes, where it differs from that of the server. */
  readonly password?: string;
  readonly begin: (server: RedisServer) => Promise<unknown> | void;
  readonly heal?: (server: RedisServer) => Promise<unknown> | void;
}

/** A fault of the server: both nodes are connected to it directly. */
function serverFault({ server: options, password, begin, heal, ...fault }: ServerFault): Fault {
  return {
    ...fault,
    prepare: async () => {
      const server = await RedisServer.start(options);
      const login = password === undefined ? {} : { password };
      const nodes = ['a', 'b'].map((name) => chaosNode(name, { host: server.host, port: server.port, ...login }));
      return {
        nodes,
        begin: async () => void (await begin(server)),
        heal: async () => void (await heal?.(server)),
        stop: () => server.stop(),
      };
    },
  };
}

interface NetworkFault extends Omit<Fault, 'prepare'> {
  /** `onStore` registers a listener, which gets the number of values that the node has stored so far. */
  readonly begin: (proxy: FaultProxy, onStore: (listener: (count: number) => unknown) => void) => Promise<void> | void;
  readonly heal?: (proxy: FaultProxy) => Promise<void> | void;
}

/** A fault of the path of one node to the server; the other node has a path of its own. */
function networkFault({ begin, heal, ...fault }: NetworkFault): Fault {
  return {
    ...fault,
    orphansLeases: true,
    prepare: async (): Promise<FaultBench> => {
      const server = await RedisServer.start();
      const proxy = await FaultProxy.start(server.port);
      const nodes = [
        chaosNode('a', { host: proxy.host, port: proxy.port }),
        chaosNode('b', { host: server.host, port: server.port }),
      ];
      let stores = 0;
      let onStore: ((count: number) => unknown) | undefined;
      nodes[0]!.cache.events.on('set', () => onStore?.(++stores));
      return {
        nodes,
        begin: () => begin(proxy, (listener) => (onStore = listener)),
        heal: async () => {
          onStore = undefined;
          await heal?.(proxy);
        },
        stop: async () => {
          await proxy.close();
          await server.stop();
        },
      };
    },
  };
}

const subscriberHalfOpen: Fault = {
  name: 'subscriber half-open',
  lastsMs: 1500,
  separates: false,
  recoversFrom: 'begin',
  prepare: async () => {
    const server = await RedisServer.start();
    const proxy = await LinkByLinkProxy.start(server.port);
    const nodes = [
      chaosNode('a', { host: server.host, port: proxy.port }),
      chaosNode('b', { host: server.host, port: server.port }),
    ];
    return {
      nodes,
      begin: () => {
        // The data connection is opened first, the subscriber second.
        proxy.links[1]!.stall('down');
        proxy.links[1]!.stall('up');
      },
      heal: () => {},
      stop: async () => {
        await proxy.close();
        await server.stop();
      },
    };
  },
};

const READONLY_MASTER = ['REPLICAOF', '127.0.0.1', 1] as const;
let loading: Promise<unknown> | undefined;

async function isLoaded(server: RedisServer): Promise<boolean> {
  return String(await server.command('INFO', 'persistence')).includes('\nloading:0');
}

export const serverFaults: readonly Fault[] = [
  serverFault({
    name: 'kill -9, down for 1.5 s',
    lastsMs: 1500,
    separates: true,
    begin: (server) => server.killHard(),
    heal: (server) => server.restart(),
  }),
  serverFault({
    name: 'kill -9, restarted empty at once',
    lastsMs: 0,
    separates: true,
    begin: (server) => server.restart(),
  }),
  serverFault({
    name: 'frozen (SIGSTOP) for 1.5 s',
    lastsMs: 1500,
    separates: true,
    begin: (server) => server.freeze(),
    heal: (server) => server.thaw(),
  }),
  serverFault({
    name: 'wrong password from the start',
    lastsMs: 1000,
    separates: true,
    fromStart: true,
    server: { password: 'right' },
    password: 'changed',
    begin: () => {},
    heal: (server) => server.command('CONFIG', 'SET', 'requirepass', 'changed'),
  }),
  serverFault({
    name: 'password changed, connections killed',
    lastsMs: 1000,
    separates: true,
    server: { password: 'right' },
    password: 'right',
    begin: async (server) => {
      await server.command('CONFIG', 'SET', 'requirepass', 'changed');
      server.password = 'changed';
      await server.command('CLIENT', 'KILL', 'TYPE', 'normal');
      await server.command('CLIENT', 'KILL', 'TYPE', 'pubsub');
    },
    heal: async (server) => {
      await server.command('CONFIG', 'SET', 'requirepass', 'right');
      server.password = 'right';
    },
  }),
  serverFault({
    name: 'out of memory (OOM)',
    lastsMs: 1000,
    separates: false,
    begin: (server) => server.command('CONFIG', 'SET', 'maxmemory', '1'),
    heal: (server) => server.command('CONFIG', 'SET', 'maxmemory', '0'),
  }),
  serverFault({
    name: 'loading its data for 1.5 s (LOADING)',
    lastsMs: 1200,
    separates: true,
    server: { args: ['--enable-debug-command', 'yes', '--loading-process-events-interval-bytes', '1024'] },
    begin: async (server) => {
      await server.command('DEBUG', 'POPULATE', 1000, 'filler', 200);
      await server.command('CONFIG', 'SET', 'key-load-delay', 1500);
      loading = server.command('DEBUG', 'RELOAD').catch(() => untilTrue(() => isLoaded(server))); // a busy machine is slow
    },
    heal: () => loading,
  }),
  serverFault({
    name: 'read-only (READONLY)',
    lastsMs: 1000,
    separates: true,
    begin: (server) => server.command(...READONLY_MASTER),
    heal: (server) => server.command('REPLICAOF', 'NO', 'ONE'),
  }),
  serverFault({
    name: 'CLIENT PAUSE for 1 s',
    lastsMs: 1000,
    separates: true,
    begin: (server) => server.command('CLIENT', 'PAUSE', 1000, 'ALL'),
  }),
  serverFault({
    name: 'CLIENT KILL TYPE pubsub',
    lastsMs: 0,
    separates: false,
    begin: (server) => server.command('CLIENT', 'KILL', 'TYPE', 'pubsub'),
  }),
  serverFault({
    name: 'FLUSHALL',
    lastsMs: 0,
    separates: false,
    begin: (server) => server.command('FLUSHALL'),
  }),
];

export const networkFaults: readonly Fault[] = [
  networkFault({
    name: 'black hole for 1.5 s, then reset',
    lastsMs: 1500,
    separates: true,
    begin: (proxy) => proxy.blackhole(),
    heal: (proxy) => {
      proxy.resume();
      proxy.cut();
    },
  }),
  networkFault({
    name: 'old sockets dead, new ones fine',
    lastsMs: 1000,
    separates: true,
    recoversFrom: 'begin',
    begin: (proxy) => proxy.stall('both', { onlyExisting: true }),
  }),
  networkFault({
    name: 'answers lost for 1 s, then reset',
    lastsMs: 1000,
    separates: true,
    begin: (proxy) => proxy.stall('down'),
    heal: (proxy) => {
      proxy.cut();
      proxy.resume();
    },
  }),
  networkFault({
    name: 'answers 200 ms late',
    lastsMs: 1200,
    separates: false,
    begin: (proxy) => proxy.delay(100),
    heal: (proxy) => proxy.delay(0),
  }),
  networkFault({
    name: 'answers 400 ms late',
    lastsMs: 1500,
    separates: true,
    begin: (proxy) => proxy.delay(200),
    heal: (proxy) => proxy.delay(0),
  }),
  networkFault({
    name: 'reset after every 20 stores',
    lastsMs: 1500,
    separates: true,
    begin: (proxy, onStore) => onStore((count) => count % 20 === 0 && proxy.cut()),
  }),
  networkFault({
    name: 'port closed for 1.5 s',
    lastsMs: 1500,
    separates: true,
    begin: async (proxy) => {
      await proxy.refuseNew(true);
      proxy.cut();
    },
    heal: (proxy) => proxy.refuseNew(false),
  }),
  subscriberHalfOpen,
];
