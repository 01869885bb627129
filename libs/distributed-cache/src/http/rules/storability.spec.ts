import { describe, expect, it } from 'vitest';
import { CacheControl } from './cache-control.js';
import type { Fields } from './fields.js';
import {
  type Exchange,
  mustAlwaysValidate,
  refusalToStore,
  type RulesProfile,
  type StorageRules,
} from './storability.js';

interface Case {
  readonly method?: string;
  readonly request?: Fields;
  readonly status?: number;
  readonly response?: Fields;
}

function exchange({ method = 'GET', request = {}, status = 200, response = {} }: Case): Exchange {
  return {
    method,
    requestFields: request,
    status,
    responseFields: response,
    control: CacheControl.of(response),
  };
}

function refusal(given: Case, profile: RulesProfile = 'careful', rules: Partial<StorageRules> = {}) {
  const defaults = { profile, statuses: new Set([200, 204]), isKeptApart: false, isReusable: false };
  return refusalToStore(exchange(given), { ...defaults, ...rules });
}

const cacheControl = (text: string): Case => ({ response: { 'cache-control': text } });

describe('refusalToStore (RFC 9111 section 3)', () => {
  it.each<[Case, string | undefined, string | undefined]>([
    [{}, undefined, undefined],
    [{ method: 'HEAD' }, undefined, undefined],
    [{ method: 'POST' }, 'method', 'method'],
    [{ method: 'get' }, 'method', 'method'],
    [{ status: 206 }, 'partial', 'partial'],
    [{ request: { range: 'bytes=0-1' }, status: 206 }, 'range-request', 'range-request'],
    [{ request: { range: 'bytes=0-1' }, status: 416 }, 'range-request', 'range-request'],
    [{ request: { range: 'bytes=0-1' } }, undefined, undefined],
    [{ status: 304 }, 'status', 'status'],
    [{ status: 103 }, 'status', 'status'],
    [{ status: 199 }, 'status', 'status'],
    [cacheControl('no-store'), 'no-store', 'no-store'],
    [cacheControl('max-age=60, No-Store'), 'no-store', 'no-store'],
    [cacheControl('no-store, must-understand'), undefined, undefined],
    [{ status: 299, ...cacheControl('no-store, must-understand') }, 'no-store', 'no-store'],
    [{ status: 299, ...cacheControl('max-age=60, must-understand') }, 'no-store', 'no-store'],
    [cacheControl('private'), 'private', 'private'],
    [cacheControl('PRIVATE, max-age=60'), 'private', 'private'],
    [cacheControl('private="x-user"'), 'private', undefined],
    [{ response: { vary: '*' } }, 'vary-star', 'vary-star'],
    [{ response: { vary: 'origin, *' } }, 'vary-star', 'vary-star'],
    [{ response: { vary: ['origin', '*'] } }, 'vary-star', 'vary-star'],
    [{ response: { 'set-cookie': ['a=1'] } }, 'set-cookie', undefined],
    [{ request: { authorization: 'Bearer 1' } }, 'authorization', 'authorization'],
    [{ request: { authorization: 'Bearer 1' }, ...cacheControl('public') }, 'authorization', undefined],
    [{ request: { authorization: 'Bearer 1' }, ...cacheControl('s-maxage=5') }, 'authorization', undefined],
    [{ request: { authorization: 'Bearer 1' }, ...cacheControl('must-revalidate') }, 'authorization', undefined],
    [{ request: { authorization: 'Bearer 1' }, ...cacheControl('max-age=5') }, 'authorization', 'authorization'],
    [{ status: 500 }, 'no-lifetime', 'no-lifetime'],
  ])('of %j: careful %j, rfc9111 %j', (given, careful, byTheLetter) => {
    expect([refusal(given, 'careful'), refusal(given, 'rfc9111')]).toEqual([careful, byTheLetter]);
  });

  it('knows what to do with these statuses, for must-understand (section 5.2.2.3)', () => {
    const statuses = Array.from({ length: 400 }, (_, index) => 200 + index);
    const isStored = (status: number) =>
      refusal({ status, ...cacheControl('no-store, must-understand') }, 'rfc9111', { isReusable: true }) === undefined;
    expect(statuses.filter(isStored)).toEqual([
      200, 203, 204, 300, 301, 302, 303, 307, 308, 400, 403, 404, 405, 410, 414, 451, 500, 501, 502, 503, 504,
    ]);
  });

  it('stores any final status whose response states a lifetime or has a validator', () => {
    expect([201, 403, 429, 500, 599].map((status) => refusal({ status }, 'careful', { isReusable: true }))).toEqual(
      Array(5).fill(undefined),
    );
  });

  it('stores authenticated responses when entries are kept apart', () => {
    expect(refusal({ request: { authorization: 'x' } }, 'careful', { isKeptApart: true })).toBeUndefined();
  });
});

describe('mustAlwaysValidate (RFC 9111 section 5.2.2.4)', () => {
  it.each([
    ['no-cache', true, true],
    ['No-CaChE, max-age=60', true, true],
    ['no-cache="x"', true, false],
    ['max-age=60', false, false],
  ])('of %j: careful %j, rfc9111 %j', (text, careful, byTheLetter) => {
    const control = CacheControl.of({ 'cache-control': text });
    expect([mustAlwaysValidate(control, 'careful'), mustAlwaysValidate(control, 'rfc9111')]).toEqual([
      careful,
      byTheLetter,
    ]);
  });
});
