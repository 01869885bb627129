import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import { findRedisServer } from '../../scripts/find-redis.mjs';

function folderForTest(): string {
  const folder = mkdtempSync(join(tmpdir(), 'find-redis-'));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

function program(folder: string, mode = 0o755): string {
  mkdirSync(folder, { recursive: true });
  const path = join(folder, 'redis-server');
  writeFileSync(path, '#!/bin/sh\n');
  chmodSync(path, mode);
  return path;
}

describe('findRedisServer', () => {
  it('takes the first program of that name on the PATH', () => {
    const folder = folderForTest();
    const first = program(join(folder, 'first'));
    program(join(folder, 'second'));
    mkdirSync(join(folder, 'decoy', 'redis-server'), { recursive: true });
    const PATH = ['decoy', 'first', 'second'].map((name) => join(folder, name)).join(delimiter);
    expect(findRedisServer({ PATH })).toBe(first);
  });

  it('uses REDIS_SERVER_BIN without a search, valid or not', () => {
    const folder = folderForTest();
    const chosen = program(join(folder, 'chosen'));
    program(join(folder, 'other'));
    const PATH = join(folder, 'other');
    expect(findRedisServer({ PATH, REDIS_SERVER_BIN: chosen })).toBe(chosen);
    expect(findRedisServer({ PATH, REDIS_SERVER_BIN: join(folder, 'missing') })).toBeUndefined();
  });
});
