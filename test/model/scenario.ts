import type { Scheduler } from 'fast-check';
import type { CacheConfig } from '../../libs/distributed-cache/src/config/index.js';
import { ModelError, Oracle } from './oracle.js';
import { ProcessDouble } from './process-double.js';
import type { HomeRules } from './home-double.js';
import { RedisDouble } from './redis-double.js';
import { ReplicaDouble } from './replica-double.js';

export const KEYS = ['a', 'b'] as const;
export const ACTIONS = ['get', 'getOrSet', 'set', 'delete', 'clear', 'loseChannel', 'cutOff', 'expire'] as const;
/** What happens to a replica besides: its link is cut unnoticed, it dies, it is promoted. */
export const REPLICA_ACTIONS = ['deafen', 'killHome'] as const;

export interface Command {
  readonly action: (typeof ACTIONS)[number] | (typeof REPLICA_ACTIONS)[number];
  readonly process: number;
  readonly key: (typeof KEYS)[number];
}

/** Some processes, a Redis and a source, and commands that begin and continue when the scheduler says so. */
export class Scenario {
  private readonly redis = new RedisDouble();
  private readonly replica: ReplicaDouble | undefined;
  private readonly processes: readonly ProcessDouble[];
  private readonly oracle: Oracle;
  private readonly isInOrder: boolean;
  private failure: unknown;
  private unsettled = 0;
  /** Per key: a `set` determines the value, so no other write of the same key may run at the same time. */
  private writes: Promise<unknown> = Promise.resolve();

  constructor(
    config: CacheConfig,
    private readonly scheduler: Scheduler,
    setup: {
      readonly processes: number;
      readonly nodes: number;
      /** How many of the processes have a home replica; they share it. Default 0. */
      readonly atReplica?: number;
      readonly rules?: HomeRules;
      /** Whether a process begins a command when its previous one has ended. Default: at any time. */
      readonly isInOrder?: boolean;
    },
  ) {
    this.isInOrder = setup.isInOrder === true;
    const { atReplica = 0, rules } = setup;
    this.replica = atReplica === 0 ? undefined : new ReplicaDouble(this.redis, scheduler);
    this.processes = Array.from(
      { length: setup.processes },
      (_, index) =>
        new ProcessDouble(
          config,
          this.redis,
          scheduler,
          setup.nodes,
          index < atReplica ? this.replica : undefined,
          rules,
        ),
    );
    this.oracle = new Oracle(this.processes);
    for (const process of this.processes) {
      process.onLeftHome = () => void this.begin('leave home', () => this.leaveHome(process));
    }
  }

  /** Runs everything to its end. @throws ModelError that names the broken promise */
  async run(commands: readonly Command[]): Promise<void> {
    const previous = new Map<number, Promise<void>>();
    for (const command of commands) {
      const place = command.process % this.processes.length;
      const turn = this.isInOrder ? previous.get(place) : undefined;
      const done = this.begin(`${command.action} ${command.key} in ${command.process}`, async () => {
        await turn;
        await this.perform(command);
      });
      previous.set(place, done);
    }
    await this.drain();
    await Promise.all([this.rejoinAll(), this.drain()]);
    await this.drain();
    if (this.unsettled > 0) {
      throw new ModelError(`${this.unsettled} promises never settled`);
    }
    await Promise.all([this.compare(), this.drain()]);
    this.check();
  }

  private begin(what: string, work: () => Promise<void>): Promise<void> {
    this.unsettled++;
    return this.scheduler
      .schedule(Promise.resolve(), what)
      .then(work)
      .catch((error: unknown) => {
        this.failure ??= error;
      })
      .finally(() => this.unsettled--);
  }

  private async perform({ action, process: index, key }: Command): Promise<void> {
    const process = this.processes[index % this.processes.length];
    if (process === undefined) {
      throw new ModelError('no such process');
    }
    switch (action) {
      case 'get':
        return this.read(process, key, () => process.cache.get(key));
      case 'getOrSet':
        return this.getOrSet(process, key);
      case 'set':
        return this.write(process, [key], async function set(version) {
          return process.cache.set(key, version);
        });
      case 'delete':
        return this.write(process, [key], () => process.cache.delete(key));
      case 'clear':
        return this.write(process, KEYS, () => process.cache.clear());
      case 'loseChannel':
        if (process.isDown) {
          return;
        }
        return this.leaveHome(process);
      case 'cutOff':
        if (process.isDown) {
          return;
        }
        KEYS.forEach((each) => this.oracle.disturb(each));
        process.goDown();
        return this.rejoin(process);
      case 'deafen':
        return this.replica?.deafen();
      case 'killHome':
        if (this.replica !== undefined) {
          this.replica.isDead = true;
          const homeless = this.processes.filter((each) => each.home !== undefined && !each.isDown);
          await Promise.all(homeless.map((each) => this.leaveHome(each)));
        }
        return;
      case 'expire':
        this.redis.expire(valueKey(key));
        return this.oracle.expired(key);
    }
  }

