import { fork } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** @typedef {{ reads: number, writes: number }} Rates operations per second of the whole fleet */
/** @typedef {{ hits: number, localHits: number, redisHits: number, misses: number, requests: number, errors: number, loaded: string[], lastSeen: [string, number][][], acknowledged: [string, number][] }} WorkerReport */
/** @typedef {{ notUp: number, homes: string[] }} HealthReport */
/** @typedef {{ start: void, stop: void, report: WorkerReport, health: HealthReport, differences: number, end: void }} Answers by command */
/** @typedef {{ host: string, port: number }} Server */
/** @typedef {{ count: number, caches: number, keys: number, home: 'primary' | 'spread', servers: { database: { url: string }, primary: Server, near: Server, spare: Server, far: Server, toPrimary: Server } }} FleetOptions */

/** One operating system process, see worker.mjs. */
class Member {
  /** @type {Map<number, { resolve: (result: unknown) => void, reject: (error: Error) => void }>} */
  #waiting = new Map();
  #lastId = 0;

  /** @param {object} options */
  constructor(options) {
    this.child = fork(fileURLToPath(new URL('worker.mjs', import.meta.url)), [JSON.stringify(options)]);
    this.child.on('message', (/** @type {{ id: number, result: unknown }} */ { id, result }) => {
      this.#waiting.get(id)?.resolve(result);
      this.#waiting.delete(id);
    });
    this.child.once('exit', (code) => {
      for (const { reject } of this.#waiting.values()) {
        reject(new Error(`a process of the fleet ended with ${code}`));
      }
    });
  }

  /** Resolves once the caches are connected. */
  ready() {
    return this.#answer(0);
  }

  /** @template {keyof Answers} Name @param {Name} name @param {Rates} [rates] @returns {Promise<Answers[Name]>} */
  ask(name, rates) {
    const id = ++this.#lastId;
    const answer = this.#answer(id);
    this.child.send({ id, name, argument: rates });
    return /** @type {Promise<Answers[Name]>} */ (answer);
  }

  async end() {
    if (this.child.connected) {
      const ended = once(this.child, 'exit');
      await this.ask('end');
      await ended;
    }
  }

  /** @param {number} id @returns {Promise<unknown>} */
  #answer(id) {
    return new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
  }
}

/** The processes of one run. The second half of them is in the second region: it reaches the primary through a proxy. */
export class Fleet {
  /** @type {Member[]} */
  #members = [];
  /** @type {WorkerReport[]} */
  #ofEnded = [];
  #rates = { reads: 0, writes: 0 };

  /** @param {FleetOptions} options */
  constructor(options) {
    this.options = options;
  }

  async start() {
    this.#members = Array.from({ length: this.options.count }, (_, number) => this.#create(number));
    await Promise.all(this.#members.map((member) => member.ready()));
  }

  /** @param {Rates} rates */
  startLoad({ reads, writes }) {
    const { count } = this.options;
    this.#rates = { reads: reads / count, writes: writes / count };
    for (const member of this.#members) {
      void member.ask('start', this.#rates);
    }
  }

  async stopLoad() {
    await Promise.all(this.#members.map((member) => member.ask('stop')));
    await sleep(300); // what has begun ends
  }

  /** @param {Rates} rates @param {number} seconds */
  async load(rates, seconds) {
    this.startLoad(rates);
    await sleep(seconds * 1000);
    await this.stopLoad();
  }

  /** Replaces one process after the other, as a deployment does: the new one is ready before the old one ends. */
  async restartEach() {
    for (const [number, old] of this.#members.entries()) {
      const successor = this.#create(number);
      await successor.ready();
      await old.ask('stop');
      this.#members[number] = successor;
      void successor.ask('start', this.#rates);
      this.#ofEnded.push(await old.ask('report'));
      await old.end();
    }
  }

  /** What all processes counted since the last call, those that ended included. */
  async reports() {
    const found = [...this.#ofEnded, ...(await Promise.all(this.#members.map((member) => member.ask('report'))))];
    this.#ofEnded = [];
    const sum = (/** @type {'localHits' | 'redisHits' | 'hits' | 'requests' | 'errors'} */ name) =>
      found.reduce((total, report) => total + report[name], 0);
    const loaded = found.flatMap((report) => report.loaded);
    return {
      localHits: sum('localHits'),
      redisHits: sum('redisHits'),
      requests: sum('requests'),
      errors: sum('errors'),
      loadsPerVersion: loaded.length / Math.max(1, new Set(loaded).size),
      lastSeen: found.flatMap((report) => report.lastSeen),
      acknowledged: new Map(found.flatMap((report) => report.acknowledged)),
    };
  }

  /** How many caches are not `up`. */
  async health() {
    const found = await Promise.all(this.#members.map((member) => member.ask('health')));
    return { notUp: found.reduce((total, { notUp }) => total + notUp, 0) };
  }

  /** How many caches read at each server. */
  async homes() {
    const found = await Promise.all(this.#members.map((member) => member.ask('health')));
    const byHome = new Map();
    for (const home of found.flatMap(({ homes }) => homes)) {
      byHome.set(home, (byHome.get(home) ?? 0) + 1);
    }
    return [...byHome.values()].sort((one, other) => other - one);
  }

  /** How many old values caches return now. */
  async differences() {
    const found = await Promise.all(this.#members.map((member) => member.ask('differences')));
    return found.reduce((total, count) => total + count, 0);
  }

  async end() {
    await Promise.all(this.#members.map((member) => member.end()));
  }

  /** @param {number} number */
  #create(number) {
    const { count, caches, keys, home, servers } = this.options;
    const isFar = number >= count / 2;
    const { host, port } = isFar ? servers.toPrimary : servers.primary;
    const replicas = isFar ? [servers.far] : [servers.near, servers.spare];
    const nodes = replicas.map((server) => ({ host: server.host, port: server.port }));
    const redis = { host, port, ...(home === 'primary' ? {} : { home: { nodes, pick: home } }) };
    return new Member({ number, processes: count, caches, keys, database: servers.database.url, redis });
  }
}
