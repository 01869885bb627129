import fc from 'fast-check';
import { expect, it } from 'vitest';
import { LoneMap } from './lone-map.js';

type Step = readonly [what: 'set' | 'delete' | 'get', key: string, value: number];

it('a map of mostly one entry says what any map says', () => {
  const step = fc.tuple(fc.constantFrom('set', 'delete', 'get'), fc.constantFrom('', 'a', 'b', 'c', 'd'), fc.nat());
  fc.assert(
    fc.property(fc.array(step as fc.Arbitrary<Step>, { maxLength: 60 }), (steps) => {
      const [map, model] = [new LoneMap<number>(), new Map<string, number>()];
      for (const [what, key, value] of steps) {
        if (what === 'get') {
          expect(map.get(key)).toBe(model.get(key));
        } else if (what === 'set') {
          map.set(key, value);
          model.set(key, value);
        } else {
          map.delete(key);
          model.delete(key);
        }
        expect(map.size).toBe(model.size);
        expect(map.keys().toSorted()).toEqual([...model.keys()].toSorted());
      }
    }),
  );
});
