/** Plain CommonJS: every entry of the package can be required, and Node has nothing to warn about. */
const assert = require('node:assert/strict');

const warnings = [];
process.on('warning', (warning) => warnings.push(String(warning)));

const { exports: entries } = require('nestjs-distributed-cache/package.json');
const names = Object.keys(entries).filter((name) => name !== './package.json');
assert.ok(names.includes('.') && names.includes('./core') && names.includes('./health'), names.join(' '));
for (const name of names) {
  const entry = require(`nestjs-distributed-cache${name.slice(1)}`);
  assert.notEqual(Object.keys(entry).length, 0, `${name} exports nothing`);
}
setImmediate(() => assert.deepEqual(warnings, []));
