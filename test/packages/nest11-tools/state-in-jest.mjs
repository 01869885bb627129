/** jest with ESM gives `import` the ESM build, and `require` the CommonJS build: whichever comes first, there is one state. */
import { jest } from '@jest/globals';

beforeEach(() => {
  jest.resetModules();
});

test('an application that imports the package before a library requires it', async () => {
  await expect(import('./one-state.mjs')).resolves.toBeDefined();
});

test('a library that requires the package before the application imports it', async () => {
  const { required } = (await import('./library.cjs')).default;
  const { createTestCache } = await import('nestjs-distributed-cache/testing');
  expect((await import('nestjs-distributed-cache')).DistributedCache).toBe(required.DistributedCache);
  expect(createTestCache().cache).toBeInstanceOf(required.DistributedCache);
});