  /** The channel is lost. Messages come from the primary from then on. */
  private async leaveHome(process: ProcessDouble): Promise<void> {
    if (process.isDown) {
      return;
    }
    KEYS.forEach((each) => this.oracle.disturb(each)); // running loads are not kept
    process.loseChannel();
    await process.trackAgain();
    this.oracle.back(process, KEYS);
  }

  private async read(process: ProcessDouble, key: string, ask: () => Promise<number | undefined>): Promise<void> {
    const oldest = this.oracle.oldest(process, key);
    const answer = await ask();
    if (answer !== undefined && answer < oldest) {
      throw new ModelError(`read ${answer} of ${key}, although ${oldest} had been announced`);
    }
  }

  /** The result of its load is kept, unless a change has happened in between. */
  private async getOrSet(process: ProcessDouble, key: string): Promise<void> {
    const askedAt = this.oracle.ask();
    let hasLoaded = false;
    const { hasReceivedAll, stampsReceived } = process; // an earlier message may still taint a load
    await this.read(process, key, () =>
      process.cache.getOrSet(key, () => {
        hasLoaded = true;
        return this.load(key, askedAt);
      }),
    );
    if (
      hasLoaded &&
      hasReceivedAll &&
      stampsReceived === process.stampsReceived &&
      this.oracle.isUndisturbedSince(key, askedAt) &&
      this.redis.peek(valueKey(key)) === undefined
    ) {
      throw new ModelError(`a load of ${key} came to nothing`);
    }
  }

  private async load(key: string, askedAt: number): Promise<number> {
    const end = this.oracle.beginLoad(key, askedAt);
    await this.scheduler.schedule(Promise.resolve(), `load ${key}`);
    const version = this.oracle.version(key);
    await this.scheduler.schedule(Promise.resolve(), `loaded ${key}`);
    end();
    return version;
  }

  private async write(
    process: ProcessDouble,
    keys: readonly string[],
    send: (version: number) => Promise<unknown>,
  ): Promise<void> {
    const write = this.writes.then(async () => {
      this.oracle.change(keys);
      const versions = keys.map((key) => this.oracle.version(key));
      const wasDown = process.isDown;
      const { outages } = process;
      const isStored = await send(versions[0] ?? 0);
      if (isStored === false && keys.length === 1 && send.name === 'set' && !wasDown && outages === process.outages) {
        throw new ModelError(`a set of ${keys.join()} was not sent`);
      }
      this.oracle.changed(process, keys, versions, !wasDown && !process.isDown && process.owesNothing);
    });
    this.writes = write.catch(() => {});
    return write;
  }

  private async rejoin(process: ProcessDouble): Promise<void> {
    await this.scheduler.schedule(Promise.resolve(), 'reconnect');
    KEYS.forEach((key) => this.oracle.disturb(key));
    this.redis.endLeases();
    await process.goLive();
    this.oracle.back(process, KEYS);
  }

  private async rejoinAll(): Promise<void> {
    for (const process of this.processes) {
      if (process.isDown) {
        await this.rejoin(process);
      }
      await process.trackAgain();
      await process.replay();
      process.home?.progress.request(); // as at each heartbeat
      this.oracle.back(process, KEYS);
    }
  }

  /** At rest every process agrees with the source, or has no value. */
  private async compare(): Promise<void> {
    for (const key of KEYS) {
      const answers = await Promise.all(this.processes.map((process) => process.cache.get(key)));
      const version = this.oracle.version(key);
      if (answers.some((answer) => answer !== undefined && answer !== version)) {
        throw new ModelError(`at rest ${key} is ${version}, and the processes say ${answers.map(String).join(', ')}`);
      }
    }
  }

  private async drain(): Promise<void> {
    do {
      while (this.scheduler.count() > 0) {
        await this.scheduler.waitOne();
      }
      await settled();
    } while (this.scheduler.count() > 0);
    this.check();
  }

  private check(): void {
    if (this.failure !== undefined) {
      throw this.failure;
    }
  }
}

function valueKey(key: string): string {
  return `cache:users:${key}`;
}

/** The longest chain of promises in the core ends within one event loop turn. */
function settled(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
