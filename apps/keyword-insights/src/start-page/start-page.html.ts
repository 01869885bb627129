interface Example {
  readonly url: string;
  readonly says: string;
}

const EXAMPLES: readonly Example[] = [
  { url: '/insights/keywords/linux', says: 'words that go with “linux”; kept 24 hours' },
  { url: '/insights/keywords/operating%20system', says: 'a term may be several words' },
  { url: '/insights/domains/lockergnome.com', says: 'figures of a sender domain; kept 12 hours' },
  { url: '/insights/trends/mortgage', says: 'how often a term was written, by month; kept 6 hours' },
  { url: '/insights/collectors/amazon', says: 'offers that name Amazon; a cache of its own, 30 minutes' },
  { url: '/health', says: 'which tiers serve' },
  { url: '/cache/metrics', says: 'hits and misses so far' },
];

const STYLE = `
  :root { color-scheme: light dark; }
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 52rem; margin: 2rem auto; padding: 0 1rem; color: #1d2330; background: #fff; }
  h1 { margin-bottom: 0; }
  li { margin: 0.3rem 0; }
  code, pre, input { font: 14px/1.45 ui-monospace, monospace; }
  code, #said { overflow-wrap: anywhere; }
  pre { background: #f3f5f9; padding: 1rem; overflow: auto; max-height: 28rem; border-radius: 6px; }
  button, input { padding: 0.25rem 0.6rem; }
  #said { font-weight: 600; }
  @media (prefers-color-scheme: dark) {
    body { color: #e4e8f0; background: #14171f; }
    a { color: #8ab4ff; }
    pre { background: #1f2430; }
  }
`;

/** Without scripts the links work as they are. With them an answer is shown on the page, with its time and its Cache-Status. */
const SCRIPT = `
  const said = document.getElementById('said');
  const body = document.getElementById('body');
  document.getElementById('origin').textContent = location.origin;
  async function ask(url, method) {
    said.textContent = method + ' ' + url + ' …';
    body.hidden = true;
    const startedAt = performance.now();
    try {
      const answer = await fetch(url, { method, cache: 'no-store' });
      const text = await answer.text();
      const took = Math.round(performance.now() - startedAt);
      const status = answer.headers.get('cache-status');
      said.textContent = method + ' ' + url + ': ' + answer.status + ' in ' + took + ' ms' + (status ? ', Cache-Status: ' + status : '');
      body.textContent = text && JSON.stringify(JSON.parse(text), null, 2);
      body.hidden = !text;
    } catch (error) {
      said.textContent = method + ' ' + url + ': ' + error;
    }
  }
  document.addEventListener('click', (event) => {
    const link = event.target.closest('a[data-ask]');
    if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
      event.preventDefault();
      ask(link.getAttribute('href'), 'GET');
    }
  });
  document.getElementById('own').addEventListener('submit', (event) => {
    event.preventDefault();
    const url = '/insights/keywords/' + encodeURIComponent(new FormData(event.target).get('term'));
    ask(url, event.submitter && event.submitter.value === 'forget' ? 'DELETE' : 'GET');
  });
`;

const LINKS = EXAMPLES.map(
  ({ url, says }) => `<li><a data-ask href="${url}"><code>${url}</code></a>: ${says}</li>`,
).join('\n      ');

export const START_PAGE = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Keyword Insights</title>
    <link rel="icon" href="data:,">
    <style>${STYLE}</style>
  </head>
  <body>
    <h1>Keyword Insights</h1>
    <p>Slow questions about 6046 real mails, answered by reading all of them, once. Ask twice: the second answer comes from the cache.</p>
    <ul>
      ${LINKS}
      <li><a href="/docs"><code>/docs</code></a>: the whole API</li>
    </ul>
    <form id="own" method="get" action="/docs">
      <label>Keywords of <input name="term" value="linux" required maxlength="100"></label>
      <button value="ask">Ask</button>
      <button value="forget">Forget</button>
    </form>
    <p id="said" role="status">Click a question.</p>
    <pre id="body" hidden></pre>
    <p>In a terminal: <code>curl -i <span id="origin">http://localhost:3000</span>/insights/keywords/linux</code>, and look for <code>Cache-Status</code>:
      <code>fwd=miss</code> was worked out anew, <code>detail=local</code> came from the memory of this process, <code>detail=redis</code> from Redis.</p>
    <script>${SCRIPT}</script>
  </body>
</html>
`;
