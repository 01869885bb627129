import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { PROPAGATION_CACHES, type PropagationCache } from '../contestants/propagation-caches.js';
import { ratiosToFloor, takeTurns, type Named } from '../measure/rounds.js';
import { Worker } from '../support/workers.js';
import type { PropagationAnswer, PropagationQuestion } from '../workers/propagation.js';
import type { Scenario } from './scenario.js';
import { withServer } from './with-server.js';

const FLOOR: Named = { name: 'one publish-subscribe message', role: 'floor' };
/** In this time the other process has entered its loop. */
const SETTLE_MS = 5;

export const propagation: Scenario = {
  id: 'propagation',
  title: 'Propagation of a deletion to another process',
  run: ({ seed, quick }) =>
    withServer(async (server) => {
      const worker = new Worker('workers/propagation.js', [String(server.port)]);
      const publisher = new Redis({ host: server.host, port: server.port });
      const caches = new Map<string, PropagationCache>();
      for (const { name, open } of PROPAGATION_CACHES) {
        caches.set(name, await open(server.port));
      }
      try {
        const ask = (question: PropagationQuestion) => worker.ask<PropagationAnswer>(question);
        const turns = { rounds: quick ? 5 : 120, warmUpRounds: quick ? 1 : 20, seed };
        const samples = await takeTurns([FLOOR, ...PROPAGATION_CACHES], turns, async ({ name }, round) => {
          const cache = caches.get(name);
          const key = `gone:${round}`;
          await cache?.set(key, { round });
          await delay(SETTLE_MS);
          await ask({ contestant: name, key, task: 'hold' });
          const watched = ask({ contestant: name, key, task: 'watch' });
          await delay(SETTLE_MS);
          const startedAtNs = process.hrtime.bigint();
          await (cache === undefined ? publisher.publish('hop', key) : cache.delete(key));
          const { goneAtNs } = await watched;
          return { ms: Number(BigInt(goneAtNs) - startedAtNs) / 1e6 };
        });
        return [
          {
            id: 'propagation',
            title: 'Time until another process stops serving a deleted key',
            unit: 'x',
            note: 'from the call of `delete`; 1 is one publish-subscribe message between the same processes',
            figures: ratiosToFloor(samples, 'ms'),
            goal: { most: 1.6 },
          },
        ];
      } finally {
        publisher.disconnect();
        await Promise.all([...caches.values()].map((cache) => cache.close()));
        await worker.stop();
      }
    }),
};
