import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { FollowedScope } from './loader-run.js';

/** Runs work that looks at the value in its synchronous part and after an `await`. */
async function see(scope: FollowedScope<string>, value: string): Promise<(string | undefined)[]> {
  const isFollowed = scope.beginFollowing();
  try {
    return await scope.run(value, isFollowed, async () => {
      const atOnce = scope.current;
      await nextTurn();
      return [atOnce, scope.current];
    });
  } finally {
    if (isFollowed) {
      scope.endFollowing();
    }
  }
}

describe('FollowedScope', () => {
  it('holds its value in the synchronous part always, and after it for the first pieces of work of a process', async () => {
    const scope = new FollowedScope<string>(false, 2);
    expect(await see(scope, 'a')).toEqual(['a', 'a']);
    expect(await see(scope, 'b')).toEqual(['b', 'b']);
    expect(await see(scope, 'c')).toEqual(['c', undefined]);
    expect(scope.current).toBeUndefined();
  });

  it('follows all work for a while after a suspicion, and always if it costs nothing', async () => {
    const scope = new FollowedScope<string>(false, 0);
    scope.suspect(60_000);
    expect(await see(scope, 'a')).toEqual(['a', 'a']);
    scope.suspect(0);
    expect(await see(scope, 'b')).toEqual(['b', undefined]);
    expect(await see(new FollowedScope<string>(true, 0), 'c')).toEqual(['c', 'c']);
  });

  it('keeps concurrent pieces of work apart, and restores the outer value', async () => {
    const scope = new FollowedScope<string>(false, 10);
    expect(await Promise.all(['a', 'b', 'c'].map((value) => see(scope, value)))).toEqual([
      ['a', 'a'],
      ['b', 'b'],
      ['c', 'c'],
    ]);
    expect(scope.run('outer', false, () => [scope.run('inner', false, () => scope.current), scope.current])).toEqual([
      'inner',
      'outer',
    ]);
    expect(() =>
      scope.run('outer', false, () => {
        throw new Error('no');
      }),
    ).toThrow('no');
    expect(scope.current).toBeUndefined();
  });

  it('adds nothing to promises while no work is followed', async () => {
    const carried = (): number => Object.getOwnPropertySymbols(Promise.resolve()).length;
    const scope = new FollowedScope<string>(false, 1);
    const before = carried();
    await see(scope, 'a');
    await see(scope, 'b');
    expect(carried()).toBe(before);
  });
});
