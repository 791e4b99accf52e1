/** `smarthost store move` as a process of its own, which may be killed at a line of its progress. */
import { spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { onTestFinished } from 'vitest';
import type { PostgresServer } from './postgres.ts';

const PROGRAM = new URL('../../src/smarthost.ts', import.meta.url).pathname;

/** @param store a line of the configuration. @returns the file. */
export function moveConfiguration(dir: string, store: string): string {
  const file = join(dir, 'smarthost.yaml');
  writeFileSync(file, `hostname: relay.example.net\ntls: { mode: self-signed }\n${store}\n`, { mode: 0o600 });
  return file;
}

/** The setting `store` of a database without standbys. */
export const storeAt = ({ port }: PostgresServer, database: string) =>
  ({ postgres: [`127.0.0.1:${port}`], database, user: 'postgres', tls: 'none', durability: 'one' }) as const;

export const moveTarget = ({ port }: PostgresServer, database: string) =>
  `postgres://postgres@127.0.0.1:${port}/${database}?tls=none&durability=one`;

/** @param killAt the line of its progress at which it is killed. */
export async function move(file: string, to: string, killAt?: number): Promise<{ code: number | null; lines: string[] }> {
  const child = spawn(process.execPath, [PROGRAM, 'store', 'move', '--to', to, '--config', file], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  const lines: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    lines.push(line);
    if (lines.length === killAt) child.kill('SIGKILL');
  });
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { code, lines };
}

/** The server needs a moment to see that its client was killed. */
export async function moveAgain(file: string, to: string, killAt?: number): ReturnType<typeof move> {
  for (;;) {
    const moved = await move(file, to, killAt);
    if (!moved.lines.join().includes('works on this database')) return moved;
  }
}

/** 0 where there are no tables. */
export const countMoved = async (server: PostgresServer, database: string) =>
  (await server.sql('SELECT count(*)::int AS n FROM smarthost.messages', database).catch(() => [{ n: 0 }]))[0]!['n'];
