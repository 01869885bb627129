import {
  ConflictException,
  Controller,
  Get,
  HttpCode,
  Inject,
  Post,
  ServiceUnavailableException,
  UseGuards,
} from '@nestjs/common';
import {
  ApiConflictResponse,
  ApiForbiddenResponse,
  ApiHeader,
  ApiOkResponse,
  ApiOperation,
  ApiProperty,
  ApiTags,
} from '@nestjs/swagger';
import { DEMO_HEADER, OwnRedisGuard } from './own-redis.guard.js';
import { OwnRedis, type OwnRedisState } from './own-redis.js';

export class OwnRedisResponse {
  @ApiProperty({ enum: ['running', 'frozen', 'ended'] })
  readonly state!: OwnRedisState;

  @ApiProperty({ type: String, example: 'redis://127.0.0.1:23456' })
  readonly url!: string;

  @ApiProperty({ type: Number, description: 'Process id, also of the last process after its end.', example: 4711 })
  readonly pid!: number;
}

/** Freezes, kills and starts the Redis of the demo. The routes exist only if the demo has started one. */
@ApiTags('operations')
@ApiHeader({ name: DEMO_HEADER, required: true, description: 'Any value. Keeps foreign web pages out.', example: '1' })
@ApiForbiddenResponse({ description: 'The request comes from another machine or from another web page.' })
@Controller('demo/redis')
@UseGuards(OwnRedisGuard)
export class OwnRedisController {
  constructor(@Inject(OwnRedis) private readonly redis: OwnRedis) {}

  @Get()
  @ApiOperation({ summary: 'The state of the Redis that the demo has started' })
  @ApiOkResponse({ type: OwnRedisResponse })
  show(): OwnRedisResponse {
    const { state, url, pid } = this.redis;
    return { state, url, pid };
  }

  @Post('freeze')
  @HttpCode(200)
  @ApiOperation({ summary: 'Stop the process of Redis with SIGSTOP: it accepts connections and answers nothing' })
  @ApiOkResponse({ type: OwnRedisResponse })
  @ApiConflictResponse({ description: 'Redis has ended.' })
  async freeze(): Promise<OwnRedisResponse> {
    await this.redis.freeze();
    return this.unlessEnded('freeze');
  }

  @Post('thaw')
  @HttpCode(200)
  @ApiOperation({ summary: 'Let a frozen Redis continue' })
  @ApiOkResponse({ type: OwnRedisResponse })
  @ApiConflictResponse({ description: 'Redis has ended.' })
  async thaw(): Promise<OwnRedisResponse> {
    await this.redis.thaw();
    return this.unlessEnded('thaw');
  }

  @Post('kill')
  @HttpCode(200)
  @ApiOperation({ summary: 'End the process of Redis with SIGKILL: connections are refused' })
  @ApiOkResponse({ type: OwnRedisResponse })
  async kill(): Promise<OwnRedisResponse> {
    await this.redis.kill();
    return this.show();
  }

  @Post('start')
  @HttpCode(200)
  @ApiOperation({ summary: 'Start Redis again, empty, on the same port' })
  @ApiOkResponse({ type: OwnRedisResponse })
  async start(): Promise<OwnRedisResponse> {
    try {
      await this.redis.start();
    } catch (error) {
      throw new ServiceUnavailableException(error instanceof Error ? error.message : String(error));
    }
    return this.show();
  }

  private unlessEnded(action: 'freeze' | 'thaw'): OwnRedisResponse {
    if (this.redis.state === 'ended') {
      throw new ConflictException(`Redis has ended, so it can't ${action}. POST /demo/redis/start starts it.`);
    }
    return this.show();
  }
}
