import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { isRefusal, outageReason, toTierError } from './client-errors.js';

const SECRET = 'open-sesame';
const VALUE = 'cached-value-of-a-customer';

/** As the client creates it: it contains the whole command. */
function replyError(message: string): Error {
  const error = Object.assign(new Error(message), { command: { name: 'set', args: ['key', VALUE, SECRET] } });
  error.name = 'ReplyError';
  return error;
}

function errorOf(code: string, message = `connect ${code} redis://:${SECRET}@host`): Error {
  return Object.assign(new Error(message), { code });
}

/** As redis-parser creates it from a reply that begins with this byte. */
function parserError(byte: number): Error {
  const error = new Error(`Protocol error, got ${JSON.stringify(String.fromCharCode(byte))} as reply type byte`);
  error.name = 'ParserError';
  return error;
}

/** Every way in which an error can be written to a log. */
function printed(error: unknown): string {
  const { message, stack = '' } = error as Error;
  return [inspect(error, { depth: 10, showHidden: true }), JSON.stringify(error), String(error), message, stack].join();
}

describe('toTierError', () => {
  it.each([
    ['OOM command not allowed when used memory > maxmemory', 'OOM'],
    ["READONLY You can't write against a read only replica.", 'READONLY'],
    ['NOAUTH Authentication required.', 'NOAUTH'],
    [`WRONGPASS invalid password ${SECRET}`, 'WRONGPASS'],
    [`ERR unknown command 'x', with args beginning with: '${VALUE}'`, 'ERR'],
    [`${VALUE} ${SECRET}`, 'ERR'],
    ['', 'ERR'],
  ])('keeps only the code of the reply %j: %s', (message, word) => {
    const error = toTierError('SET', replyError(message), 300);
    expect(error).toMatchObject({ code: 'CACHE_TIER_REPLY', operation: 'SET', reply: word });
    expect(printed(error)).not.toContain(SECRET);
    expect(printed(error)).not.toContain(VALUE);
    expect(error.cause).toBeUndefined();
  });

  it.each([
    ['Command timed out', 'CACHE_TIER_TIMEOUT'],
    ["Stream isn't writeable and enableOfflineQueue options is false", 'CACHE_TIER_UNAVAILABLE'],
    ["Cluster isn't ready and enableOfflineQueue options is false", 'CACHE_TIER_UNAVAILABLE'],
    ['Connection is closed.', 'CACHE_TIER_DISCONNECTED'],
    [`Too many Cluster redirections. Last error: ReplyError: ${SECRET}`, 'CACHE_TIER_DISCONNECTED'],
    [`something new that names ${SECRET}`, 'CACHE_TIER_DISCONNECTED'],
  ])('turns the client error %j into the code %s', (message, code) => {
    const error = toTierError('GET', Object.assign(new Error(message), { args: [VALUE] }), 300);
    expect(error.code).toBe(code);
    expect(printed(error)).not.toContain(SECRET);
    expect(printed(error)).not.toContain(VALUE);
  });

  it.each([
    ["NOPERM this user has no permissions to run the 'get' command", true],
    ["NOPERM User app has no permissions to run the 'get' command", true],
    ["ERR unknown command 'unlink', with args beginning with: 'key'", true],
    ['ERR unknown subcommand or wrong number of arguments', true],
    ["ERR The user executing the script can't run this command or subcommand script: 3c7a, on @user_script:1.", true],
    [
      "ERR ACL failure in script: User app has no permissions to run the 'pexpire' command script: on @user_script:1.",
      true,
    ],
    ['ERR ACL failure in script: No permissions to access a key script: 3c7a, on @user_script:1.', true],
    ['ERR This Redis command is not allowed from script script: 3c7a, on @user_script:1.', true],
    ['ERR Unknown Redis command called from script script: 3c7a, on @user_script:1.', true],
    ['ERR Unknown command called from script script: on @user_script:1.', true],
    ['WRONGTYPE Operation against a key holding the wrong kind of value', false],
    ['NOSCRIPT No matching script.', false],
    ['ERR no such key', false],
    ['ERR value is not an integer or out of range script: 3c7a, on @user_script:1.', false],
  ])('marks whether the reply %j refuses the command for all arguments: %s', (message, isRefused) => {
    expect(toTierError('EVAL', replyError(message), 300)).toMatchObject({ isRefusal: isRefused });
    expect(isRefusal(replyError(message))).toBe(isRefused);
  });

  it('returns an error of the library unchanged', () => {
    const error = toTierError('GET', replyError('OOM no'), 300);
    expect(toTierError('SET', error, 300)).toBe(error);
  });

  it.each([[undefined], [null], ['text'], [{ message: SECRET }]])('turns %j into an error', (thrown) => {
    const error = toTierError('GET', thrown, 300);
    expect(error.code).toBe('CACHE_TIER_DISCONNECTED');
    expect(printed(error)).not.toContain(SECRET);
  });
});

describe('outageReason', () => {
  it.each([
    ['ECONNREFUSED', errorOf('ECONNREFUSED')],
    ['ENOTFOUND', errorOf('ENOTFOUND', 'getaddrinfo ENOTFOUND redis.internal')],
    ['ETIMEDOUT', errorOf('ETIMEDOUT')],
    ['SELF_SIGNED_CERT_IN_CHAIN', errorOf('SELF_SIGNED_CERT_IN_CHAIN', 'self-signed certificate in chain')],
    ['ERR_TLS_CERT_ALTNAME_INVALID', errorOf('ERR_TLS_CERT_ALTNAME_INVALID')],
    ['ECONNREFUSED', Object.assign(new AggregateError([errorOf('ECONNREFUSED')]), { code: 'ECONNREFUSED' })],
    ['WRONGPASS', replyError(`WRONGPASS invalid username-password pair ${SECRET}`)],
    ['NOAUTH', replyError('NOAUTH Authentication required.')],
    ['ERR', replyError(`ERR something about ${SECRET}`)],
    ['max-clients', replyError('ERR max number of clients reached')],
    ['not-a-cluster', replyError('ERR This instance has cluster support disabled')],
    ['not-a-cluster', replyError("ERR unknown command 'cluster', with args beginning with: 'SLOTS'")],
    ['not-a-sentinel', new Error("failed to connect to sentinel h:1 because ERR unknown command 'sentinel'")],
    ['tls-required', parserError(0x15)],
    ['not-redis', parserError('H'.charCodeAt(0))],
    ['timeout', new Error('timeout')],
    ['timeout', new Error('All sentinels are unreachable. Last error: Command timed out')],
    ['unknown-master', new Error('connected to sentinel h:1 successfully, but got an invalid reply: null')],
    ['ECONNREFUSED', Object.assign(new Error('all nodes failed'), { lastNodeError: errorOf('ECONNREFUSED') })],
    ['WRONGPASS', Object.assign(new Error('all nodes failed'), { lastNodeError: replyError('WRONGPASS no') })],
    ['timeout', new Error('Command timed out')],
    ['connection-error', new Error(`redis://:${SECRET}@host is not there`)],
    ['connection-error', Object.assign(new Error('odd'), { code: SECRET })],
    ['connection-error', Object.assign(new Error('odd'), { code: 7 })],
    ['unknown', SECRET],
    ['unknown', undefined],
    ['unknown', null],
  ])('returns %s', (reason, error) => {
    expect(outageReason(error)).toBe(reason);
  });
});
