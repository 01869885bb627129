const SECONDS = 60;
const HEIGHT = 12;
const SVG = 'http://www.w3.org/2000/svg';

/** The series of the chart: the counters of /cache/metrics from which each comes. */
const COUNTERS = { local: 'local_hits', redis: 'redis_hits', misses: 'misses' };

const table = document.getElementById('counters');

/** For each series the lookups of each second, oldest first. */
const history = { local: [], redis: [], misses: [] };
let previous;

/**
 * Adds one second to the chart and updates the table.
 * @param {Record<string, unknown>[]} namespaces the answer of /cache/metrics
 */
export function showCounters(namespaces) {
  const totals = {};
  for (const [series, counter] of Object.entries(COUNTERS)) {
    totals[series] = namespaces.reduce((sum, namespace) => sum + namespace[counter], 0);
    // Counters that fall belong to a demo that has been started again.
    const before = Math.min(previous?.[series] ?? totals[series], totals[series]);
    history[series] = [...history[series], totals[series] - before].slice(-SECONDS);
  }
  previous = totals;
  const highest = Math.max(1, ...Object.values(history).flat());
  for (const series of Object.keys(COUNTERS)) {
    draw(series, totals[series], highest);
  }
  table.replaceChildren(...namespaces.map(rowOf));
}

/** All series have one scale. */
function draw(series, total, highest) {
  const row = document.querySelector(`[data-series="${series}"]`);
  const values = history[series];
  row.querySelector('[data-total]').textContent = total;
  row.querySelector('svg').replaceChildren(
    ...values.map((value, index) => {
      const bar = document.createElementNS(SVG, 'rect');
      const height = (value / highest) * HEIGHT;
      const shape = { x: SECONDS - values.length + index, y: HEIGHT - height, width: 0.8, height };
      Object.entries(shape).forEach(([name, size]) => bar.setAttribute(name, size));
      return bar;
    }),
  );
}

function rowOf(namespace) {
  const row = document.createElement('tr');
  const name = document.createElement('th');
  name.scope = 'row';
  name.textContent = namespace.namespace;
  row.append(name);
  for (const counter of Object.values(COUNTERS)) {
    row.insertCell().textContent = namespace[counter];
  }
  return row;
}
