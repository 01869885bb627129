import { describe, expect, it } from 'vitest';
import { keyLayout } from '../keys/index.js';
import type { PendingInvalidations } from '../redis/index.js';
import { OutageJournal } from './outage-journal.js';
import { stampedAtMs } from './stamps.js';

const layout = keyLayout('cache', 'users');
const { clearStampKey } = layout;

function journalAt(nowMs = 1_000_000): { journal: OutageJournal; time: { nowMs: number; offsetMs: number } } {
  const time = { nowMs, offsetMs: 0 };
  const journal = new OutageJournal({
    nowMs: () => time.nowMs,
    serverNowMs: () => time.nowMs + time.offsetMs,
    latestServerNowMs: () => time.nowMs + time.offsetMs + 7,
    roundTripMs: 0,
  });
  return { journal, time };
}

async function replayed(journal: OutageJournal): Promise<PendingInvalidations[]> {
  const slices: PendingInvalidations[] = [];
  await journal.replay(async (slice) => slices.push(slice) > 0);
  return slices;
}

describe('the journal of an outage', () => {
  it.each(['keys', 'tags'])('holds 100,000 %s; more become one clear of their namespace', (what) => {
    const { journal } = journalAt();
    let most = 0;
    for (let index = 0; index <= 100_000; index++) {
      if (what === 'keys') {
        journal.addKey(clearStampKey, layout.valueKey(`key${index}`));
      } else {
        journal.addTag(clearStampKey, layout.tagStampKey(`tag${index}`));
      }
      most = Math.max(most, journal.size);
    }
    expect(most).toBe(100_000);
    expect(journal.size).toBe(1);
    expect(journal.covers(clearStampKey, layout.valueKey('another'))).toBe(true);
  });

  it('is replayed in slices, clears first, each record once', async () => {
    const { journal } = journalAt();
    for (let index = 0; index < 2000; index++) {
      journal.addKey(clearStampKey, layout.valueKey(`key${index}`));
      journal.addTag(clearStampKey, layout.tagStampKey(`tag${index}`));
    }
    const other = keyLayout('cache', 'orders').clearStampKey;
    journal.addClear(other);
    expect(journal.size).toBe(4001);
    const slices = await replayed(journal);
    expect(slices.length).toBeGreaterThan(4);
    expect(Math.max(...slices.map(({ entries, stamps }) => entries.length + stamps.size))).toBeLessThanOrEqual(500);
    expect([...(slices[0]?.stamps.keys() ?? [])][0]).toBe(other);
    const valueKeys = slices.flatMap(({ entries }) => entries.map(({ valueKey }) => valueKey));
    const keys = valueKeys.concat(slices.flatMap(({ stamps }) => Array.from(stamps.keys())));
    expect(keys).toHaveLength(4001);
    expect(new Set(keys).size).toBe(4001);
    expect(journal.size).toBe(0);
    expect(journal.covers(other, 'cache:orders:key')).toBe(false);
  });

  it('keeps a slice that failed and the slices after it, not those before it', async () => {
    const { journal } = journalAt();
    for (let index = 0; index < 2000; index++) {
      journal.addTag(clearStampKey, layout.tagStampKey(`tag${index}`));
    }
    let sent = 0;
    const replaying = journal.replay(async () => {
      if (++sent === 3) {
        throw new Error('no answer');
      }
      return true;
    });
    await expect(replaying).rejects.toThrow('no answer');
    expect(journal.size).toBe(1000);
    expect(await replayed(journal)).toHaveLength(2);
    expect(journal.size).toBe(0);
  });

  it('keeps a key that was invalidated again during its replay', async () => {
    const { journal } = journalAt();
    journal.addTag(clearStampKey, layout.tagStampKey('team'));
    journal.addClear(keyLayout('cache', 'orders').clearStampKey);
    const slices: PendingInvalidations[] = [];
    await journal.replay(async (slice) => {
      slices.push(slice);
      if (slices.length === 1) {
        journal.addTag(clearStampKey, layout.tagStampKey('team'));
      }
      return true;
    });
    expect(slices.map(({ stamps }) => stamps.size)).toEqual([2, 1]);
  });

  it('sends a slice that is not done once per replay and keeps it, and sends the others', async () => {
    const { journal } = journalAt();
    for (let index = 0; index < 1200; index++) {
      journal.addKey(clearStampKey, layout.valueKey(`key${index}`));
    }
    const sizes: number[] = [];
    await journal.replay(async ({ entries }) => {
      if (sizes.push(entries.length) === 1) {
        journal.addTag(clearStampKey, layout.tagStampKey('team'));
      }
      return sizes.length !== 2;
    });
    expect(sizes).toEqual([500, 500, 200, 0]);
    expect(journal.size).toBe(500);
    expect(journal.covers(clearStampKey, layout.valueKey('key500'))).toBe(true);
  });

  it('treats a clear as done only where a later stamp by the same clock exists', async () => {
    const { journal, time } = journalAt();
    journal.addClear(clearStampKey);
    time.nowMs += 60_000;
    const [first] = await replayed(journal);
    const pending = first?.stamps.get(clearStampKey);
    expect(stampedAtMs(pending?.stamp ?? '')).toBe(1_060_007);
    expect(pending?.doneFromMs).toBeGreaterThan(1_000_000);
    expect(pending?.doneFromMs).toBeLessThan(1_001_000);

    journal.addClear(clearStampKey);
    time.offsetMs = -3_600_000; // another server: the stamps of the former one look an hour too young
    const [second] = await replayed(journal);
    expect(second?.stamps.get(clearStampKey)?.doneFromMs).toBeGreaterThan(1_060_000);
  });
});
