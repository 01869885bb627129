/** Bundles what `nest build` has compiled (esbuild writes no metadata of decorators), as CommonJS and as ESM. */
import { build } from 'esbuild';

const external = ['@nestjs/microservices', '@nestjs/websockets', 'class-validator', 'class-transformer'];
const requireInEsm = "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);";

for (const [format, extension, banner, entry = 'dist/main.js'] of [
  ['cjs', 'cjs', ''],
  ['esm', 'mjs', requireInEsm],
  ['esm', 'state.mjs', requireInEsm, 'one-state.mjs'],
]) {
  const { warnings } = await build({
    entryPoints: [entry],
    outfile: `bundles/esbuild.${extension}`,
    bundle: true,
    minify: true,
    platform: 'node',
    format,
    external,
    banner: { js: banner },
    logLevel: 'error',
  });
  for (const { text, location } of warnings) {
    console.log(`${location?.file}: ${text}`);
  }
}
