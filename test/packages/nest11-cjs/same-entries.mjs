/** Every entry of the package is the same by `import` as by `require`. */
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
const { exports: entries } = require('nestjs-distributed-cache/package.json');

for (const entry of Object.keys(entries).filter((name) => name !== './package.json')) {
  const specifier = `nestjs-distributed-cache${entry.slice(1)}`;
  const [imported, required] = [await import(specifier), require(specifier)];
  for (const name of Object.keys(imported)) {
    assert.equal(required[name], imported[name], `${entry}: ${name}`);
  }
}
