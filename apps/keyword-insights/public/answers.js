import { durationText, readCacheStatus } from './cache-status.js';

const MAX_ROWS = 8;

const list = document.getElementById('answers');
const said = document.getElementById('said');
const savedText = document.getElementById('saved');
const hitsText = document.getElementById('hits');

/** What all hits on this page have saved. */
const saved = { hits: 0, ms: 0 };

/** How long the first computation of each address took: for answers that do not say it themselves, such as a 404. */
const computationMs = new Map();

/** The last whole answer of each address, with its ETag: a 304 means that it is still the answer. */
const known = new Map();

/**
 * Asks one question and adds its answer to the list.
 * @param {string} title the question in words
 * @param {string} url
 * @param {{ method?: string, isQuiet?: boolean, isConditional?: boolean }} [options] a quiet answer is not announced to
 *   screen readers; a conditional question sends the ETag of the last answer
 */
export async function ask(title, url, { method = 'GET', isQuiet = false, isConditional = false } = {}) {
  const startedAtMs = performance.now();
  const last = isConditional ? known.get(url) : undefined;
  const headers = last === undefined ? {} : { 'if-none-match': last.etag };
  try {
    // A request with a cookie gets no stored response, and other programs on localhost may have set one.
    const response = await fetch(url, { method, headers, cache: 'no-store', credentials: 'omit' });
    const received = await response.text();
    const tookMs = performance.now() - startedAtMs;
    const body = response.status === 304 ? last.body : received;
    if (response.ok && response.headers.has('etag')) {
      known.set(url, { etag: response.headers.get('etag'), body });
    }
    const row = describe(url, response, body, tookMs);
    add(title, row, body);
    announce(`${title}: ${row.Tier}, ${row.Time}.`, isQuiet);
  } catch {
    announce(`${title}: the demo does not answer.`, isQuiet);
  }
}

/** The facts of one answer, by their labels. */
function describe(url, response, body, tookMs) {
  const time = durationText(tookMs);
  if (response.status === 204) {
    return { Tier: 'deleted from all tiers', Time: time };
  }
  const cacheStatus = response.headers.get('cache-status');
  const { answeredBy, tier, ttl, isHit } = readCacheStatus(cacheStatus);
  const { analysedAt, analysisMs, message } = JSON.parse(body);
  if (!isHit && !computationMs.has(url)) {
    computationMs.set(url, analysisMs ?? tookMs);
  }
  const firstMs = analysisMs ?? computationMs.get(url);
  return {
    'Answered by': answeredBy,
    Tier: tier,
    Age: analysedAt === undefined ? 'not known' : ageText(analysedAt, response),
    'Remaining TTL': ttl,
    Time: time,
    'Time saved': isHit ? countSaved(firstMs, tookMs) : 'none',
    'Body on the wire': bodyText(response),
    Result: resultText(response, message),
    ETag: response.headers.get('etag') ?? 'none',
    'Cache-Status': cacheStatus ?? 'none',
  };
}

function resultText({ ok, status }, message) {
  if (status === 304) {
    return '304: the page has this answer';
  }
  return ok ? String(status) : `${status}: ${message}`;
}

/** The bytes of the body as they were sent, and their coding. A 304 has none. */
function bodyText({ headers }) {
  const coding = headers.get('content-encoding');
  return `${headers.get('content-length') ?? 0} bytes${coding === null ? '' : ` (${coding})`}`;
}

/** By the clock of the server, whose header `Date` has whole seconds: the clock of the browser may differ. */
function ageText(analysedAt, response) {
  const nowMs = Date.parse(response.headers.get('date') ?? '') || Date.now();
  const seconds = Math.floor((nowMs - Date.parse(analysedAt)) / 1_000);
  return seconds < 1 ? 'less than 1 s' : durationText(seconds * 1_000);
}

function countSaved(firstMs, tookMs) {
  const savedMs = Math.max(0, (firstMs ?? tookMs) - tookMs);
  saved.hits += 1;
  saved.ms += savedMs;
  savedText.textContent = durationText(saved.ms);
  hitsText.textContent = saved.hits;
  return firstMs === undefined ? 'not known' : durationText(savedMs);
}

function add(title, row, body) {
  const item = document.createElement('li');
  const heading = element('h3', title);
  const facts = document.createElement('dl');
  for (const [label, text] of Object.entries(row)) {
    const pair = document.createElement('div');
    pair.dataset.fact = label;
    pair.append(element('dt', label), element('dd', text));
    facts.append(pair);
  }
  item.dataset.tier = /^(local|redis|computed|stored)/i.exec(row.Tier)?.[0].toLowerCase() ?? 'none';
  item.append(heading, facts);
  if (body !== '') {
    item.append(details(title, body));
  }
  list.prepend(item);
  while (list.children.length > MAX_ROWS) {
    list.lastElementChild.remove();
  }
}

function details(title, body) {
  const parent = document.createElement('details');
  const text = element('pre', JSON.stringify(JSON.parse(body), null, 2));
  text.tabIndex = 0;
  text.setAttribute('aria-label', `Answer: ${title}`);
  parent.append(element('summary', 'Whole answer'), text);
  return parent;
}

function element(name, text) {
  const made = document.createElement(name);
  made.textContent = text;
  return made;
}

function announce(text, isQuiet) {
  if (!isQuiet) {
    said.textContent = text;
  }
}
