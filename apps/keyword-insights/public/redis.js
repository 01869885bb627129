/* The two buttons that freeze and kill the Redis of the demo. The section is absent if the demo has started none. */

const section = document.getElementById('redis');
const stateText = document.getElementById('redis-state');
const errorText = document.getElementById('redis-error');
const freeze = document.getElementById('freeze');
const kill = document.getElementById('kill');

const STATES = {
  running: 'Redis is running',
  frozen: 'Redis is frozen: it accepts connections and answers no command',
  ended: 'Redis has ended: it refuses connections',
};

let state;

section?.addEventListener('click', ({ target }) => {
  if (target === freeze) {
    void act(state === 'frozen' ? 'thaw' : 'freeze');
  } else if (target === kill) {
    void act(state === 'ended' ? 'start' : 'kill');
  }
});

/** Shows the present state, or why the demo refuses to show it, for instance to another machine. */
export async function refreshRedis() {
  if (section !== null) {
    try {
      show(await send('GET', ''));
    } catch (error) {
      setText(stateText, error.message);
    }
  }
}

async function act(action) {
  errorText.textContent = '';
  try {
    show(await send('POST', `/${action}`));
  } catch (error) {
    errorText.textContent = error.message;
  }
}

async function send(method, path) {
  const headers = { [section.dataset.header]: 'page' };
  const response = await fetch(`/demo/redis${path}`, { method, headers, cache: 'no-store' });
  const answer = await response.json();
  if (!response.ok) {
    throw new Error(answer.message);
  }
  return answer;
}

function show(answer) {
  state = answer.state;
  setText(stateText, `${STATES[state]} (${answer.url}, process ${answer.pid}).`);
  setText(freeze, state === 'frozen' ? 'Thaw Redis' : 'Freeze Redis');
  setText(kill, state === 'ended' ? 'Start Redis' : 'Kill Redis');
  freeze.disabled = state === 'ended';
  kill.disabled = false;
}

/** Only a change: a screen reader announces each assignment to a live region. */
function setText(element, text) {
  if (element.textContent !== text) {
    element.textContent = text;
  }
}
