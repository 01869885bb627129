import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { Redis } from 'ioredis';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { dieWithThisProcess } from './child-guard.mjs';
import { redisForTest } from './redis-for-test.js';
import { RedisServer, type RedisServerOptions } from './redis-server.js';
import { canMakeCertificates } from './test-certificates.js';

async function serverForTest(options?: RedisServerOptions): Promise<RedisServer> {
  const server = await RedisServer.start(options);
  onTestFinished(() => server.stop());
  return server;
}

describe('RedisServer', () => {
  it('answers as soon as start() resolves, over TCP and over its Unix socket', async () => {
    const server = await serverForTest({ unixSocket: true });
    expect(await server.command('PING')).toBe('PONG');
    const client = new Redis({ path: server.socketPath! });
    onTestFinished(() => client.disconnect());
    expect(await client.ping()).toBe('PONG');
  });

  it('is stopped after killHard() and restarts empty on the same port', async () => {
    const server = await serverForTest();
    const { pid, port } = server;
    await server.command('SET', 'key', 'value');
    await server.killHard();
    expect(isAlive(pid)).toBe(false);
    await expect(server.command('PING')).rejects.toThrow('ECONNREFUSED');
    await server.restart();
    expect(server.port).toBe(port);
    expect(server.pid).not.toBe(pid);
    expect(await server.command('GET', 'key')).toBeNull();
  });

  it('restarts empty although it was a replica, which saves the data of its master', async () => {
    const args = ['--repl-diskless-sync-delay', '0'];
    const [master, replica] = [await serverForTest({ args }), await serverForTest()];
    await master.command('SET', 'key', 'value');
    await replica.command('REPLICAOF', master.host, master.port);
    await vi.waitFor(async () => expect(await replica.command('GET', 'key')).toBe('value'));
    await replica.killHard();
    await replica.restart();
    expect(await replica.command('GET', 'key')).toBeNull();
  });

  it('holds back every answer while it is frozen and sends it after thaw()', async () => {
    const server = await serverForTest();
    server.freeze();
    let answer: unknown;
    const answered = server.command('PING').then((value) => (answer = value));
    await vi.waitFor(() => expect(processState(server.pid)).toBe('T'));
    expect(answer).toBeUndefined();
    server.thaw();
    expect(await answered).toBe('PONG');
  });

  it('stops while it is frozen, and can be stopped twice', async () => {
    const server = await serverForTest({ unixSocket: true });
    server.freeze();
    await server.stop();
    await server.stop();
    expect(isAlive(server.pid)).toBe(false);
    expect(existsSync(dirname(server.socketPath!))).toBe(false);
  });

  it('requires its password, also one that was changed while it ran', async () => {
    const server = await serverForTest({ password: 'a b:c' });
    const client = new Redis(server.url);
    onTestFinished(() => client.disconnect());
    expect(await client.ping()).toBe('PONG');
    await server.command('CONFIG', 'SET', 'requirepass', 'other');
    await expect(server.command('PING')).rejects.toThrow('WRONGPASS');
    server.password = 'other';
    expect(await server.command('PING')).toBe('PONG');
  });

  it('rejects a failed start with the reason of the program', async () => {
    await expect(RedisServer.start({ args: ['--no-such-option', '1'] })).rejects.toThrow('no-such-option');
  });

  it.runIf(canMakeCertificates())('speaks TLS that verifies against its own authority only', async () => {
    const server = await serverForTest({ tls: true });
    const address = { host: server.host, port: server.tlsPort!, retryStrategy: () => null, lazyConnect: true };
    const trusting = new Redis({ ...address, tls: { ca: readFileSync(server.caFile!) } });
    const doubting = new Redis({ ...address, tls: {} });
    onTestFinished(() => (trusting.disconnect(), doubting.disconnect()));
    expect(await trusting.ping()).toBe('PONG');
    const reason = once(doubting, 'error').then(([error]) => String(error));
    await expect(doubting.connect()).rejects.toThrow('Connection is closed');
    expect(await reason).toContain('self-signed certificate');
  });
});

describe('redisForTest', () => {
  it('gives each call a key prefix of its own on one server', async () => {
    const [one, other] = [redisForTest(), redisForTest()];
    expect(one.keyPrefix).toMatch(/^[A-Za-z0-9_.-]+$/);
    expect(one.keyPrefix).not.toBe(other.keyPrefix);
    await one.admin.set(`${one.keyPrefix}:key`, 'value', 'EX', 60);
    expect(await other.admin.get(`${one.keyPrefix}:key`)).toBe('value');
  });
});

describe('dieWithThisProcess', () => {
  it('kills the child of a process that was itself killed by SIGKILL', async () => {
    // The parent is a real process that guards a child, prints its pid, and then gets SIGKILL.
    const script = `
      import { spawn } from 'node:child_process';
      import { dieWithThisProcess } from ${JSON.stringify(new URL('child-guard.mjs', import.meta.url).href)};
      const child = spawn('sleep', ['600']);
      dieWithThisProcess(child);
      console.log(child.pid);
      setInterval(() => {}, 1000);`;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    dieWithThisProcess(parent);
    const [line] = await once(parent.stdout, 'data');
    const childPid = Number(String(line));
    expect(isAlive(childPid)).toBe(true);
    parent.kill('SIGKILL');
    await vi.waitFor(() => expect(isAlive(childPid)).toBe(false), 5_000);
  });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return processState(pid) !== 'Z';
  } catch {
    return false;
  }
}

/** The state letter of /proc ('T' is stopped, 'Z' is dead and not yet collected); '' where there is no /proc. */
function processState(pid: number): string {
  return existsSync(`/proc/${pid}/stat`) ? (readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.[0] ?? '') : '';
}
