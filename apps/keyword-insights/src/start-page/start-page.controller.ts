import { Controller, Get, Header } from '@nestjs/common';
import { ApiExcludeController } from '@nestjs/swagger';
import { START_PAGE } from './start-page.html.js';

@ApiExcludeController()
@Controller()
export class StartPageController {
  @Get()
  @Header('content-type', 'text/html; charset=utf-8')
  show(): string {
    return START_PAGE;
  }
}
