import type { Page } from 'playwright-core';

/** What a browser complains about from now on: errors, refusals of its policy, and requests to other hosts than the page's. */
export function complaintsOf(page: Page, url: string): readonly string[] {
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    if (['error', 'warning'].includes(message.type())) {
      complaints.push(message.text());
    }
  });
  page.on('request', (request) => {
    const { origin, protocol } = new URL(request.url());
    if (protocol !== 'data:' && origin !== new URL(url).origin) {
      complaints.push(`asked ${request.url()}`);
    }
  });
  return complaints;
}
