export * from './shared.module';
export * from './shared.service';
