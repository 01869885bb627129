import { fileURLToPath } from 'node:url';
import { Controller, Get, Header, Inject, Optional } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { OwnRedis } from '../own-redis/own-redis.js';
import { startPage } from './start-page.html.js';

/** The scripts and the style of the page, as the browser gets them. The folder is the same for `src` and for `dist`. */
export const START_PAGE_FILES = {
  folder: fileURLToPath(new URL('../../public', import.meta.url)),
  prefix: '/start-page/',
};

/** The page loads nothing from another host, runs no inline script, and is shown in no frame of another page. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  'img-src data:',
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

@ApiExcludeController()
@Controller()
export class StartPageController {
  constructor(@Optional() @Inject(OwnRedis) private readonly ownRedis?: OwnRedis) {}

  @Get()
  @Header('content-type', 'text/html; charset=utf-8')
  @Header('content-security-policy', CONTENT_SECURITY_POLICY)
  show(): string {
    return startPage(this.ownRedis !== undefined);
  }
}
