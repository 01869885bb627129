/**
 * A script without Nest. It must end on its own, without close().
 *
 * No peer of the package is installed here, but a node_modules folder further up could contain one: so every import of
 * a peer is refused, wherever the peer is.
 */
import assert from 'node:assert/strict';
import { register } from 'node:module';

const refusePeers = `export async function resolve(specifier, context, next) {
  if (/^(@nestjs\\/|rxjs|reflect-metadata|prom-client)/.test(specifier)) {
    throw new Error('core asked for ' + specifier);
  }
  return next(specifier, context);
}`;
register(`data:text/javascript,${encodeURIComponent(refusePeers)}`);
await assert.rejects(import('@nestjs/common'), /core asked for @nestjs/);

const { createDistributedCache } = await import('nestjs-distributed-cache/core');
const caches = await createDistributedCache({ redis: false });
const cache = caches.getCache('numbers');
let runs = 0;
const load = async () => {
  runs += 1;
  return 42;
};
assert.equal(await cache.getOrSet('answer', load), 42);
assert.equal(await cache.getOrSet('answer', load), 42);
assert.equal(runs, 1, 'the second call must be answered from the cache');
