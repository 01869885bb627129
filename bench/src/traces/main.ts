import { readCommandLine } from '../support/command-line.js';
import { companionRows } from './companions.js';
import { BeladyPolicy, bytesInL1, type EvictionPolicy, LocalCachePolicy, LruPolicy, SievePolicy } from './policies.js';
import { S3FifoPolicy } from './s3-fifo-policy.js';
import { footprintBytes, generateTraces, type Trace } from './traces.js';
import { WTinyLfuPolicy } from './w-tiny-lfu-policy.js';

/*
 * `npm run traces`: replays generated traces through eviction policies, each with the same share of the bytes that a
 * trace asks for, and through two caches over Redis, one of which reads companions. The seed determines every figure.
 */

const SHARES = [0.01, 0.05, 0.1, 0.25];
const POLICIES: readonly {
  readonly name: string;
  readonly make: (maxBytes: number, trace: Trace) => EvictionPolicy;
  readonly bytesOf?: typeof bytesInL1;
}[] = [
  { name: 'L1', make: (maxBytes) => new LocalCachePolicy(maxBytes), bytesOf: bytesInL1 },
  { name: 'LRU', make: (maxBytes) => new LruPolicy(maxBytes) },
  { name: 'S3-FIFO', make: (maxBytes) => new S3FifoPolicy(maxBytes) },
  { name: 'SIEVE', make: (maxBytes) => new SievePolicy(maxBytes) },
  { name: 'W-TinyLFU', make: (maxBytes) => new WTinyLfuPolicy(maxBytes) },
  { name: 'Belady', make: (maxBytes, { requests }) => new BeladyPolicy(maxBytes, requests) },
];
type Row = readonly [name: string, figures: readonly number[]];

const { seed, quick, only } = readCommandLine(['--seed', '1', ...process.argv.slice(2)]);
const length = quick ? 10_000 : 200_000;
const isChosen = (part: string): boolean => only.length === 0 || only.includes(part);

if (isChosen('eviction')) {
  const sizes = SHARES.map((share) => `${share * 100} %`);
  const rows = { objects: new Map<string, Row[]>(), bytes: new Map<string, Row[]>() };
  for (const trace of generateTraces(seed, length)) {
    const ratios = POLICIES.map((policy) => {
      const allBytes = footprintBytes(trace, policy.bytesOf);
      return SHARES.map((share) => replay(trace, policy.make(Math.round(allBytes * share), trace)));
    });
    for (const kind of ['objects', 'bytes'] as const) {
      const add = (title: string, figures: number[]): unknown =>
        rows[kind].set(title, [...(rows[kind].get(title) ?? []), [trace.name, figures]]);
      add(
        `mean of ${sizes.join(', ')}`,
        ratios.map((bySize) => mean(bySize.map((ratio) => ratio[kind]))),
      );
      sizes.forEach((size, index) =>
        add(
          size,
          ratios.map((bySize) => bySize[index]?.[kind] ?? 0),
        ),
      );
    }
  }
  const columns = POLICIES.map(({ name }) => name);
  for (const [kind, tables] of Object.entries(rows)) {
    for (const [size, each] of tables) {
      console.log(`Hit ratio in % of ${kind}, caches with ${size} of the bytes\n\n${tableOf(columns, each)}\n`);
    }
  }
}
if (isChosen('companions')) {
  const columns = ['L1 hits, %', 'with companions', 'gain, points', 'used, %', 'extra bytes, %'];
  console.log(`Companions, L1 with 5 % of the keys\n\n${tableOf(columns, await companionRows(seed, length / 4))}\n`);
}

function replay({ requests }: Trace, policy: EvictionPolicy): { readonly objects: number; readonly bytes: number } {
  let [hits, hitBytes, allBytes] = [0, 0, 0];
  for (const request of requests) {
    const isHit = policy.request(request);
    hits += isHit ? 1 : 0;
    hitBytes += isHit ? request.bytes : 0;
    allBytes += request.bytes;
  }
  policy.close?.();
  return { objects: (hits / requests.length) * 100, bytes: (hitBytes / allBytes) * 100 };
}

function mean(figures: readonly number[]): number {
  return figures.reduce((sum, each) => sum + each, 0) / figures.length;
}

/** A table in Markdown, with the mean of each column as its last row. */
function tableOf(columns: readonly string[], rows: readonly Row[]): string {
  const means = columns.map((_, index) => mean(rows.map(([, figures]) => figures[index] ?? 0)));
  const lines = [...rows, ['mean', means] as const].map(([name, figures]) =>
    lineOf(
      name,
      figures.map((figure) => figure.toFixed(1)),
    ),
  );
  const head = lineOf('trace', columns);
  return [head, head.replaceAll(/[^|]/g, '-'), ...lines].join('\n');
}

function lineOf(name: string, cells: readonly string[]): string {
  return `| ${[name.padEnd(48), ...cells.map((cell) => cell.padStart(15))].join(' | ')} |`;
}
