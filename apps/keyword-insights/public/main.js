import { ask } from './answers.js';
import { showCounters } from './chart.js';
import { showHealth, showNoAnswer } from './health.js';
import { refreshRedis } from './redis.js';

const REFRESH_MS = 1_000;

const forms = [...document.querySelectorAll('form[data-path]')];
const repeat = document.getElementById('repeat');
const responses = document.getElementById('responses');
const conditional = document.getElementById('conditional');
const purge = document.getElementById('purge');

for (const place of document.querySelectorAll('[data-origin]')) {
  place.textContent = location.origin;
}

for (const form of forms) {
  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const method = event.submitter?.value === 'forget' ? 'DELETE' : 'GET';
    void askForm(form, { method });
  });
}

purge.addEventListener('click', () => void ask('Purge the stored responses', '/responses', { method: 'DELETE' }));

function askForm(form, options) {
  const { path, label } = form.dataset;
  const { value } = form.elements.namedItem('text');
  const isForget = options.method === 'DELETE';
  const routes = responses.checked && !isForget ? '/responses' : '/insights';
  const url = routes + path + encodeURIComponent(value);
  return ask(`${isForget ? `Forget: ${label}` : label}, “${value}”`, url, {
    ...options,
    isConditional: conditional.checked,
  });
}

async function fetchJson(url) {
  return (await fetch(url, { cache: 'no-store' })).json();
}

/** A hidden page asks nothing. */
async function refresh() {
  if (document.visibilityState === 'visible') {
    const questions = repeat.checked ? forms.filter((form) => form.checkValidity()) : [];
    await Promise.all(questions.map((form) => askForm(form, { isQuiet: true })));
    try {
      showCounters(await fetchJson('/cache/metrics'));
      showHealth(await fetchJson('/health'));
      await refreshRedis();
    } catch {
      showNoAnswer();
    }
  }
  setTimeout(() => void refresh(), REFRESH_MS);
}

void refresh();
