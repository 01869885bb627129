import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import {
  renderEnvExample,
  renderEnvironmentTable,
  renderOptionsTable,
  replaceTable,
} from '../../../../scripts/render-tables.mjs';
import { CacheConfig, ENVIRONMENT_VARIABLES, OPTION_LEVELS } from './index.js';

const ROOT = new URL('../../../../', import.meta.url);
const read = (name: string) => readFileSync(new URL(name, ROOT), 'utf8');

describe('the documentation of the configuration', () => {
  it('has an .env.example with every variable, its meaning and its default', () => {
    expect(read('.env.example'), 'run "npm run build && node scripts/docs-tables.mjs"').toBe(
      renderEnvExample(ENVIRONMENT_VARIABLES),
    );
  });

  it('shows the real variables and options in docs/configuration.md', () => {
    const text = read('docs/configuration.md');
    const environment = replaceTable(text, 'environment', renderEnvironmentTable(ENVIRONMENT_VARIABLES));
    const written = replaceTable(environment, 'options', renderOptionsTable(OPTION_LEVELS));
    expect(text, 'run "npm run build && node scripts/docs-tables.mjs"').toBe(written);
  });

  it('shows the real options of the warm-up in docs/warm-up.md', () => {
    const text = read('docs/warm-up.md');
    const levels = OPTION_LEVELS.filter(({ path }) => path.startsWith('warmUp.'));
    expect(text, 'run "npm run build && node scripts/docs-tables.mjs"').toBe(
      replaceTable(text, 'warmUp', renderOptionsTable(levels)),
    );
    expect(text).toContain('| `warmUp.load.rate` ');
  });

  it('has both tables in docs/configuration.md', () => {
    expect(read('docs/configuration.md')).toContain('| `REDIS_URL` ');
    expect(read('docs/configuration.md')).toContain('| `local.maxMemoryMb` ');
  });

  it('has a docstring at every option of a derived type, which editors show', () => {
    const files = ['schema', 'codec-schema', 'redis-schema', 'warm-schema'].map((name) =>
      read(`libs/distributed-cache/src/config/${name}.ts`),
    );
    const tables = files.flatMap(
      (text) => text.match(/^export const \w+ = \{\n(?: .*\n)*\} as const satisfies OptionTable;/gm) ?? [],
    );
    expect(tables.length).toBeGreaterThan(6);
    const rows = tables.flatMap((table) =>
      table.split('\n').map((line, index, lines) => [lines[index - 1], line] as const),
    );
    const bare = rows.filter(([above, line]) => /^ {2}\w+: \{/.test(line) && above?.endsWith('*/') !== true);
    expect(bare).toEqual([]);
  });

  it('shows the message that a wrong configuration really makes', () => {
    const options = { ttl: '5 minutes', local: { maxMemory: 50 } };
    const env = { REDIS_PORT: 'tcp://10.0.0.1:6379', REDIS_SSL: 'yes', CACHE_TTL_TRENDS: '-1' };
    let message = '';
    try {
      CacheConfig.resolve(options as object, env);
    } catch (error) {
      message = String(error);
    }
    expect(message).toContain('5 mistakes');
    expect(read('docs/configuration.md')).toContain(`\`\`\`text\n${message}\n\`\`\``);
  });

  it('names every variable that is read, and no other', () => {
    const asked = new Set<string>();
    const spyOn = (env: NodeJS.ProcessEnv) =>
      new Proxy(env, {
        get: (target, name) => {
          asked.add(String(name));
          return target[String(name)];
        },
      });
    CacheConfig.fromEnv(spyOn({}));
    CacheConfig.fromEnv(spyOn({ REDIS_SENTINELS: 'a:1', REDIS_SENTINEL_NAME: 'm' }));
    expect([...asked].sort()).toEqual(Object.keys(ENVIRONMENT_VARIABLES).sort());
  });
});

describe('replaceTable', () => {
  it('leaves a text without the marker as it is', () => {
    expect(replaceTable('text', 'options', 'table')).toBe('text');
  });

  it('replaces what is between the markers, as often as it is asked', () => {
    const once = replaceTable('a\n<!-- table:options -->old<!-- /table -->\nb', 'options', 'new');
    expect(once).toBe('a\n<!-- table:options -->\n\nnew\n\n<!-- /table -->\nb');
    expect(replaceTable(once, 'options', 'new')).toBe(once);
  });

  it('complains about a marker without an end', () => {
    expect(() => replaceTable('<!-- table:options -->', 'options', 'new')).toThrow(/has no/);
  });
});
