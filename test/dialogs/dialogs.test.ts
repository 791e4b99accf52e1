/** Replays the conversations of this folder; README.md says how they are written. */
import { readdirSync, readFileSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { RawClient } from '../support/raw-client.ts';
import { type Rig, startRig } from '../support/submission-rig.ts';

type Step =
  | { readonly kind: 'send'; readonly bytes: Buffer }
  | { readonly kind: 'expect'; readonly line: string }
  | { readonly kind: 'tls' | 'close' }
  | { readonly kind: 'queued'; readonly count: number }
  | { readonly kind: 'text'; readonly text: string };

type Dialog = { readonly port: number; readonly mailServer: boolean; readonly steps: readonly Step[] };

const FOLDER = import.meta.dirname;
const ESCAPES: Readonly<Record<string, string>> = { r: '\r', n: '\n', t: '\t', 0: '\0', '\\': '\\' };
const bytesOf = (text: string) =>
  text.replace(/\\(?:x([0-9a-f]{2})|(.))/gi, (_, hex?: string, one?: string) =>
    hex === undefined ? (ESCAPES[one!] ?? one!) : String.fromCharCode(Number.parseInt(hex, 16)),
  );

function parse(file: string): Dialog {
  const steps: Step[] = [];
  let port = 0;
  let mailServer = false;
  for (const line of readFileSync(`${FOLDER}/${file}`, 'utf8').split('\n')) {
    const [, word = '', rest = ''] = /^(S:|C:|C-|[a-z]+) ?(.*)$/.exec(line) ?? [];
    if (word === 'port') port = Number(rest);
    else if (word === 'user') mailServer = rest === 'mail-server';
    else if (word === 'S:') steps.push({ kind: 'expect', line: rest });
    else if (word === 'C:') steps.push({ kind: 'send', bytes: Buffer.from(`${bytesOf(rest)}\r\n`, 'latin1') });
    else if (word === 'C-') steps.push({ kind: 'send', bytes: Buffer.from(bytesOf(rest), 'latin1') });
    else if (word === 'tls' || word === 'close') steps.push({ kind: word });
    else if (word === 'queued') steps.push({ kind: 'queued', count: Number(rest) });
    else if (word === 'text') steps.push({ kind: 'text', text: bytesOf(rest) });
    else if (line !== '' && !line.startsWith('#')) throw new Error(`${file}: ${line}`);
  }
  return { port, mailServer, steps };
}

let rig: Rig;
afterEach(() => rig.close());

async function replay({ port, mailServer, steps }: Dialog, send: (client: RawClient, bytes: Buffer) => Promise<void>) {
  rig = await startRig({ credential: { mailServer } });
  const client = port === 465 ? await RawClient.tls(rig.port('submissions')) : RawClient.clear(rig.port('submission'));
  let heard: string[] = [];
  let said: Buffer[] = [];
  for (const step of [...steps, { kind: 'end' } as const]) {
    if (step.kind === 'send') {
      said.push(step.bytes);
      continue;
    }
    if (said.length > 0) await send(client, Buffer.concat(said));
    said = [];
    if (step.kind === 'expect') {
      if (heard.length === 0) heard = (await client.reply()).split('\n');
      const line = heard.shift()!;
      if (step.line.endsWith('*')) expect(line.startsWith(step.line.slice(0, -1)), `${line} instead of ${step.line}`).toBe(true);
      else expect(line).toBe(step.line);
      continue;
    }
    expect(heard).toEqual([]);
    if (step.kind === 'tls') await client.upgrade();
    if (step.kind === 'close') await client.closed();
    if (step.kind === 'queued') expect(rig.queued).toHaveLength(step.count);
    if (step.kind === 'text') expect(rig.queued.at(-1)?.text).toBe(step.text);
  }
  expect(client.unread).toBe('');
  client.close();
}

/** Each byte leaves by itself: as its own TLS record, or its own segment. */
async function byteByByte(client: RawClient, bytes: Buffer): Promise<void> {
  for (let i = 0; i < bytes.length; i++) {
    await new Promise<void>((resolve) => client.socket.write(bytes.subarray(i, i + 1), () => resolve()));
  }
}

describe.each(readdirSync(FOLDER).filter((file) => file.endsWith('.txt')))('%s', (file) => {
  const dialog = parse(file);
  test('in one piece', () => replay(dialog, async (client, bytes) => client.send(bytes)));
  test('byte by byte', () => replay(dialog, byteByByte));
});
