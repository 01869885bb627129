import { deepEqual } from 'node:assert/strict';
import { it } from 'node:test';
import { NestFactory } from '@nestjs/core';
import { AppModule } from '../dist/app.module.js';

it('shares notes with a second process, and lists anew after a change', async () => {
  const apps = await Promise.all([1, 2].map(() => NestFactory.create(AppModule, { logger: ['error'] })));
  await Promise.all(apps.map((app) => app.listen(0, '127.0.0.1')));
  const [first, second] = await Promise.all(apps.map((app) => app.getUrl()));
  const json = async (url) => (await fetch(url)).json();
  const change = async (text) => {
    const headers = { 'content-type': 'application/json' };
    await fetch(`${first}/notes/1`, { method: 'PUT', headers, body: JSON.stringify({ text }) });
  };
  deepEqual(await json(`${first}/notes`), { lists: 1 });
  deepEqual(await json(`${first}/notes`), { lists: 1 });
  await change('milk');
  deepEqual(await json(`${second}/notes/1`), { text: 'milk' });
  deepEqual(await json(`${first}/notes`), { lists: 2 });
  await Promise.all(apps.map((app) => app.close()));
});
