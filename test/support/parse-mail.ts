/** A message as Python's own parser reads it: an opinion that shares no code with ours. */
import { execFileSync } from 'node:child_process';
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
print(json.dumps(part(message_from_bytes(sys.stdin.buffer.read(), policy=policy.SMTP))))
`;

export function parseMail(bytes: Uint8Array): ParsedPart {
  const output = execFileSync('python3', ['-c', SCRIPT], { input: bytes, timeout: 20_000, maxBuffer: 64 * 1024 * 1024 });
  return JSON.parse(output.toString(), (key, value: unknown) =>
    key === 'body' && typeof value === 'string' ? Buffer.from(value, 'base64').toString() : value,
  ) as ParsedPart;
}

export function field(part: ParsedPart, name: string): string | undefined {
  return part.fields.find(([key]) => key.toLowerCase() === name.toLowerCase())?.[1];
}
