/**
 * Turns the tables of the configuration and of the counters (data of `libs/distributed-cache/src/config` and
 * `src/events`) into `.env.example` and Markdown.
 * The tables are aligned as prettier aligns them, so that formatting never disagrees with generating.
 */

/** @param {Readonly<Record<string, import('./render-tables.mjs').EnvironmentVariableRow>>} variables */
export function renderEnvironmentTable(variables) {
  const rows = Object.entries(variables).map(([name, row]) => [code(name), code(row.default), row.meaning]);
  return renderTable(['variable', 'default', 'meaning'], rows);
}

/** @param {readonly import('./render-tables.mjs').OptionLevelRows[]} levels */
export function renderOptionsTable(levels) {
  const rows = levels.flatMap(({ path, options }) =>
    Object.entries(options).map(([name, row]) => [
      code(path + name),
      code(row.type),
      row.default.includes('`') || row.default.includes(' ') ? row.default : code(row.default),
      code(row.variable ?? ''),
      row.meaning,
    ]),
  );
  return renderTable(['option', 'type', 'default', 'variable', 'meaning'], rows);
}

/** @param {Readonly<Record<string, import('./render-tables.mjs').CounterRow>>} rows */
export function renderCountersTable(rows) {
  const meaningOf = (/** @type {import('./render-tables.mjs').CounterRow} */ { meaning, help }) =>
    meaning ?? help.charAt(0).toLowerCase() + help.slice(1);
  return renderTable(
    ['name', 'meaning'],
    Object.values(rows).map((row) => [code(row.wire), meaningOf(row)]),
  );
}

/** @param {import('./render-tables.mjs').MetricTables} tables */
export function renderPrometheusTable({ counters, gauges, processCounters, processGauges, histograms }) {
  const cells = (/** @type {string} */ metric, /** @type {readonly string[]} */ labels, /** @type {string} */ type) => [
    code(metric),
    labels.map(code).join(', '),
    type,
  ];
  const rowsOf = (
    /** @type {Readonly<Record<string, import('./render-tables.mjs').CounterRow>>} */ table,
    /** @type {string} */ type,
    /** @type {readonly string[]} */ common = [],
  ) =>
    Object.values(table).flatMap(({ metric, labels = {} }) =>
      metric === undefined ? [] : [cells(metric, [...common, ...Object.keys(labels)], type)],
    );
  const rows = [
    ...rowsOf(counters, 'counter', ['namespace']),
    ...rowsOf(gauges, 'gauge', ['namespace']),
    ...rowsOf(processCounters, 'counter'),
    ...rowsOf(processGauges, 'gauge'),
    cells('cache_build_info', ['version'], 'gauge'),
    ...histograms.map(({ metric, labels }) => cells(metric, labels, 'histogram')),
  ];
  // Two counters of one metric differ in a label only: they are one line.
  return renderTable(['metric', 'labels', 'type'], [...new Map(rows.map((row) => [row[0], row])).values()]);
}

const ENV_HEAD = `# Every variable that nestjs-distributed-cache reads, with its default. Copy this file to .env, uncomment the lines
# that you change, and start Node with --env-file=.env (or let your framework read the file). An empty variable counts
# as not set. Options in code have priority over variables. A wrong value stops the start with a message that names
# every mistake.
`;

/** @param {Readonly<Record<string, import('./render-tables.mjs').EnvironmentVariableRow>>} variables */
export function renderEnvExample(variables) {
  const blocks = Object.entries(variables).map(([name, row]) => {
    const fallback = row.default === '' ? 'No default; an example:' : `Default: ${row.default}`;
    return `\n# ${row.meaning.replaceAll('`', '')}\n# ${fallback}\n#${name}=${row.default || row.example}\n`;
  });
  return ENV_HEAD + blocks.join('');
}

/**
 * Puts `table` between `<!-- table:name -->` and `<!-- /table -->`; a text without that marker stays as it is.
 * @param {string} text
 * @param {string} name
 * @param {string} table
 */
export function replaceTable(text, name, table) {
  const start = `<!-- table:${name} -->`;
  const from = text.indexOf(start);
  if (from < 0) {
    return text;
  }
  const to = text.indexOf('<!-- /table -->', from);
  if (to < 0) {
    throw new Error(`${start} has no <!-- /table -->`);
  }
  return `${text.slice(0, from)}${start}\n\n${table}\n\n${text.slice(to)}`;
}

/**
 * @param {readonly string[]} head
 * @param {readonly (readonly string[])[]} rows
 */
function renderTable(head, rows) {
  const widths = head.map((title, column) => Math.max(3, ...[head, ...rows].map((row) => row[column].length)));
  const line = (/** @type {readonly string[]} */ cells) =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column])).join(' | ')} |`;
  return [line(head), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

/** @param {string} text */
function code(text) {
  return text === '' ? '' : `\`${text.replaceAll('|', '\\|')}\``;
}
