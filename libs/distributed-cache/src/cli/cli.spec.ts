import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { Ajv } from 'ajv';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { liveCaches } from '../../../../test/support/channel-for-test.js';
import { importsOf } from '../../../../test/support/read-source.js';
import { ownRedis, redisForTest } from '../../../../test/support/redis-for-test.js';
import type { DistributedCache, DistributedCacheOptions } from '../core/index.js';
import { main } from './program.js';
import { SCHEMAS } from './schemas.js';

interface Shown {
  readonly exitCode: number;
  readonly out: string;
  readonly err: string;
}

/** Runs the command line in this process, as a shell would. */
async function run(argv: string, env: NodeJS.ProcessEnv, isTTY = false): Promise<Shown> {
  let [out, err] = ['', ''];
  const exitCode = await main(argv.split(' '), {
    stdout: { isTTY, write: (text) => (out += text) },
    stderr: { isTTY: false, write: (text) => (err += text) },
    stdin: Readable.from([]),
    env,
  });
  return { exitCode, out, err };
}

/** Processes of one cache, and the variables with which the command line finds them. */
async function cluster(
  count: number,
  options: DistributedCacheOptions = {},
): Promise<{ all: DistributedCache[]; env: NodeJS.ProcessEnv }> {
  const { url, keyPrefix } = redisForTest();
  const all = await liveCaches(count, { redis: { url }, keyPrefix, ...options });
  return { all, env: { REDIS_URL: url, CACHE_KEY_PREFIX: keyPrefix } };
}

