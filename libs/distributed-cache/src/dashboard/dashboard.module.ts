import {
  type CanActivate,
  Controller,
  type DynamicModule,
  type ExecutionContext,
  Get,
  Inject,
  Module,
  Post,
  Req,
  Res,
  type Type,
  UseGuards,
  VERSION_NEUTRAL,
} from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { Dashboard, DASHBOARD_OPTIONS } from './dashboard.js';
import { checkOptions, type DashboardOptions, type DashboardRequest } from './options.js';

/**
 * The admin page of a cache: import `DistributedCacheDashboardModule.forRoot({ path, guards })` beside
 * `DistributedCacheModule.forRoot()`. It shows all processes that use the cache: their health, counters, entries, loads and
 * changes. It is read-only unless `actions` allows changes.
 */
@Module({})
export class DistributedCacheDashboardModule {
  /**
   * Adds the page as a controller: the global prefix, global guards and interceptors of the application apply. While Redis
   * can't be used, the page shows this process alone, and says why.
   * @throws ConfigurationError for wrong options, and without both `guards` and `access`: the cache would be open to every
   * caller
   */
  static forRoot(options: DashboardOptions): DynamicModule {
    const checked = checkOptions(options);
    return {
      module: DistributedCacheDashboardModule,
      imports: [...(checked.imports ?? [])],
      controllers: [dashboardController(checked)],
      providers: [Dashboard, { provide: DASHBOARD_OPTIONS, useValue: checked }],
    };
  }
}

/** The controller of one page. It answers in the terms of the platform, so that no interceptor wraps what it sends. */
function dashboardController({ path, guards = [], access }: DashboardOptions): Type {
  /** Of every version: a browser that opens an address can't send one in a header. */
  @Controller({ path, version: VERSION_NEUTRAL })
  @UseGuards(...guards, ...(typeof access === 'function' ? [accessGuard(access)] : []))
  class DistributedCacheDashboardController {
    constructor(
      @Inject(Dashboard) private readonly dashboard: Dashboard,
      @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
    ) {}

    @Get()
    overview(@Req() request: DashboardRequest, @Res() response: object): Promise<void> {
      return this.send(request, response, '');
    }

    @Get(':page')
    page(@Req() request: DashboardRequest, @Res() response: object): Promise<void> {
      return this.send(request, response, nameIn(request, 'page'));
    }

    @Post(':action')
    act(@Req() request: DashboardRequest, @Res() response: object): Promise<void> {
      return this.send(request, response, nameIn(request, 'action'));
    }

    private async send(request: DashboardRequest, response: object, name: string): Promise<void> {
      const { status, headers, cookie, body } = await this.dashboard.answer(request, name);
      const { httpAdapter } = this.host;
      for (const [field, value] of Object.entries(headers)) {
        httpAdapter.setHeader(response, field, value);
      }
      if (cookie !== undefined) {
        httpAdapter.appendHeader(response, 'set-cookie', cookie);
      }
      httpAdapter.reply(response, body, status);
    }
  }
  Reflect.defineMetadata(EXCLUDED_FROM_OPENAPI, [true], DistributedCacheDashboardController);
  return DistributedCacheDashboardController;
}

/** What `@ApiExcludeController()` of @nestjs/swagger sets: the page is no part of the API. */
const EXCLUDED_FROM_OPENAPI = 'swagger/apiExcludeController';

function accessGuard(access: Exclude<DashboardOptions['access'], string | undefined>): CanActivate {
  return {
    canActivate: async (context: ExecutionContext) => {
      const answer: unknown = await access(context);
      return answer === true; // an object, such as the user of the request, gives no access
    },
  };
}

function nameIn({ params }: DashboardRequest, name: string): string {
  return (params as Readonly<Record<string, string>>)[name] ?? '';
}
