/*
 * Renews the live sections of the page every second, and draws the charts. The server renders every page, also the
 * renewed one: this script asks for it again, as a document, and carries over what differs. So it needs no markup of its own.
 */

const EVERY_MS = 1000;
const TIMEOUT_MS = 8000;

const status = document.getElementById('live');
const live = document.querySelectorAll('[data-renewable] [data-live]');
let isPaused = false;

/** Asks for this page. A document that XMLHttpRequest parses runs no script, and passes Trusted Types. */
function askForPage() {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.open('GET', location.href);
    request.responseType = 'document';
    request.timeout = TIMEOUT_MS;
    request.addEventListener('load', () =>
      request.status === 200 && request.response?.getElementById('live')
        ? resolve(request.response)
        : reject(new Error(`status ${request.status}`)),
    );
    request.addEventListener('error', () => reject(new Error('no connection')));
    request.addEventListener('timeout', () => reject(new Error('no answer in time')));
    request.send();
  });
}

/** Makes a node like another one. Nodes that are alike stay, and keep the focus. */
function carryOver(node, next) {
  if (node.nodeType === Node.ELEMENT_NODE && node.hasAttribute('data-drawn')) {
    return;
  }
  if (node.nodeType !== next.nodeType || node.nodeName !== next.nodeName) {
    node.replaceWith(document.importNode(next, true));
    return;
  }
  if (node.nodeType !== Node.ELEMENT_NODE) {
    if (node.data !== next.data) {
      node.data = next.data;
    }
    return;
  }
  for (const { name, value } of next.attributes) {
    if (node.getAttribute(name) !== value) {
      node.setAttribute(name, value);
    }
  }
  for (const name of node.getAttributeNames()) {
    if (!next.hasAttribute(name) && name !== 'open') {
      node.removeAttribute(name);
    }
  }
  const [children, others] = [[...node.childNodes], [...next.childNodes]];
  children.slice(others.length).forEach((child) => child.remove());
  others.forEach((other, index) => {
    const child = children[index];
    if (child === undefined) {
      node.append(document.importNode(other, true));
    } else {
      carryOver(child, other);
    }
  });
}

function say(text) {
  if (status.textContent !== text) {
    status.textContent = text;
  }
}

async function renew() {
  if (isPaused || document.hidden) {
    return;
  }
  try {
    const next = await askForPage();
    if (isPaused) {
      return;
    }
    for (const section of document.querySelectorAll('[data-live]')) {
      const other = next.getElementById(section.id);
      if (other !== null) {
        carryOver(section, other);
      }
    }
    drawAll();
    say('Renewed every second');
    document.body.classList.remove('outdated');
  } catch (error) {
    say(`Outdated: ${error.message}`);
    document.body.classList.add('outdated');
  }
}

async function renewForever() {
  for (;;) {
    await new Promise((resolve) => setTimeout(resolve, EVERY_MS));
    await renew();
  }
}

function addPauseButton() {
  const button = document.createElement('button');
  button.type = 'button';
  button.textContent = 'Pause';
  button.addEventListener('click', () => {
    isPaused = !isPaused;
    button.textContent = isPaused ? 'Go on' : 'Pause';
    say(isPaused ? 'Paused' : 'Renewed every second');
    void renew();
  });
  status.after(' ', button);
}

const charts = new Map();
const LINES = [[], [6, 3], [2, 3], [8, 3, 2, 3]];

/** The numbers of a chart stand in its table: the first column is the time, each other one a series. */
function numbersOf(figure) {
  const rows = [...figure.querySelectorAll('tbody tr')];
  const times = rows.map((row) => Date.parse(row.querySelector('time').dateTime) / 1000);
  const values = rows.map((row) => [...row.querySelectorAll('data')].map(({ value }) => Number(value)));
  return [times, ...LINES.map((_, series) => values.map((row) => row[series]))];
}

/** The time of day in UTC, as in the table. */
function clock(seconds) {
  return new Date(seconds * 1000).toISOString().slice(11, 16);
}

function optionsOf(figure, width) {
  const style = getComputedStyle(figure);
  const color = (name) => style.getPropertyValue(name).trim();
  const axis = {
    stroke: color('--text'),
    grid: { stroke: color('--line'), width: 1 },
    ticks: { stroke: color('--line') },
  };
  return {
    width,
    height: 220,
    legend: { show: false },
    cursor: { show: false },
    scales: { y: { range: (_chart, _lowest, highest) => [0, Math.max(0.1, highest * 1.05)] } },
    axes: [
      { ...axis, values: (_chart, times) => times.map(clock) },
      { ...axis, size: 60 },
    ],
    series: [
      {},
      ...LINES.map((dash, index) => ({
        stroke: color(`--series-${index + 1}`),
        width: 2,
        dash,
        points: { show: false },
      })),
    ],
  };
}

function draw(figure) {
  let place = figure.querySelector('[data-drawn]');
  if (place === null) {
    place = document.createElement('div');
    place.setAttribute('data-drawn', '');
    place.setAttribute('aria-hidden', 'true');
    figure.querySelector('svg').replaceWith(place);
  }
  const numbers = numbersOf(figure);
  const known = charts.get(place);
  if (known === undefined) {
    charts.set(place, new uPlot(optionsOf(figure, place.clientWidth), numbers, place));
  } else {
    known.setData(numbers);
  }
}

function drawAll() {
  for (const [place, chart] of charts) {
    if (!place.isConnected) {
      chart.destroy();
      charts.delete(place);
    }
  }
  if (typeof uPlot === 'function') {
    document.querySelectorAll('figure[data-chart]').forEach(draw);
  }
}

/** The colours and the width of a chart are fixed when it is made. */
function drawAnew() {
  charts.forEach((chart) => chart.destroy());
  charts.clear();
  drawAll();
}

drawAll();
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', drawAnew);
addEventListener('resize', drawAnew);
if (live.length > 0) {
  say('Renewed every second');
  addPauseButton();
  void renewForever();
}
