interface Link {
  readonly url: string;
  readonly says: string;
}

const LINKS: readonly Link[] = [
  { url: '/insights/keywords/linux', says: 'words that go with “linux”; kept 24 hours' },
  { url: '/insights/keywords/operating%20system', says: 'a term may have several words' },
  { url: '/insights/domains/lockergnome.com', says: 'figures of a sender domain; kept 12 hours' },
  { url: '/insights/trends/mortgage', says: 'how often the mails use a term, by month; kept 6 hours' },
  { url: '/insights/collectors/amazon', says: 'offers that name Amazon; a namespace of its own, kept 30 minutes' },
  { url: '/responses/trends/mortgage', says: 'the same as a stored response; kept 10 minutes' },
  { url: '/health', says: 'which tiers serve' },
  { url: '/cache/metrics', says: 'the counters of the cache' },
  { url: '/metrics', says: 'the same and more for Prometheus' },
  { url: '/admin/cache', says: 'the admin page of the cache, for this machine only' },
  { url: '/docs', says: 'the whole API' },
];

const ITEMS = LINKS.map(({ url, says }) => `<li><a href="${url}"><code>${url}</code></a>: ${says}</li>`).join(
  '\n          ',
);

/** Work without scripts, too. */
export const START_PAGE_LINKS = `    <footer>
      <nav aria-labelledby="links-heading">
        <h2 id="links-heading">Addresses</h2>
        <ul>
          ${ITEMS}
        </ul>
      </nav>
      <p>In a terminal: <code>curl -i <span data-origin>http://localhost:3000</span>/insights/keywords/linux</code>. The header
        <code>Cache-Status</code> shows what the cache did: <code>fwd=miss</code> means computed, <code>detail=local</code> means
        from the memory of this process, <code>detail=redis</code> means from Redis. <code>http;hit</code> means a stored response.</p>
    </footer>`;
