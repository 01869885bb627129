import { CacheModule } from '@nestjs/cache-manager';
import { Module } from '@nestjs/common';
import { CatsController } from './cats.controller.js';
import { DogsController } from './dogs.controller.js';

@Module({
  imports: [CacheModule.register({ ttl: 5000, isGlobal: true })],
  controllers: [CatsController, DogsController],
})
export class AppModule {}
