import type { AloneReason, CacheHealth, Gathered, ProcessName } from '../core/index.js';
import { durationText } from '../cli/output.js';
import { ASSET_VERSION } from './client/index.js';
import { badge, facts, type Html, html, type Mood, named, type Part } from './html.js';

/** One request of the page: where it was sent, and what its caller may do. */
export interface Visit {
  /** The way from the address of the request to the other pages: no prefix of the application or of a proxy matters. */
  readonly base: string;
  /** The way to the overview. */
  readonly home: string;
  /** Whether the page can be asked for again: one that answers a form can't. */
  readonly isRenewable: boolean;
  readonly mayChange: boolean;
  readonly mayReadValues: boolean;
  /** Whether keys are shown whole. */
  readonly hasWholeKeys: boolean;
  /** A token for a form with this action. */
  readonly token: (action: string) => string;
}

/** A page: its title, its place in the navigation, and its content. */
export interface Page {
  readonly title: string;
  readonly status?: number;
  readonly body: Part;
}

const PAGES = [
  ['', 'Overview'],
  ['processes', 'Processes'],
  ['checks', 'Checks'],
  ['audit', 'Audit'],
] as const;

/** The whole document. It has no inline script and no inline style: the policy of the page allows none. */
export function documentOf(
  { base, home, isRenewable }: Visit,
  current: string,
  { title, body }: Page,
  health: CacheHealth | undefined,
): string {
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title} · Cache</title>
        <link rel="icon" href="data:," />
        <link rel="stylesheet" href="${base}page.css?v=${ASSET_VERSION}" />
        <script src="${base}uplot.js?v=${ASSET_VERSION}" defer></script>
        <script src="${base}page.js?v=${ASSET_VERSION}" type="module"></script>
      </head>
      <body>
        <a class="skip" href="#main">Skip to the content</a>
        <header>
          <p class="brand" id="state" data-live="">Cache ${healthBadge(health)}</p>
          <nav aria-label="Pages">
            <ul>
              ${PAGES.map(
                ([name, text]) =>
                  html`<li>
                    <a href="${name === '' ? home : base + name}" ${name === current && html` aria-current="page"`}
                      >${text}</a
                    >
                  </li>`,
              )}
            </ul>
          </nav>
          <p class="live"><span id="live" role="status"></span></p>
        </header>
        <main id="main" tabindex="-1" ${isRenewable && html` data-renewable=""`}>
          <h1>${title}</h1>
          ${body}
        </main>
      </body>
    </html> `.text;
}

/** A section of a page. A live one is renewed while the page is open. */
export function section(id: string, title: string, body: Part, isLive = true): Html {
  return html`<section aria-labelledby="${id}-title" id="${id}" ${isLive && html` data-live=""`}>
    <h2 id="${id}-title">${title}</h2>
    ${body}
  </section> `;
}

/** A form that sends a POST. Its fields come from {@link hidden} and from the markup in it. */
export function form(visit: Visit, action: string, fields: Part, button: string): Html {
  return html`<form method="post" action="${visit.base}${action}" class="act">
    <input type="hidden" name="token" value="${visit.token(action)}" />
    ${fields}
    <button>${button}</button>
  </form>`;
}

/** A hidden field. Its text is sent as ASCII: what is shown of a text is not always the text itself. */
export function hidden(name: string, text: string): Html {
  return html`<input type="hidden" name="${name}" value="${encodeURIComponent(text.replace(/\p{Cs}/gu, '\uFFFD'))}" />`;
}

/** The box without which an action is not carried out. */
export function consent(text: Part): Html {
  return html`<label class="consent"
    ><input type="checkbox" name="confirm" value="yes" required /><span>${text}</span></label
  >`;
}

function healthBadge(health: CacheHealth | undefined): Html {
  return health === undefined ? badge('bad', 'unknown') : badge(MOODS[health.status], health.status);
}

const MOODS: Readonly<Record<CacheHealth['status'], Mood>> = { up: 'good', degraded: 'fair', down: 'bad' };

/** The health of the process that answers the request: the same as in its health check. */
export function healthSection(health: CacheHealth | undefined): Html {
  if (health === undefined) {
    const text = html`<p>${healthBadge(health)} The health check of this process has not ended in time.</p>`;
    return section('health', 'Health of this process', text);
  }
  const { status, message, redis } = health;
  const details: [string, Part][] =
    redis === undefined
      ? [['Redis', 'none is configured']]
      : [
          ['Connection to Redis', redis.connection],
          ['Changes by others', invalidationBadge(redis.invalidation)],
          ['Changes not acknowledged', redis.journalLength],
          [
            'Last answer of Redis',
            redis.sinceAnswerMs === undefined ? 'none' : `${durationText(redis.sinceAnswerMs)} ago`,
          ],
        ];
  return section(
    'health',
    'Health of this process',
    html`<p class="health" data-status="${status}">${healthBadge(health)} ${message}</p>
      ${facts(details)}`,
  );
}

export function invalidationBadge(state: string): Html {
  const texts: Readonly<Record<string, string>> = {
    live: 'received',
    announced: 'announced ones only',
    lost: 'lost: L1 is not used',
    none: 'never: L1 is not used',
  };
  const mood = state === 'live' ? 'good' : state === 'announced' ? 'fair' : 'bad';
  return badge(mood, texts[state] ?? state);
}

const ALONE: Readonly<Record<AloneReason, string>> = {
  'no-redis': 'no Redis is configured, so there is no other',
  'redis-unavailable': "Redis can't be used, so the others can't be asked",
  'not-listening': 'this process receives no messages at the moment, so the others can not answer',
  NOPERM: 'the Redis user may not use the channels of the cache (NOPERM): grant &<prefix>:* and +publish +subscribe',
};

/** Says which processes the numbers of a page leave out. */
export function missingNote({ aloneBecause, unanswered, silent }: Gathered<unknown>): Html | undefined {
  if (aloneBecause !== undefined) {
    return html`<p class="note" role="note">
      ${badge(aloneBecause === 'no-redis' ? 'plain' : 'bad', 'alone')} Only this process is shown:
      ${ALONE[aloneBecause] ?? aloneBecause}.
    </p>`;
  }
  const count = Math.max(unanswered, silent.length);
  return count === 0
    ? undefined
    : html`<p class="note" role="note">
        ${badge('bad', 'silent')} ${count} of the processes ${count === 1 ? 'does' : 'do'} not answer: the numbers leave
        ${count === 1 ? 'it' : 'them'} out.
      </p>`;
}

export function nameOf({ host, pid }: ProcessName): Html {
  return named(`${host}:${pid}`);
}
