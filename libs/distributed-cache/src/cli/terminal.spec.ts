import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Ajv } from 'ajv';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { BuiltLibrary } from '../../../../test/support/built-library.js';
import { liveCaches } from '../../../../test/support/channel-for-test.js';
import { ownRedis } from '../../../../test/support/redis-for-test.js';
import { SCHEMAS } from './schemas.js';

let library: BuiltLibrary;

beforeAll(async () => void (library = await BuiltLibrary.build()), 60_000);
afterAll(() => library?.remove());

/** The command line in a process of its own. */
function start(port: number, ...argv: readonly string[]) {
  const program = fileURLToPath(library.addressOf('cli/index.js'));
  const env = { PATH: process.env['PATH'], REDIS_URL: `redis://127.0.0.1:${port}` };
  const child = spawn(process.execPath, [program, ...argv], { env, stdio: ['ignore', 'pipe', 'pipe'] });
  const shown = { out: '', err: '' };
  child.stdout.on('data', (text) => (shown.out += String(text)));
  child.stderr.on('data', (text) => (shown.err += String(text)));
  return { child, shown, ended: once(child, 'exit') };
}

/** `script` gives a program a terminal. It is part of Debian; macOS has another one. */
const hasScript = process.platform === 'linux' && spawnSync('script', ['--version']).status === 0;

/** The command line in a terminal: what it shows, and its exit code. @param answer what the person types at the question */
async function inTerminal(port: number, argv: string, answer: string): Promise<{ shown: string; exitCode: unknown }> {
  const program = fileURLToPath(library.addressOf('cli/index.js'));
  const env = { PATH: process.env['PATH'], TERM: 'xterm', REDIS_URL: `redis://127.0.0.1:${port}` };
  const child = spawn('script', ['-qfec', `'${process.execPath}' '${program}' ${argv}`, '/dev/null'], { env });
  let shown = '';
  child.stdout.on('data', (text) => (shown += String(text)));
  await vi.waitFor(() => expect(shown).toContain('[y/N]'), { timeout: 10_000 });
  child.stdin.write(answer);
  const [exitCode] = (await once(child, 'exit')) as unknown[];
  return { shown, exitCode };
}

describe.runIf(hasScript)('a command that changes something, in a terminal', () => {
  it.each([
    ['y', 'y\r', 0],
    ['YES', 'YES\r', 0],
    ['n', 'n\r', 1],
    ['nothing', '\r', 1],
    ['yesterday', 'yesterday\r', 1],
    ['Ctrl-D', '\u0004', 1],
    ['Ctrl-C', '\u0003', 130],
  ])('asks first: the answer %s', async (_name, answer, exitCode) => {
    const server = await ownRedis();
    const [all] = await liveCaches(1, { redis: { host: '127.0.0.1', port: server.port } });
    const users = all!.getCache('users');
    await users.set('key', 'value', { tags: ['team'] });
    const commands = ['y', 'n'].includes(_name)
      ? ['evict users key', 'purge --tag team', 'clear users']
      : ['clear users'];
    for (const command of commands) {
      const ended = await inTerminal(server.port, command, answer);
      expect({ command, ...ended }).toMatchObject({ command, exitCode });
      if (exitCode === 0) {
        await vi.waitFor(async () => expect(await users.get('key')).toBeUndefined());
        await users.set('key', 'value', { tags: ['team'] });
      } else {
        expect(await users.get('key')).toBe('value');
        expect((await all!.operations.audit()).changes).toEqual([]);
      }
    }
  });

  it('asks in one line that a name can not break', async () => {
    const server = await ownRedis();
    const { shown } = await inTerminal(server.port, 'clear "$(printf \'a\\033[2J\\nb\')"', 'n\r');
    expect(shown).toContain('entries of a\\u{1b}[2J\\u{a}b? [y/N]');
  });
});

it('prints changes as they happen, one JSON object a line, and ends at Ctrl-C without a connection left', async () => {
  const server = await ownRedis();
  const [all] = await liveCaches(1, { redis: { host: '127.0.0.1', port: server.port } });
  const { child, shown, ended } = start(server.port, 'watch', '--json', '--ns', 'users', '--keys');
  await vi.waitFor(() => expect(shown.err).toContain('Watching'), { timeout: 10_000 });
  await all!.getCache('orders').set('other', 1);
  await all!.getCache('users').set('key', 'confidential');
  await vi.waitFor(() => expect(shown.out).toContain('"key"'));
  child.kill('SIGINT');
  expect(await ended).toEqual([130, null]);
  const lines = shown.out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as object);
  expect(lines).toContainEqual({ atMs: expect.any(Number), kind: 'key', namespace: 'users', name: 'key' });
  const validate = new Ajv({ strict: false }).compile(SCHEMAS['watch']!);
  expect(lines.filter((line) => !validate(line))).toEqual([]);
  expect(shown.out).not.toMatch(/confidential|other/);
  await all!.close();
  await vi.waitFor(async () =>
    expect(
      String(await server.command('CLIENT', 'LIST'))
        .trimEnd()
        .split('\n'),
    ).toHaveLength(1),
  );
});

it('removes what it has measured with when it is interrupted', async () => {
  const server = await ownRedis();
  const { child, shown, ended } = start(server.port, 'bench', '--count', '100000');
  await vi.waitFor(async () => expect(Number(await server.command('DBSIZE'))).toBeGreaterThan(50), { timeout: 10_000 });
  child.kill('SIGINT');
  expect(await ended).toEqual([130, null]);
  expect(shown.err).toBe('');
  expect(await server.command('KEYS', '*')).toEqual([]);
});
