/**
 * A process that runs the relay of one region, and says what it applies: `node relay-process.mjs <options as JSON>`.
 * Plain JavaScript, over the built package.
 */
import { createDistributedCache } from 'nestjs-distributed-cache/core';
import { redisStreams, startRelay } from 'nestjs-distributed-cache/relay';

const { region, keyPrefix, url, link, linkUrl } = JSON.parse(process.argv[2] ?? '{}');
const cache = await createDistributedCache({ region, keyPrefix, redis: { url } });
for (const event of /** @type {const} */ (['relayApplied', 'relayGap'])) {
  cache.events.on(event, (payload) => process.send?.({ event, ...payload }));
}
const relay = startRelay(cache, { [link]: redisStreams({ redis: { url: linkUrl } }) });
let led = false;
setInterval(() => {
  if (relay.leads !== led) {
    led = relay.leads;
    process.send?.({ event: 'leads', leads: led });
  }
}, 20);
