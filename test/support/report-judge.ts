/** A delivery status notification as Python's email package reads it: RFC 3462, RFC 3464. */
import { mustRun } from './program.ts';

/** Field names are in lower case. */
export type Fields = Readonly<Record<string, string>>;

export type ReadReport = {
  readonly contentType: string;
  readonly reportType: string;
  readonly header: Fields;
  /** Content types of its parts. */
  readonly parts: readonly string[];
  readonly perMessage: Fields;
  readonly perRecipient: readonly Fields[];
  /** Header of the message it is about. */
  readonly original: Fields;
  /** What the parser found wrong, anywhere. */
  readonly defects: readonly string[];
};

const READ = `
import email, json, sys
from email import policy
def fields(m): return {k.lower(): str(v) for k, v in m.items()}
m = email.message_from_binary_file(sys.stdin.buffer, policy=policy.default)
parts = list(m.iter_parts())
blocks = parts[1].get_payload()
third = parts[2]
original = third.get_payload(0) if third.get_content_type() == 'message/rfc822' else email.message_from_string(third.get_content())
print(json.dumps({
  'contentType': m.get_content_type(), 'reportType': m.get_param('report-type'), 'header': fields(m),
  'parts': [p.get_content_type() for p in parts], 'perMessage': fields(blocks[0]),
  'perRecipient': [fields(b) for b in blocks[1:] if len(b)], 'original': fields(original),
  'defects': [repr(d) for p in m.walk() for d in p.defects],
}))
`;

export async function readReport(message: Buffer): Promise<ReadReport> {
  return JSON.parse(await mustRun('python3', ['-c', READ], { input: message })) as ReadReport;
}
