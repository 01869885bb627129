import { START_PAGE_LINKS } from './start-page-links.html.js';
import { NO_OWN_REDIS, OWN_REDIS } from './redis-section.html.js';

/** A form with one text field. Its script asks `/insights` or `/responses`, plus `data-path`, plus the text. */
interface Question {
  readonly id: string;
  readonly label: string;
  readonly path: string;
  readonly example: string;
  readonly kept: string;
}

const QUESTIONS: readonly Question[] = [
  { id: 'keywords', label: 'Keywords of a term', path: '/keywords/', example: 'linux', kept: '24 hours' },
  {
    id: 'domain',
    label: 'Figures of a domain',
    path: '/domains/',
    example: 'lockergnome.com',
    kept: '12 hours',
  },
  { id: 'trend', label: 'Trend of a term', path: '/trends/', example: 'mortgage', kept: '6 hours' },
];

const FORGET = ' <button value="forget">Forget</button>';

const FORMS = QUESTIONS.map(
  ({ id, label, path, example, kept }) => `
        <form data-path="${path}" data-label="${label}">
          <label for="${id}">${label}</label>
          <input id="${id}" name="text" value="${example}" required maxlength="100" autocomplete="off" autocapitalize="none" spellcheck="false" aria-describedby="${id}-kept">
          <button value="ask">Ask</button>${id === 'keywords' ? FORGET : ''}
          <p id="${id}-kept" class="note"><code>@Cached</code> keeps the answer for ${kept}.</p>
        </form>`,
).join('');

/** The routes that the questions use, and how. */
const WAYS = `
        <fieldset class="ways">
          <legend>What the cache keeps</legend>
          <label><input type="radio" name="routes" id="results" value="/insights" checked> The result of the method: <code>@Cached</code></label>
          <label><input type="radio" name="routes" id="responses" value="/responses"> The whole response: <code>@CachedResponse</code></label>
          <label><input type="checkbox" id="conditional"> Send the ETag of the last answer as <code>If-None-Match</code></label>
          <button type="button" id="purge">Purge the stored responses</button>
          <p class="note">A stored response is sent before interceptors, pipes and the handler run. On a miss the handler runs, and
            <code>@Cached</code> answers it. The responses are kept for 10 minutes.</p>
        </fieldset>`;

const SERIES = [
  { id: 'local', label: 'Hits in L1 (memory)' },
  { id: 'redis', label: 'Hits in L2 (Redis)' },
  { id: 'misses', label: 'Misses (computed)' },
];

/** Each series has its own row and its own text, so that no colour carries a meaning. */
const CHART = SERIES.map(
  ({ id, label }) => `
          <div class="series" data-series="${id}">
            <p><span>${label}</span> <strong data-total>0</strong></p>
            <svg viewBox="0 0 60 12" preserveAspectRatio="none" aria-hidden="true" focusable="false"></svg>
          </div>`,
).join('');

/** @param hasOwnRedis whether the demo has started a Redis, which the page may freeze and kill */
export function startPage(hasOwnRedis: boolean): string {
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>Keyword Insights</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="/start-page/start-page.css">
    <script type="module" src="/start-page/main.js"></script>
  </head>
  <body>
    <a class="skip" href="#answers-heading">Skip to the answers</a>
    <header>
      <h1>Keyword Insights</h1>
      <p>The demo computes each answer from 6046 real mails. The first answer takes some hundred milliseconds. The second one comes from the cache.</p>
    </header>
    <main>
      <noscript><p>This page needs JavaScript. The links below work without it.</p></noscript>
      <section aria-labelledby="questions-heading">
        <h2 id="questions-heading">Questions</h2>
        <div class="questions">${FORMS}
        </div>${WAYS}
        <p><label><input type="checkbox" id="repeat"> Ask the three questions once per second</label></p>
      </section>
      <div class="status">
      <section aria-labelledby="health-heading">
        <h2 id="health-heading">Health of the cache</h2>
        <p id="health" role="status" aria-live="polite">Not known yet.</p>
      </section>
${hasOwnRedis ? OWN_REDIS : NO_OWN_REDIS}
      </div>
      <section aria-labelledby="chart-heading">
        <h2 id="chart-heading">Hits per tier</h2>
        <p class="note">Lookups per second in the last minute, with the total since the start of the demo. The table has the same numbers.</p>
        <div id="chart">${CHART}
        </div>
        <div class="scroll" role="region" aria-labelledby="table-caption" tabindex="0">
          <table>
            <caption id="table-caption">Lookups since the start of the demo, per namespace</caption>
            <thead>
              <tr><th scope="col">Namespace</th><th scope="col">L1</th><th scope="col">Redis</th><th scope="col">Misses</th></tr>
            </thead>
            <tbody id="counters"></tbody>
          </table>
        </div>
      </section>
      <section aria-labelledby="answers-heading">
        <h2 id="answers-heading" tabindex="-1">Answers</h2>
        <p id="said" role="status" aria-live="polite">No question asked yet.</p>
        <p class="saved"><strong id="saved">0 ms</strong> saved by <span id="hits">0</span> hits on this page</p>
        <p class="note">The newest answer comes first. “Time saved” compares with the time of the first computation.</p>
        <ol id="answers" reversed></ol>
      </section>
    </main>
${START_PAGE_LINKS}
  </body>
</html>
`;
}
