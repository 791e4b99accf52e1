/** A mail with a TLS report as Python's standard library reads it: a second opinion that shares no code with ours. */
import { mustRun } from './program.ts';
import { expectTlsReport, type TlsReportDocument } from './tls-report-schema.ts';

const READ = `
import base64, email, gzip, json, sys
from datetime import datetime
from email import policy
m = email.message_from_binary_file(sys.stdin.buffer, policy=policy.default)
parts = list(m.iter_parts())
text = gzip.decompress(parts[1].get_content()).decode('utf-8')
report = json.loads(text)
for name in ('start-datetime', 'end-datetime'):
    assert datetime.strptime(report['date-range'][name], '%Y-%m-%dT%H:%M:%S%z').tzinfo is not None
print(json.dumps({
  'type': m.get_content_type(), 'reportType': m.get_param('report-type'), 'header': {k.lower(): str(v) for k, v in m.items()},
  'parts': [p.get_content_type() for p in parts], 'fileName': parts[1].get_filename(), 'json': text,
  'defects': [repr(d) for p in m.walk() for d in p.defects],
}))
`;

export type ReadTlsReport = {
  readonly type: string;
  readonly reportType: string;
  /** Names in lower case. */
  readonly header: Readonly<Record<string, string>>;
  readonly parts: readonly string[];
  readonly fileName: string;
  readonly defects: readonly string[];
  readonly report: TlsReportDocument;
};

/** Fails the test where the document in it is not as RFC 8460 wants it. */
export async function readTlsReport(message: Buffer): Promise<ReadTlsReport> {
  const { json, ...rest } = JSON.parse(await mustRun('/usr/bin/python3', ['-c', READ], { input: message }));
  return { ...rest, report: expectTlsReport(json) };
}
