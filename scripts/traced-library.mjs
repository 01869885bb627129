/**
 * A cache over Redis in a Nest application, and the functions of the library that its operations run, by V8's precise
 * coverage. `npm run trace` prints them; test/hit-path.spec.ts checks those of a hit. The library is a compiled one: V8
 * reports its functions by the address of their file.
 */
import 'reflect-metadata';
import { Session } from 'node:inspector';
import { setTimeout as delay } from 'node:timers/promises';
import { NestFactory } from '@nestjs/core';

/** The wait, in milliseconds, for work that an operation leaves behind. */
export const AT_REST_MS = 200;
/** No heartbeat falls into a trace, and no deadline ends on a slow machine. */
const PATIENT = { heartbeatMs: 60_000, deadlineMs: 5000 };

/** @typedef {Map<string, { functionName: string, calls: number }[]>} FunctionsByFile */

/** Opens an application whose provider `words` has a decorated method `find`, and whose namespace is `trace`. */
export class TracedLibrary {
  /**
   * @param {string} address of the folder of the compiled library, with a `/` at its end
   * @param {object} options of the cache
   */
  static async open(address, options) {
    const { Cached, DistributedCache, DistributedCacheModule } = await import(`${address}index.js`);
    class Words {
      async find(word) {
        return { word };
      }
    }
    const find = Object.getOwnPropertyDescriptor(Words.prototype, 'find');
    Object.defineProperty(Words.prototype, 'find', Cached({ ttl: '1h' })(Words.prototype, 'find', find) ?? find);
    class App {}
    const imports = [DistributedCacheModule.forRoot({ ...PATIENT, ...options })];
    const application = await NestFactory.createApplicationContext(
      { module: App, imports, providers: [Words] },
      { logger: false },
    );
    return new TracedLibrary(address, application, application.get(Words), application.get(DistributedCache));
  }

  constructor(address, application, words, all) {
    this.address = address;
    this.application = application;
    this.words = words;
    this.all = all;
    this.cache = all.getCache('trace');
    this.session = new Session();
    this.session.connect();
    this.session.post('Profiler.enable');
    this.session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
  }

  /**
   * The functions that run until the operation has ended.
   * @param {() => Promise<unknown>} operation
   * @returns {Promise<FunctionsByFile>}
   */
  async trace(operation) {
    await delay(AT_REST_MS);
    return this.record(operation);
  }

  /**
   * The functions that a hit of L1 runs. The hit before it, in the same turn of the event loop, reads the coarse clock,
   * which both share. A hit ends within its turn: no timer and no message of Redis can run a function meanwhile,
   * however slow the machine is.
   * @param {() => Promise<unknown>} operation
   * @returns {Promise<FunctionsByFile>}
   */
  async traceLocalHit(operation) {
    const hitsBefore = this.localHits();
    while (this.localHits() === hitsBefore) {
      await delay(AT_REST_MS); // a message about the fill may still arrive and drop the entry of L1 once
      await operation();
    }
    return this.record(operation);
  }

  async record(operation) {
    this.takeCoverage(); // resets the counts
    await operation();
    const files = new Map();
    for (const { url, functions } of this.takeCoverage().filter((script) => script.url.startsWith(this.address))) {
      // the function at offset 0 is the module itself
      const called = functions.filter(({ ranges }) => ranges[0].startOffset > 0 && ranges[0].count > 0);
      if (called.length > 0) {
        files.set(
          url.slice(this.address.length),
          called.map(({ functionName, ranges }) => ({ functionName, calls: ranges[0].count })),
        );
      }
    }
    return files;
  }

  /** The functions that have run since the last call. The inspector answers before `post` returns. */
  takeCoverage() {
    let scripts = [];
    this.session.post('Profiler.takePreciseCoverage', (_error, { result }) => (scripts = result));
    return scripts;
  }

  /** The hits of L1 in all namespaces. */
  localHits() {
    return this.all.getMetrics().reduce((sum, { localHits }) => sum + localHits, 0);
  }

  close() {
    this.session.disconnect();
    return this.application.close();
  }
}
