/**
 * `npm run check:http`: the public suite of HTTP caching (`http-cache-tests`) against a gateway that is a Nest application
 * with `@CachedResponse`, on Express and on Fastify, with both sets of rules. It fails when a required or optimal test
 * fails that is not listed below, and when a listed one passes. A test that fails is run once more, with few others: its
 * lifetimes are two seconds. The tests of kind "check" have no right answer, and are not judged.
 */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const GATEWAY = fileURLToPath(new URL('http-gateway.mjs', import.meta.url));

/** Tests that fail with both sets of rules: why, and which. */
const ALWAYS = {
  'RFC 9111 section 5.1: the first member of Age counts, and what is no number is ignored. The suite wants it stale': [
    'nonnumeric',
    'negative',
    'float',
    'prefix-twoline',
    'dup-0',
    'dup-0-twoline',
    'dup-old',
    'parameter',
    'numeric-parameter',
  ].map((name) => `age-parse-${name}`),
  'the origin closes the connection, and the gateway answers 502, which shows that nothing stale was sent. The suite takes only 200':
    ['must-revalidate', 'proxy-revalidate', 'no-cache', 's-maxage=2'].map((name) => `stale-close-${name}`),
  'RFC 9112 section 6.3: the origin of the suite declares another length than it sends, so its response is incomplete':
    ['headers-store-Content-Length', '304-etag-update-response-Content-Length'],
  'the directive names a capability that a gateway announces by Surrogate-Capability, which RFC 9213 has not': [
    'surrogate-max-age-me-target',
    'surrogate-fresh-cc-nostore',
  ],
  'RFC 9213 section 2.1: a key with capital letters makes the targeted field invalid, and it is ignored': [
    'surrogate-max-age-case-insensitive',
  ],
  'only responses to GET and HEAD are stored': ['method-POST'],
  'a Vary of the handler is compared as it is; the best match of a language needs the option vary': [
    'vary-normalise-lang-select',
  ],
  'RFC 9111 section 4.3.2: without Last-Modified the date of the response counts, which is later than the one asked for':
    ['conditional-lm-fresh-no-lm'],
  'a 206 is never stored': [
    'partial-store-partial-complete',
    'partial-store-partial-reuse-partial',
    ...['absent', 'byterange', 'suffix'].map((name) => `partial-store-partial-reuse-partial-${name}`),
  ],
};

/** What the careful rules do otherwise on purpose. */
const CAREFUL = {
  'a lifetime is not estimated': ['200', '203', '204', '404', '405', '410', '414', '501', '599'].map(
    (status) => `heuristic-${status}-cached`,
  ),
  'Set-Cookie is not shared': ['headers-store-Set-Cookie', '304-etag-update-response-Set-Cookie', 'other-set-cookie'],
  'a request with credentials passes the cache by': [
    'other-cookie',
    ...['public', 'must-revalidate', 'smaxage'].map((name) => `other-authorization-${name}`),
  ],
};

/** @returns {Promise<{ id: string, kind: string, problem: string | null }[]>} */
function run(platform, rules, ...ids) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--no-warnings', GATEWAY, platform, rules, ...ids], {
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: 180_000,
    });
    let output = '';
    child.stdout.on('data', (text) => (output += text));
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0
        ? resolve(JSON.parse(output.trim().split('\n').at(-1)))
        : reject(new Error(`the gateway on ${platform} (${rules}) ended with ${code}`)),
    );
  });
}

/** @returns {Promise<string[]>} what differs from the expectation */
async function differences(platform, rules) {
  const expected = new Set(Object.values({ ...ALWAYS, ...(rules === 'careful' && CAREFUL) }).flat());
  const judged = (results) => results.filter(({ kind }) => kind !== 'check');
  const differs = ({ id, problem }) => expected.has(id) !== (problem !== null);
  const first = judged(await run(platform, rules));
  const again = first.filter(differs).map(({ id }) => id);
  // A single id would show all its messages.
  const second = again.length === 0 ? [] : judged(await run(platform, rules, ...again, 'none'));
  for (const kind of ['required', 'optimal']) {
    const ofKind = first.filter((result) => result.kind === kind);
    const final = ofKind.map((result) => second.find(({ id }) => id === result.id) ?? result);
    const passed = final.filter(({ problem }) => problem === null).length;
    console.log(`${platform}, ${rules}: ${passed} of ${final.length} ${kind} tests pass`);
  }
  const unknown = [...expected].filter((id) => !first.some((result) => result.id === id));
  return [
    ...unknown.map((id) => `${id} is listed, and the suite does not have it`),
    ...second.filter(differs).map(({ id, problem }) => `${id}: ${problem ?? 'passes now: take it off the list'}`),
  ].map((line) => `${platform}, ${rules}: ${line}`);
}

const found = [];
for (const rules of ['rfc9111', 'careful']) {
  found.push(...(await Promise.all(['express', 'fastify'].map((platform) => differences(platform, rules)))).flat());
}
if (found.length > 0) {
  console.error(found.join('\n'));
  process.exit(1);
}
