import KeyvRedis from '@keyv/redis';
import { CacheModule } from '@nestjs/cache-manager';
import { Module } from '@nestjs/common';
import { CacheableMemory, Keyv } from 'cacheable';
import { NotesController } from './notes.controller';

@Module({
  imports: [
    CacheModule.registerAsync({
      isGlobal: true,
      useFactory: async () => {
        const memory = new CacheableMemory({ ttl: '1m', lruSize: 5000 });
        const redis = new KeyvRedis(process.env.REDIS_URL);
        return {
          stores: [new Keyv({ store: memory }), new Keyv({ store: redis, namespace: 'notes' })],
          ttl: 10 * 60_000,
        };
      },
    }),
  ],
  controllers: [NotesController],
})
export class AppModule {}
