import { execFileSync } from 'node:child_process';
import { closeSync, constants, mkdtempSync, openSync, readSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { createOutput } from '../../../src/system/log-output.ts';

/** A pipe that never blocks: both of its ends are one descriptor. */
function openPipe() {
  const folder = mkdtempSync(join(tmpdir(), 'log-output-'));
  execFileSync('mkfifo', [join(folder, 'pipe')]);
  const pipe = openSync(join(folder, 'pipe'), constants.O_RDWR | constants.O_NONBLOCK);
  onTestFinished(() => {
    closeSync(pipe);
    rmSync(folder, { recursive: true });
  });
  return pipe;
}

function drain(pipe: number): string {
  const buffer = Buffer.alloc(1024 * 1024);
  return buffer.toString('utf8', 0, readSync(pipe, buffer));
}

const lines = (name: string, count: number) => Array.from({ length: count }, (_, i) => `{"event":"${name}","n":${i}}\n`).join('');

test('lines that a full pipe does not take are dropped whole and counted, with only one wait', () => {
  const pipe = openPipe();
  const resumed: number[] = [];
  const write = createOutput(pipe, { patience: 200, onResumed: (lost) => resumed.push(lost) });
  write(lines('first', 5000));
  for (let i = 0; i < 1000; i++) write(lines('lost', 1)); // a wait for each would be 200 s
  expect(resumed).toEqual([]);
  const before = drain(pipe);
  write(lines('after', 2));
  const text = before + drain(pipe);
  const read = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { event: string; n: number });
  const firsts = read.filter(({ event }) => event === 'first').length;
  expect(read.slice(firsts)).toEqual([
    { event: 'after', n: 0 },
    { event: 'after', n: 1 },
  ]);
  expect(resumed).toEqual([5000 - firsts + 1000]);
  write(lines('last', 1));
  expect(drain(pipe)).toBe(lines('last', 1));
  expect(resumed).toHaveLength(1);
});

test('a closed descriptor causes neither a wait nor an error', () => {
  const write = createOutput(9999, { patience: 60_000 });
  expect(() => write(lines('gone', 3))).not.toThrow();
});