describe('the command line', () => {
  it('sums the counters of eight processes', async () => {
    const { all, env } = await cluster(8);
    for (const [index, each] of all.entries()) {
      for (let call = 0; call <= index; call++) {
        await each.getCache('users').getOrSet(`key:${index}`, async () => 'value');
      }
    }
    const wanted = all.map((each) => each.getMetrics()[0]!.toJSON());
    const sum = (name: 'hits' | 'misses' | 'loads' | 'total_requests'): number =>
      wanted.reduce((total, each) => total + each[name], 0);
    const { out, exitCode } = await run('stats --json', env);
    expect(exitCode).toBe(0);
    expect(JSON.parse(out)).toMatchObject({
      processes: 8,
      unanswered: 0,
      namespaces: [
        {
          namespace: 'users',
          hits: sum('hits'),
          misses: sum('misses'),
          loads: sum('loads'),
          total_requests: sum('total_requests'),
        },
      ],
    });
    const shown = await run('stats users --by-process', env);
    expect(shown.out.split('\n')).toHaveLength(1 + 1 + 8 + 1);
    expect(all.flatMap((each) => each.getMetrics())).toHaveLength(8); // the command is none of the processes
  });

  it('prints with --json what the schema says, and nothing else', async () => {
    const { all, env } = await cluster(2, { warmUp: { namespaces: ['users'] } });
    await all[0]!.getCache('users').set('key', { name: 'Ada' }, { tags: ['team'] });
    const commands = [
      'warm',
      'stats',
      'top',
      'inspect users key',
      'inspect users key --value',
      'inspect users missing',
      'processes',
      'doctor',
      'bench --count 3',
      'purge --tag team --yes',
      'expire users key missing --yes',
      'evict users key missing --yes',
      'clear users --yes',
    ];
    for (const command of commands) {
      const { out, err } = await run(`${command} --json`, env);
      const name = command.split(' ')[0]!;
      const validate = new Ajv({ strict: false }).compile(SCHEMAS[name]!);
      for (const line of out.trimEnd().split('\n')) {
        expect({ command, isValid: validate(JSON.parse(line)), errors: validate.errors }).toEqual({
          command,
          isValid: true,
          errors: null,
        });
      }
      expect({ command, err }).toEqual({ command, err: '' });
      const printed = await run(`schema ${name} --json`, env);
      expect(JSON.parse(printed.out)).toMatchObject({ title: name });
    }
    expect((await run('schema nothing', env)).exitCode).toBe(2);
  });

  it('has a schema for every command', async () => {
    const { out } = await run('--help', {});
    const commands = [...out.matchAll(/^ {2}(\w+) .*\[options\]/gm)].map(([, name]) => String(name));
    expect(commands.toSorted()).toEqual([...Object.keys(SCHEMAS), 'schema'].toSorted());
  });

  it('ends doctor with 0 on a sound server, with 1 where a check fails, and with 3 where Redis does not answer', async () => {
    const server = await ownRedis({ args: ['--maxmemory', '200mb', '--maxmemory-policy', 'volatile-lru'] });
    const env = { REDIS_URL: server.url };
    expect((await run('doctor', env)).exitCode).toBe(0);
    await server.command('CONFIG', 'SET', 'client-output-buffer-limit', 'pubsub 65536 16384 10');
    expect(await run('doctor', env)).toMatchObject({
      exitCode: 1,
      out: expect.stringContaining('fail  output-buffer'),
    });
    await server.killHard();
    expect(await run('doctor', env)).toMatchObject({ exitCode: 3, out: expect.stringContaining('ECONNREFUSED') });
  });

  it('shows how far long work has come on a terminal, and nothing of it elsewhere', async () => {
    const { all, env } = await cluster(1);
    await all[0]!.getCache('users').setMany(Array.from({ length: 1200 }, (_, index) => [`key:${index}`, index]));
    for (const [command, progress] of [
      ['doctor', /looking at \d+ keys/],
      ['bench --count 200', /write: 100 of 200/],
    ] as const) {
      let err = '';
      const stderr = { isTTY: true, write: (text: string) => (err += text) };
      await main(command.split(' '), { ...silent(), stderr, env });
      expect(err).toMatch(progress);
      expect(err.endsWith('\r')).toBe(true); // the line is empty again
      expect((await run(command, env)).err).toBe('');
    }
  });

  it('shows what Redis and each process hold, and no value unless it is asked for one', async () => {
    const { all, env } = await cluster(2);
    await all[0]!.getCache('users').set('key', { secret: 'confidential' });
    const without = await run('inspect users key', env);
    expect(without).toMatchObject({ exitCode: 0, err: '' });
    expect(without.out).toContain('fresh');
    expect(without.out).not.toContain('confidential');
    expect((await run('inspect users key --json', env)).out).not.toContain('confidential');
    expect((await run('inspect users key --value', env)).out).toContain('confidential');
    expect((await run('inspect users missing', env)).exitCode).toBe(1);
    for (const command of ['stats', 'top --keys', 'processes', 'doctor']) {
      expect((await run(command, env)).out).not.toContain('confidential');
    }
  });

  it('finds an entry by the key of the application, and by the key that top shows', async () => {
    const { all, env } = await cluster(1);
    const users = all[0]!.getCache('users');
    await users.set('100% {odd}', 1);
    await users.get('100% {odd}');
    const { out } = await run('top --keys --json', env);
    const [{ key }] = (JSON.parse(out) as { entries: [{ key: string }] }).entries;
    expect(key).toBe('100%25 %7Bodd%7D');
    const found = async (text: string): Promise<number> =>
      main(['inspect', 'users', text, '--json'], { ...silent(), env });
    expect([await found(key), await found('100% {odd}'), await found('100%')]).toEqual([0, 0, 1]);
    expect((await run('top --json', env)).out).not.toContain('odd');
  });

  it('shows the hot keys, shortened, and has every process read them again, with exit code 1 where none does', async () => {
    const { all, env } = await cluster(2, { warmUp: { namespaces: ['users'] } });
    const [one, other] = all as [DistributedCache, DistributedCache];
    await vi.waitFor(() => expect(all.every(({ warmUp }) => warmUp.isWarm)).toBe(true));
    await one.getCache('users').set('mail:ada', 'Ada');
    await one.getCache('users').get('mail:ada');
    await one.warmUp.record();
    const shown = await run('warm --show', env);
    expect(shown).toMatchObject({ exitCode: 0, err: '' });
    expect(shown.out).toContain('users  1 hot keys');
    expect(shown.out).not.toContain('ada');
    expect(other.getCache('users').topEntries('bytes', 5)).toEqual([]);
    const { out } = await run('warm --keys --json', env);
    expect(JSON.parse(out)).toMatchObject({
      started: true,
      namespaces: [{ namespace: 'users', recorded: 1, hottest: [{ key: 'mail:ada', score: 1 }] }],
      processes: [
        { namespaces: ['users'], isWarm: true },
        { namespaces: ['users'], isWarm: true },
      ],
    });
    await vi.waitFor(() => expect(other.getCache('users').topEntries('bytes', 5)).toHaveLength(1));
    expect((await run('warm --ns teams', env)).exitCode).toBe(1);
    expect((await run('warm', (await cluster(1)).env)).exitCode).toBe(1);
  });

  it('changes nothing without --yes where no person can be asked', async () => {
    const { all, env } = await cluster(1);
    await all[0]!.getCache('users').set('key', 'value');
    for (const command of [
      'evict users key',
      'expire users key',
      'purge --tag team',
      'clear users',
      'clear users --no-input',
    ]) {
      expect(await run(command, env)).toMatchObject({ exitCode: 2, out: '', err: expect.stringContaining('--yes') });
    }
    expect(await all[0]!.getCache('users').get('key')).toBe('value');
  });

  it('changes entries in every process, and leaves a line in the audit trail', async () => {
    const { all, env } = await cluster(2);
    const [, other] = all as [DistributedCache, DistributedCache];
    const users = other.getCache('users');
    await users.setMany(
      [
        ['one', 1],
        ['two', 2],
        ['three', 3],
      ],
      { tags: ['team'], grace: '1h' },
    );
    expect(await run('expire users one none --yes', env)).toMatchObject({ exitCode: 0, err: '' });
    await vi.waitFor(async () => expect((await users.lookup('one')).state).toBe('stale'));
    expect(await run('evict users one none --yes', env)).toMatchObject({ exitCode: 0, err: '' });
    await vi.waitFor(async () => expect(await users.get('one')).toBeUndefined());
    expect(await run('evict users one --yes', env)).toMatchObject({ exitCode: 1 });
    expect(await run('purge --tag team --yes', env)).toMatchObject({ exitCode: 0 });
    await vi.waitFor(async () => expect(await users.get('two')).toBeUndefined());
    await users.set('four', 4);
    expect(await run('clear users --yes', env)).toMatchObject({ exitCode: 0 });
    await vi.waitFor(async () => expect(await users.get('four')).toBeUndefined());
    const { changes } = await other.operations.audit();
    expect(changes.map(({ action, origin }) => `${action} ${origin}`)).toEqual([
      'clear command line',
      'purge command line',
      'evict command line',
      'evict command line',
      'expire command line',
    ]);
  });

  it('says that a change is not recorded where the user may not write the trail', async () => {
    const server = await ownRedis();
    await server.command('ACL', 'SETUSER', 'app', 'on', '>secret', '~*', '&*', '+@all', '-xadd');
    const env = { REDIS_URL: `redis://app:secret@127.0.0.1:${server.port}` };
    const shown = await run('clear users --yes --json', env);
    expect(shown).toMatchObject({ exitCode: 0, err: expect.stringContaining('NOPERM') });
    expect(JSON.parse(shown.out)).toEqual({ namespace: 'users', recorded: false });
  });

  it('ends with 3 where Redis, or the processes, can not be reached, and shows no password', async () => {
    const away = await run('stats --json --url redis://app:secret@127.0.0.1:1', {});
    expect(away).toMatchObject({ exitCode: 3, out: '', err: expect.stringContaining('ECONNREFUSED') });
    expect(away.err).not.toContain('secret');
    const server = await ownRedis();
    const channels = ['&__redis__:invalidate', '&cache:#proof:*'];
    await server.command('ACL', 'SETUSER', 'app', 'on', '>secret', '~*', '+@all', ...channels);
    const refused = await run('stats', { REDIS_URL: `redis://app:secret@127.0.0.1:${server.port}` });
    expect(refused).toMatchObject({ exitCode: 3, err: expect.stringContaining('NOPERM') });
  });

  it.each([
    ['nothing', 2],
    ['stats --nothing', 2],
    ['inspect users', 2],
    ['purge', 2],
    ['top --by size', 2],
    ['top --count none', 2],
    ['stats --env-file /nowhere/at/all', 2],
    ['stats --prefix a:b', 2],
    ['stats --url http://host', 2],
    ['--help', 0],
    ['stats --help', 0],
  ])('answers %s with exit code %i, mistakes on the standard error', async (argv, exitCode) => {
    const shown = await run(argv, {});
    expect(shown.exitCode).toBe(exitCode);
    expect(exitCode === 0 ? shown.err : shown.out).toBe('');
    expect(exitCode === 0 ? shown.out : shown.err).not.toBe('');
  });

  it('names processes whose configuration differs, with exit code 1', async () => {
    const { all, env } = await cluster(1);
    expect((await run('processes', env)).exitCode).toBe(0);
    const { redis, keyPrefix } = { redis: { url: env['REDIS_URL']! }, keyPrefix: all[0]!.config.keyPrefix };
    await liveCaches(1, { redis, keyPrefix, ttl: '7m' });
    const shown = await run('processes', env);
    expect(shown.exitCode).toBe(1);
    expect(shown.out).toContain('differ in config');
  });

  it('reads variables from a file; those that are set have priority', async () => {
    const { env } = await cluster(1);
    const folder = mkdtempSync(join(tmpdir(), 'cli-'));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, 'variables');
    writeFileSync(file, `REDIS_URL=${env['REDIS_URL']}\nCACHE_KEY_PREFIX=other\n`);
    const prefix = { CACHE_KEY_PREFIX: env['CACHE_KEY_PREFIX'] };
    const found = JSON.parse((await run(`stats --json --env-file ${file}`, prefix)).out) as { processes: number };
    expect(found.processes).toBe(1);
    expect((JSON.parse((await run(`stats --json --env-file ${file}`, {})).out) as typeof found).processes).toBe(0);
  });

  it.each([
    ['not a terminal', false, {}, false],
    ['a terminal', true, {}, true],
    ['a terminal with NO_COLOR', true, { NO_COLOR: '1' }, false],
    ['a terminal with TERM=dumb', true, { TERM: 'dumb' }, false],
    ['not a terminal, with FORCE_COLOR', false, { FORCE_COLOR: '1' }, true],
    ['a terminal with FORCE_COLOR=0', true, { FORCE_COLOR: '0' }, false],
    ['both NO_COLOR and FORCE_COLOR', true, { NO_COLOR: '1', FORCE_COLOR: '1' }, false],
  ])('uses colours by the rules: %s', async (_where, isTTY, more, hasColor) => {
    const { env } = await cluster(1);
    expect((await run('processes', { ...env, ...more }, isTTY)).out.includes('\u001B')).toBe(hasColor);
    expect((await run('processes --json', { ...env, ...more }, isTTY)).out).not.toContain('\u001B');
  });

  it('prints keys, tags and names of hosts without what a terminal would take for a command', async () => {
    const { url, keyPrefix, admin } = redisForTest();
    const [all] = await liveCaches(1, { redis: { url }, keyPrefix });
    await all!.getCache('users').set('\u001B[31mred\u202E\u0007', 1, { tags: ['\u001B[2J'] });
    const env = { REDIS_URL: url, CACHE_KEY_PREFIX: keyPrefix };
    await admin.hset(`${keyPrefix}:\u001B[2J`, 'field', '1');
    const hostile = '\u001B[31mred\u202E\u0007';
    const commands = [
      'top --keys',
      'stats',
      'doctor',
      `inspect users ${hostile}`,
      `evict users ${hostile}\u009B --yes`,
    ];
    const mistakes = [
      `purge --tag ${hostile} --yes --ns users`,
      `clear ${hostile} --yes`,
      `schema ${hostile}`,
      hostile,
    ];
    for (const command of [...commands, ...commands.map((each) => `${each} --json`), ...mistakes]) {
      const { out, err } = await run(command, env);
      expect({ command, shown: (out + err).replaceAll('\n', '') }).toEqual({
        command,
        shown: expect.not.stringMatching(/[\p{Cc}\p{Cf}]/u),
      });
    }
    const { out } = await run('top --keys --json', env);
    expect((JSON.parse(out) as { entries: [{ key: string }] }).entries[0].key).toContain('red');
  });

  it('leaves no key and no connection behind', async () => {
    const server = await ownRedis();
    const env = { REDIS_URL: `redis://127.0.0.1:${server.port}` };
    for (const command of ['bench --count 20', 'stats', 'doctor', 'inspect users key', 'evict users key --yes']) {
      await run(command, env);
    }
    const keys = (await server.command('KEYS', '*')) as string[];
    expect(keys.filter((key) => key !== 'cache:{#audit}')).toEqual([]);
    await vi.waitFor(async () =>
      expect(
        String(await server.command('CLIENT', 'LIST'))
          .trimEnd()
          .split('\n'),
      ).toHaveLength(1),
    );
  });

  it('answers --help and mistakes without loading the cache', () => {
    const loaded = ['program.ts', 'output.ts', 'index.ts'].flatMap((file) => {
      const text = readFileSync(join(import.meta.dirname, file), 'utf8');
      const isLoaded = (line: number): boolean => /^(import|export) (?!type)/.test(text.split('\n')[line - 1] ?? '');
      return importsOf(file, text).filter(({ line }) => isLoaded(line));
    });
    const allowed = ['./output.js', './program.js', 'commander', 'node:fs', 'node:util'];
    expect([...new Set(loaded.map(({ specifier }) => specifier))].sort()).toEqual(allowed);
  });

  it('tells how many processes have not answered', async () => {
    const { env } = await cluster(1);
    const { admin } = redisForTest();
    await admin.subscribe(`${env['CACHE_KEY_PREFIX']}:#ops`);
    const shown = await run('stats --json', env);
    expect(JSON.parse(shown.out)).toMatchObject({ processes: 1, unanswered: 1 });
    expect(shown.err).toContain('1 of the processes did not answer');
  });
});

function silent(): Pick<Parameters<typeof main>[1], 'stdout' | 'stderr' | 'stdin'> {
  const stream = { write: () => true };
  return { stdout: stream, stderr: stream, stdin: Readable.from([]) };
}
