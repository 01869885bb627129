import { bytesText, durationText } from '../output.js';
import {
  type Check,
  fail,
  type Finding,
  ok,
  unknown,
  warn,
  type Facts,
  type KeySample,
  type SampledValue,
} from './facts.js';

/** A check of the sampled keys. */
function ofSample(find: (sample: KeySample, facts: Facts) => Finding): (facts: Facts) => Finding {
  return (facts) =>
    facts.sample === undefined
      ? unknown('the keys can not be listed (SCAN, TYPE, PTTL, STRLEN, GETRANGE)')
      : find(facts.sample, facts);
}

/** Some of the keys, for a person. */
function some(keys: readonly string[]): string {
  return keys.length <= 3 ? keys.join(', ') : `${keys.slice(0, 3).join(', ')} and ${keys.length - 3} more`;
}

function namespacesOf(values: readonly SampledValue[]): string {
  return some([...new Set(values.map(({ namespace }) => namespace))]);
}

/** A lease lives for 1.5 s and is renewed; a hold-off may last longer. */
const LONGEST_LEASE_MS = 3_600_000;
const LITTLE_SAVED = 0.9;

/** The checks of a sample of the keys in Redis. */
export const KEY_CHECKS: readonly Check[] = [
  {
    id: 'foreign-keys',
    about: 'no other program writes keys under the key prefix',
    find: ofSample(({ foreign, size }) =>
      foreign.length === 0
        ? ok(`${size} keys looked at`)
        : warn(some(foreign), 'Another program uses the prefix: give the cache its own (CACHE_KEY_PREFIX).'),
    ),
  },
  {
    id: 'entry-version',
    about: 'no entry is of a later version of this library',
    find: ofSample(({ values }, { envelopeVersion }) => {
      const later = values.filter(({ head }) => head !== undefined && head.version > envelopeVersion);
      return later.length === 0
        ? ok(`version ${envelopeVersion}`)
        : fail(
            `${later.length} later ones in ${namespacesOf(later)}`,
            'They are misses for processes of this version: finish the rollout, or clear the namespaces.',
          );
    }),
  },
  {
    id: 'endless-entries',
    about: 'every entry has an end of its life in Redis',
    find: ofSample(({ values }) => {
      const endless = values.filter(({ pttlMs }) => pttlMs === -1);
      return endless.length === 0
        ? ok('all have one')
        : warn(
            `${endless.length} without: ${some(endless.map(({ key }) => key))}`,
            'Other programs wrote them: they stay until they are deleted.',
          );
    }),
  },
  {
    id: 'large-entries',
    about: 'values are well below the limit above which they are not cached',
    find: ofSample(({ values }, { config: { maxValueBytes } }) => {
      const sizes = values.map(({ bytes, head }) => head?.rawBytes ?? bytes);
      const largest = Math.max(0, ...sizes);
      const found = `largest ${bytesText(largest)}, limit ${bytesText(maxValueBytes)}`;
      return largest > 0.8 * maxValueBytes
        ? warn(found, 'A larger one is not cached (event valueRefused): split it, or raise maxValueBytes.')
        : ok(found);
    }),
  },
  {
    id: 'compression',
    about: 'compression makes values smaller',
    find: ofSample(({ values }) => {
      const compressed = values.filter(({ head }) => head?.isCompressed === true);
      const raw = compressed.reduce((sum, { head }) => sum + (head?.rawBytes ?? 0), 0);
      const stored = compressed.reduce((sum, { bytes }) => sum + bytes, 0);
      if (compressed.length === 0) {
        return ok('no compressed entry');
      }
      const found = `${compressed.length} entries: ${bytesText(raw)} take ${bytesText(stored)}`;
      return stored > LITTLE_SAVED * raw
        ? warn(
            found,
            `It saves little in ${namespacesOf(compressed)}: compression: false, or a higher CACHE_COMPRESSION_THRESHOLD.`,
          )
        : ok(found);
    }),
  },
  {
    id: 'leases',
    about: 'no lease outlives its load',
    find: ofSample(({ leases }) => {
      const stuck = leases.filter(({ pttlMs }) => pttlMs === -1 || pttlMs > LONGEST_LEASE_MS);
      return stuck.length === 0
        ? ok(`${leases.length} held`)
        : fail(some(stuck.map(({ key }) => key)), 'No process can load these keys: delete the leases.');
    }),
  },
  {
    id: 'ttl-and-load',
    about: 'entries live longer than it takes to load them',
    find: ofSample(({ values }) => {
      const short = values.filter(
        ({ head }) => head !== undefined && head.loadMs > head.expiresAtMs - head.createdAtMs,
      );
      const worst = short[0]?.head;
      return short.length === 0 || worst === undefined
        ? ok('all do')
        : warn(
            `${namespacesOf(short)}: ${durationText(worst.loadMs)} to load, ${durationText(worst.expiresAtMs - worst.createdAtMs)} to live`,
            'Raise the TTL, or load less: such an entry costs more than it saves.',
          );
    }),
  },
  {
    id: 'unused-tags',
    about: 'tags are there to be purged',
    find: ofSample(({ values }, { metrics, processes }) => {
      const tagged = values.filter(({ head }) => head?.stamps.some(([name]) => !name.startsWith('#')) === true);
      const namespaces = [...new Set(tagged.map(({ namespace }) => namespace))];
      const oldestS = Math.max(0, ...processes.answers.map(({ answer }) => answer.uptimeSeconds));
      const unused = namespaces.filter((name) => {
        const sum = metrics.find(({ namespace }) => namespace === name);
        return sum !== undefined && sum.tag_invalidations === 0;
      });
      return oldestS < 86_400 || unused.length === 0
        ? ok(`${namespaces.length} namespaces with tags`)
        : warn(
            `${some(unused)}: none purged since ${durationText(oldestS * 1000)}`,
            'Tags cost a stamp each: leave them out, or call invalidateTags where the data changes.',
          );
    }),
  },
];
