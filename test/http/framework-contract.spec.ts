import type { ServerResponse } from 'node:http';
import {
  type CanActivate,
  Controller,
  type ExecutionContext,
  Get,
  type INestApplication,
  Inject,
  Injectable,
  Module,
  type NestModule,
  Scope,
  UseGuards,
} from '@nestjs/common';
import { APP_GUARD, HttpAdapterHost, ModuleRef } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { globalGuardsOf, GUARDS } from '../../libs/distributed-cache/src/http/module/guard-check.js';
import { get } from './http-client.js';

/*
 * What the response cache needs of Nest, Express and Fastify, and none of them documents. A new version that changes it
 * fails here, with the name of what has changed.
 */

let steps: string[] = [];

class Pass implements CanActivate {
  canActivate(_context: ExecutionContext): boolean {
    steps.push(this.constructor.name);
    return true;
  }
}
class GlobalGuard extends Pass {}
class UsedGuard extends Pass {}
class ClassGuard extends Pass {}
class MethodGuard extends Pass {}
class AddedGuard extends Pass {}

@Injectable({ scope: Scope.REQUEST })
class RequestGuard extends Pass {}

@UseGuards(ClassGuard)
@Controller()
class StepsController {
  @UseGuards(MethodGuard)
  @Get('steps')
  steps() {
    steps.push('handler');
    return {};
  }
}

/** Adds a guard to the method when Nest calls `configure`. */
@Module({
  controllers: [StepsController],
  providers: [
    { provide: APP_GUARD, useClass: GlobalGuard },
    { provide: APP_GUARD, useClass: RequestGuard },
  ],
})
class StepsModule implements NestModule {
  static found: unknown[] = [];

  constructor(
    @Inject(ModuleRef) private readonly moduleRef: ModuleRef,
    @Inject(HttpAdapterHost) private readonly host: HttpAdapterHost,
  ) {}

  configure(): void {
    StepsModule.found = globalGuardsOf(this.moduleRef);
    const handler = Reflect.get(StepsController.prototype, 'steps') as object;
    const guards = Reflect.getMetadata(GUARDS, handler) as unknown[];
    Reflect.defineMetadata(GUARDS, [...guards, new AddedGuard()], handler);
    const instance = this.host.httpAdapter.getInstance<{ response?: ServerResponse }>();
    if (instance.response !== undefined) {
      const writeHead = writeHeadOf(instance.response);
      instance.response.writeHead = function first(this: ServerResponse, ...args: unknown[]) {
        steps.push(`head with ${String(this.getHeader('x-late'))}`);
        return writeHead.apply(this, args);
      };
    }
  }
}

let application: INestApplication | undefined;

afterEach(async () => {
  await application?.close();
  application = undefined;
  steps = [];
  const handler = Reflect.get(StepsController.prototype, 'steps') as object;
  Reflect.defineMetadata(GUARDS, [MethodGuard], handler);
});

async function start(adapter: ExpressAdapter | FastifyAdapter): Promise<INestApplication> {
  const module = await Test.createTestingModule({ imports: [StepsModule] }).compile();
  application = module.createNestApplication(adapter);
  application.useGlobalGuards(new UsedGuard());
  return application;
}

async function ask(started: INestApplication): Promise<void> {
  await started.listen(0, '127.0.0.1');
  const answer = await get(Number(new URL(await started.getUrl()).port), '/steps');
  expect(answer.status).toBe(200);
}

const writeHeadOf = (response: ServerResponse) =>
  Reflect.get(response, 'writeHead') as (...args: unknown[]) => ServerResponse;

const nameOf = (guard: unknown): string => (typeof guard === 'function' ? guard : (guard as object).constructor).name;

describe.each([
  ['Express', () => new ExpressAdapter()],
  ['Fastify', () => new FastifyAdapter()],
])('Nest on %s', (_, adapter) => {
  it('runs the guards of the application, of the class and of the method, in this order, and one that configure() adds last', async () => {
    await ask(await start(adapter()));
    const guards = steps.filter((step) => !step.startsWith('head'));
    expect(new Set(guards.slice(0, 3))).toEqual(new Set(['GlobalGuard', 'RequestGuard', 'UsedGuard']));
    expect(guards.slice(3)).toEqual(['ClassGuard', 'MethodGuard', 'AddedGuard', 'handler']);
  });

  it('shows the guards of the application in the private property container.applicationConfig, when it calls configure()', async () => {
    await (await start(adapter())).init();
    expect(StepsModule.found.map(nameOf).toSorted()).toEqual(['GlobalGuard', 'RequestGuard', 'UsedGuard']);
  });
});

describe('Express', () => {
  it('lets the responses of an application inherit from `response` of it, so that its writeHead comes after that of middleware', async () => {
    const started = await start(new ExpressAdapter());
    started.use((_request: object, response: ServerResponse, next: () => void) => {
      const writeHead = writeHeadOf(response);
      response.writeHead = function late(this: ServerResponse, ...args: unknown[]) {
        this.setHeader('x-late', 'a field');
        return writeHead.apply(this, args);
      };
      next();
    });
    await ask(started);
    expect(steps.at(-1)).toBe('head with a field');
  });
});

describe('Fastify', () => {
  it('runs onRequest before the guards, onSend behind the handler, and sends the fields that onSend sets by writeHead', async () => {
    const started = (await start(new FastifyAdapter())) as NestFastifyApplication;
    const instance = started.getHttpAdapter().getInstance();
    let sent: unknown;
    instance.addHook('onRequest', ({ raw: _raw }, { raw }, done) => {
      steps.push('onRequest');
      const writeHead = writeHeadOf(raw);
      raw.writeHead = (...args: unknown[]) => {
        sent = (args[1] as Record<string, unknown>)['x-late'];
        return writeHead.apply(raw, args);
      };
      done();
    });
    instance.addHook('onSend', (_request, reply, _payload, done) => {
      steps.push('onSend');
      reply.header('x-late', 'a field');
      done();
    });
    await ask(started);
    expect(steps[0]).toBe('onRequest');
    expect(steps.slice(-2)).toEqual(['handler', 'onSend']);
    expect(sent).toBe('a field');
  });
});
