/** Reads a message with Python's own parser, which shares no code with ours. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { hasCommand, requirePeer } from './peers.ts';

export const hasPython = requirePeer('python3', hasCommand('python3'));

/** Header fields in their order, decoded; bodies of leaves decoded; what the parser found wrong. */
export type ParsedPart = {
  readonly type: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly encoding: string;
  readonly fields: readonly (readonly [string, string])[];
  readonly defects: readonly string[];
  readonly body: string | null;
  readonly parts: readonly ParsedPart[];
};

const SCRIPT = `
import sys, json, base64
from email import message_from_bytes, policy
def part(m):
    multi = m.is_multipart()
    return {
        'type': m.get_content_type(),
        'parameters': dict(m.get_params(failobj=[])[1:]) if m.get('Content-Type') else {},
        'encoding': str(m.get('Content-Transfer-Encoding', '')),
        'fields': [[k, str(v)] for k, v in m.items()],
        'defects': [repr(d) for d in m.defects],
        'body': None if multi else base64.b64encode(m.get_payload(decode=True) or b'').decode(),
        'parts': [part(p) for p in m.get_payload()] if multi else [],
    }
for line in sys.stdin:
    print(json.dumps(part(message_from_bytes(base64.b64decode(line), policy=policy.SMTP))), flush=True)
`;

type Answer = PromiseWithResolvers<string>;

/** One Python for all messages of a file: its start costs more than a hundred of them. It ends with its input, and so with us. */
function startParser(): (bytes: Uint8Array) => Promise<string> {
  const waiting: Answer[] = [];
  const child = spawn('python3', ['-c', SCRIPT], { stdio: ['pipe', 'pipe', 'inherit'] });
  createInterface(child.stdout).on('line', (line) => waiting.shift()?.resolve(line));
  child.once('close', (code) => {
    for (const { reject } of waiting) reject(new Error(`python3 ended with ${code}`));
  });
  child.stdin.on('error', () => {}); // its end tells
  return (bytes) => {
    const answer: Answer = Promise.withResolvers();
    waiting.push(answer);
    child.stdin.write(`${Buffer.from(bytes).toString('base64')}\n`);
    return answer.promise;
  };
}

let ask: ReturnType<typeof startParser> | undefined;

export async function parseMail(bytes: Uint8Array): Promise<ParsedPart> {
  ask ??= startParser();
  return JSON.parse(await ask(bytes), (key, value: unknown) =>
    key === 'body' && typeof value === 'string' ? Buffer.from(value, 'base64').toString() : value,
  ) as ParsedPart;
}

export function field(part: ParsedPart, name: string): string | undefined {
  return part.fields.find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1];
}
