/** Compares the answers of the packed library with what another library has just made, over a real Redis. */
import assert from 'node:assert/strict';
import { createDistributedCache } from 'nestjs-distributed-cache/core';

const redis = { url: process.env.REDIS_URL };
let samples = 0;

/** A process, as far as the cache can tell: it has an L1 and known classes of its own. */
async function open(keyPrefix, values, classes) {
  const all = await createDistributedCache({
    redis,
    keyPrefix,
    deadlineMs: 5000,
    codec: { classes },
    namespaces: { rows: { values, grace: '1h' } },
  });
  const complaints = [];
  all.events.on('valueRefused', ({ reason }) => complaints.push(reason));
  all.events.on('tierError', ({ error }) => complaints.push(error.message));
  return { all, cache: all.getCache('rows'), complaints };
}

/**
 * @param {string} what
 * @param {() => unknown} make loads the value, as a decorated method does
 * @param {{ tell?: (value: any) => unknown, problem?: RegExp, classes?: object }} how
 *   tell: what a caller can see of a value besides its JSON; problem: why the value is not cached
 */
export async function sameAnswers(what, make, { tell = String, problem, classes = {} } = {}) {
  for (const values of ['cloned', 'frozen', 'shared']) {
    await compare(`${what} (${values})`, make, { tell, problem, classes, values });
  }
  console.log(`ok    ${what}: ${problem ? 'is not cached, and told' : 'comes back'}`);
}

async function compare(what, make, { tell, problem, classes, values }) {
  const prefix = `sample-${process.pid}-${samples++}`;
  const pods = await Promise.all([1, 2, 3].map(() => open(prefix, values, classes)));
  const [one, two, unknowing] = pods;
  let loads = 0;
  const load = async () => {
    loads++;
    return make();
  };
  const made = await make();
  const seen = (value) => [
    tell(value),
    JSON.stringify(value),
    Object.keys(value).filter((key) => key !== 'constructor'),
  ];
  const expected = seen(made);
  const answers = new Set();
  let asked = 0;
  const ask = async ({ cache }, key = 'key') => {
    const answer = await cache.getOrSet(key, load);
    answers.add(answer);
    asked++;
    assert.equal(Object.getPrototypeOf(answer), Object.getPrototypeOf(made), what);
    assert.deepStrictEqual(seen(answer), expected, what);
  };
  const loadsOf = async (run) => {
    const before = loads;
    await run();
    return loads - before;
  };
  const isKept = problem === undefined;
  const twice = async (pod) => {
    await ask(pod);
    await ask(pod);
  };
  assert.equal(
    await loadsOf(() => twice(one)),
    isKept ? 1 : 2,
    `${what}: the loads of the first process, ${one.complaints.join()}`,
  );
  await two.cache.getOrSet('another', load); // the process knows the class
  assert.equal(await loadsOf(() => twice(two)), isKept ? 0 : 2, `${what}: the loads of a process that knows the class`);
  await twice(unknowing);
  await one.cache.expire('key');
  await ask(one); // stale, and refreshed in the background
  for (let isFresh = !isKept; !isFresh; isFresh = (await one.cache.lookup('key')).state === 'fresh') {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await ask(one);
  await Promise.all([ask(one, 'joined'), ask(one, 'joined'), ask(one, 'joined')]);
  if (values === 'cloned') {
    assert.equal(answers.size, asked, `${what}: each caller has an object of its own`);
  }
  const complaints = pods.flatMap((pod) => pod.complaints);
  if (isKept) {
    assert.deepEqual(complaints, [], what);
  } else {
    assert.match(complaints[0], problem, what);
  }
  await Promise.all(pods.map(({ all }) => all.close()));
}
