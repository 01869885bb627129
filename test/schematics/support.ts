import { posix } from 'node:path';
import type { Context, Files } from '../../libs/distributed-cache/schematics/workspace.js';

/** The files of a workspace in memory, and what a schematic says about it. */
export class Workspace implements Files, Context {
  readonly files: Map<string, string>;
  readonly said: string[] = [];
  readonly tasks: string[] = [];
  readonly logger = {
    info: (message: string) => void this.said.push(message),
    warn: (message: string) => void this.said.push(`warning: ${message}`),
  };

  constructor(files: Record<string, string>) {
    this.files = new Map(Object.entries(files));
  }

  addTask(task: { toConfiguration(): { name: string } }): void {
    this.tasks.push(task.toConfiguration().name);
  }

  exists(path: string): boolean {
    return this.files.has(path);
  }

  readText(path: string): string {
    const text = this.files.get(path);
    if (text === undefined) {
      throw new Error(`no file ${path}`);
    }
    return text;
  }

  create(path: string, content: string): void {
    if (this.exists(path)) {
      throw new Error(`${path} exists`);
    }
    this.files.set(path, content);
  }

  overwrite(path: string, content: string): void {
    this.readText(path);
    this.files.set(path, content);
  }

  getDir(folder: string): { subdirs: string[]; subfiles: string[] } {
    const prefix = folder === '.' ? '' : `${folder}/`;
    const inside = [...this.files.keys()]
      .filter((path) => path.startsWith(prefix))
      .map((path) => path.slice(prefix.length));
    return {
      subfiles: inside.filter((path) => !path.includes('/')),
      subdirs: [
        ...new Set(inside.filter((path) => path.includes('/')).map((path) => posix.dirname(path).split('/')[0] ?? '')),
      ],
    };
  }

  get snapshot(): Record<string, string> {
    return Object.fromEntries(this.files);
  }
}

export const MODULE = `import { Module } from '@nestjs/common';
import { AppController } from './app.controller';

@Module({
  imports: [],
  controllers: [AppController],
})
export class AppModule {}
`;

export const MAIN = `import { NestFactory } from '@nestjs/core';
import { AppModule } from './app.module';

async function bootstrap() {
  const app = await NestFactory.create(AppModule);
  await app.listen(3000);
}
void bootstrap();
`;

export const PACKAGE = JSON.stringify({ name: 'shop', dependencies: { '@nestjs/core': '^11.0.1' } }, undefined, 2);
