import { describeKey, type OperatorChange } from '../core/index.js';
import { CommandError, EXIT, printable } from './output.js';
import { nameOf, namespacesOf } from './look.js';
import { type Run, keyOf, type Session } from './session.js';

const OPERATOR = { origin: 'command line' };

/** Deletes entries. */
export const evict: Run = async (session, { args: [namespace = '', ...texts] }) => {
  await session.requireConsent(`Delete ${texts.length} ${texts.length === 1 ? 'entry' : 'entries'} of ${namespace}?`);
  const cache = await session.open();
  const change = await cache.operations.evict(namespace, texts.map(keyOf), OPERATOR);
  session.out.json({ namespace, keys: texts, ...toJson(change) });
  session.out.line(`${change.existed} of ${texts.length} entries existed and are deleted.`);
  tellMissingRecord(session, change);
  return change.existed === 0 ? EXIT.no : EXIT.ok;
};

/** Makes entries stale. */
export const expire: Run = async (session, { args: [namespace = '', ...texts] }) => {
  await session.requireConsent(
    `Make ${texts.length} ${texts.length === 1 ? 'entry' : 'entries'} of ${namespace} stale?`,
  );
  const cache = await session.open();
  const change = await cache.operations.expire(namespace, texts.map(keyOf), OPERATOR);
  session.out.json({ namespace, keys: texts, ...toJson(change) });
  session.out.line(`${change.existed} of ${texts.length} entries existed and are stale.`);
  tellMissingRecord(session, change);
  return change.existed === 0 ? EXIT.no : EXIT.ok;
};

/** Invalidates the entries with a tag. */
export const purge: Run = async (session, { options }) => {
  const tags = options['tag'] as readonly string[];
  const given = options['ns'];
  const where = typeof given === 'string' ? `of ${given}` : 'of all namespaces';
  await session.requireConsent(`Invalidate all entries ${where} with the tag ${tags.join(', ')}?`);
  const cache = await session.open();
  const namespaces = typeof given === 'string' ? [given] : await namespacesOf(session, cache);
  if (namespaces.length === 0) {
    throw new CommandError(EXIT.no, 'No process uses a namespace: name one with --ns.');
  }
  for (const namespace of namespaces) {
    const change = await cache.operations.purge(namespace, tags, OPERATOR);
    session.out.json({ namespace, tags, ...toJson(change) });
    session.out.line(`The entries of ${printable(namespace)} with ${tags.map(printable).join(', ')} are invalid.`);
    tellMissingRecord(session, change);
  }
  return EXIT.ok;
};

/** Invalidates all entries of a namespace. */
export const clear: Run = async (session, { args: [namespace = ''] }) => {
  await session.requireConsent(`Invalidate all entries of ${namespace}?`);
  const cache = await session.open();
  const change = await cache.operations.clear(namespace, OPERATOR);
  session.out.json({ namespace, ...toJson(change) });
  session.out.line(`All entries of ${printable(namespace)} are invalid.`);
  tellMissingRecord(session, change);
  return EXIT.ok;
};

/** The most keys that are recorded of a namespace. */
const MOST_HOT_KEYS = 5000;

/** Shows the recorded hot keys, and starts a warm-up in every process. */
export const warm: Run = async (session, { options }) => {
  const { out } = session;
  const cache = await session.open();
  const starts = options['show'] !== true;
  const found = await cache.operations.warmUp({ starts });
  session.requireAnswers(found);
  const processes = found.answers.map(({ process, answer }) => Object.assign({ process }, answer));
  const given = options['ns'];
  const warmed = [...new Set(processes.flatMap((each) => each.namespaces))].sort();
  const namespaces = await Promise.all(
    warmed
      .filter((name) => typeof given !== 'string' || name === given)
      .map(async (name) => {
        const keys = await cache.warmUp.hottest(name, MOST_HOT_KEYS);
        const hottest = keys.slice(0, Number(options['count'])).map(({ key, score }) => ({
          key: options['keys'] === true ? key : describeKey(key),
          score: Math.round(score * 10) / 10,
        }));
        return { namespace: name, recorded: keys.length, hottest };
      }),
  );
  if (namespaces.length === 0) {
    throw new CommandError(EXIT.no, 'No process warms such a namespace: name it in the option warmUp.namespaces.');
  }
  out.json({ started: starts, unanswered: found.unanswered, namespaces, processes });
  for (const { namespace, recorded, hottest } of namespaces) {
    out.line(`${out.style('bold', printable(namespace))}  ${recorded} hot keys`);
    hottest.forEach(({ key, score }) => out.line(`  ${printable(key)}  ${score}`));
  }
  out.line();
  out.table(
    ['process', 'warm', 'read', 'not in redis', 'loaded', 'refused'],
    processes.map(({ process, isWarm, kept, missing, loaded, refused = '' }) => [
      nameOf(process),
      isWarm ? 'yes' : 'not yet',
      kept,
      missing,
      loaded,
      refused,
    ]),
  );
  out.line(starts ? 'Each of these processes warms up again.' : 'Nothing was started (--show).');
  return EXIT.ok;
};

function toJson({ existed, notRecordedBecause }: OperatorChange): object {
  return { ...(existed !== undefined && { existed }), recorded: notRecordedBecause === undefined };
}

function tellMissingRecord({ out }: Session, { notRecordedBecause }: OperatorChange): void {
  if (notRecordedBecause !== undefined) {
    out.note(`The audit trail does not have this change (${notRecordedBecause}): grant +xadd.`);
  }
}
