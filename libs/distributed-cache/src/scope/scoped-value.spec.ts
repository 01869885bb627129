import { setImmediate as nextTurn } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { ScopedValue } from './index.js';

describe('ScopedValue', () => {
  it('follows a call through promises, timers and ticks', async () => {
    const user = new ScopedValue<string>();
    const seen = await user.run('ada', async () => {
      await nextTurn();
      const afterTurn = user.current;
      const inTimer = await new Promise((resolve) => setTimeout(() => resolve(user.current), 1));
      const inTick = await new Promise((resolve) => process.nextTick(() => resolve(user.current)));
      return [afterTurn, inTimer, inTick];
    });
    expect(seen).toEqual(['ada', 'ada', 'ada']);
    expect(user.current).toBeUndefined();
  });

  it('keeps concurrent calls apart', async () => {
    const user = new ScopedValue<number>();
    const see = async (turns: number) => {
      for (let turn = 0; turn < turns; turn++) {
        await nextTurn();
      }
      return user.current;
    };
    const calls = [3, 1, 4, 1, 5, 9, 2, 6];
    expect(await Promise.all(calls.map((turns, call) => user.run(call, () => see(turns))))).toEqual([...calls.keys()]);
  });

  it('does not change other scoped values, inside and outside', () => {
    const [user, tenant] = [new ScopedValue<string>(), new ScopedValue<string>()];
    const seen = user.run('ada', () => {
      const inner = tenant.run('acme', () =>
        user.run('bob', () => [user.current, tenant.current, tenant.run('zeta', () => [user.current, tenant.current])]),
      );
      return [inner, user.current, tenant.current];
    });
    expect(seen).toEqual([['bob', 'acme', ['bob', 'zeta']], 'ada', undefined]);
  });

  it('may hold undefined, which hides the value around it', () => {
    const user = new ScopedValue<string | undefined>();
    expect(user.run('ada', () => user.run(undefined, () => user.current))).toBeUndefined();
  });

  it('restores the outer value when the work throws', () => {
    const user = new ScopedValue<string>();
    const fail = () =>
      user.run('bob', () => {
        throw new Error('no');
      });
    user.run('ada', () => {
      expect(fail).toThrow('no');
      expect(user.current).toBe('ada');
    });
  });

  it('keeps nothing of the earlier scopes of a job that starts itself again', async () => {
    setFlagsFromString('--expose-gc');
    const collectGarbage = runInNewContext('gc') as () => void;
    const [run, tenant] = [new ScopedValue<object>(), new ScopedValue<string>()];
    const past: WeakRef<object>[] = [];
    const kept = await new Promise<number>((resolve) => {
      const job = (left: number) => {
        const value = {};
        past.push(new WeakRef(value));
        run.run(value, () =>
          tenant.run('acme', () => {
            setImmediate(() => {
              if (left > 0) {
                return job(left - 1);
              }
              collectGarbage();
              resolve(past.filter((reference) => reference.deref() !== undefined).length);
            });
          }),
        );
      };
      job(20);
    });
    expect(kept).toBeLessThan(4);
  });

  it('adds nothing more to a promise, however many scoped values there are', () => {
    const carriedInside = (values: readonly ScopedValue<number>[]): number => {
      const [value, ...others] = values;
      return value === undefined
        ? Object.getOwnPropertySymbols(Promise.resolve()).length
        : value.run(values.length, () => carriedInside(others));
    };
    const values = Array.from({ length: 5 }, () => new ScopedValue<number>());
    expect(carriedInside(values)).toBe(carriedInside(values.slice(0, 1)));
  });
});
