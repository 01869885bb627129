import fc from 'fast-check';
import { describe, it } from 'vitest';
import { CacheConfig } from 'nestjs-distributed-cache/core';
import { chosenSeed } from './redis-double.js';
import { ACTIONS, KEYS, Scenario } from './scenario.js';
import { scheduledTimers } from './scheduled-timers.js';

const SCHEDULES = Number(process.env['MODEL_SCHEDULES'] ?? 20_000);
const config = CacheConfig.resolve({ namespaces: { users: { companions: { confidence: 0.1 } } } }, {});

const command = fc.record({
  action: fc.constantFrom(...ACTIONS),
  process: fc.nat(2),
  key: fc.constantFrom(...KEYS),
});
const setup = fc.record({ processes: fc.integer({ min: 2, max: 3 }), nodes: fc.integer({ min: 1, max: 2 }) });

describe('the core under every order of events', () => {
  it('returns no version older than one that was announced, and agrees with the source at rest', async () => {
    const seed = chosenSeed();
    process.stdout.write(`model: ${SCHEDULES} schedules, MODEL_SEED=${seed}\n`);
    await fc.assert(
      fc.asyncProperty(
        fc.scheduler(),
        setup,
        fc.array(command, { minLength: 2, maxLength: 7 }),
        async (s, sizes, commands) => {
          await scheduledTimers(s, () => new Scenario(config, s, sizes).run(commands));
        },
      ),
      // Interrupted rather than timed out: a schedule that ends in the middle would leave its timers to the next test.
      { seed, numRuns: SCHEDULES, interruptAfterTimeLimit: 300_000, markInterruptAsFailure: true },
    );
  }, 400_000);
});
