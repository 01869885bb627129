const text = document.getElementById('health');

/** What each state of the cache in /health means for an answer. */
const STATES = {
  up: 'Up: the cache serves from all its tiers.',
  degraded: 'Degraded: the cache serves, but not from Redis.',
  down: 'Down: no tier of the cache serves.',
};

/**
 * Shows the state of the cache and its cause. Only a change is written: a screen reader announces each assignment.
 * @param {{ details: { cache: { status: string, message?: string } } }} health the answer of /health
 */
export function showHealth({ details: { cache } }) {
  const cause = cache.message === undefined ? '' : ` Cause: ${cache.message}.`;
  write(cache.status, `${STATES[cache.status] ?? cache.status}${cause}`);
}

export function showNoAnswer() {
  write('down', 'The demo does not answer.');
}

function write(status, state) {
  if (text.textContent !== state) {
    text.textContent = state;
    text.dataset.status = status;
  }
}
