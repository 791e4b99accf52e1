/** A delivery status notification: multipart/report of RFC 6522, RFC 3464; in other scripts by RFC 6533. The one file with nodemailer's composer. */
import MimeNode from 'nodemailer/lib/mime-node';
import type { Reportable, ReportSubject } from '../queue/queue.ts';
import { isAscii } from '../smtp/text.ts';
import { type DsnAction, formatStatus } from './dsn-fields.ts';
import { formatText } from './dsn-text.ts';
import type { Original } from './original.ts';

type DsnRequest = {
  readonly hostname: string;
  readonly about: ReportSubject;
  readonly changes: readonly Reportable[];
  readonly action: DsnAction;
  /** Absent: it could not be read. */
  readonly original: Original | undefined;
  readonly now: number;
};

/** The content of the report with the fields that describe it, CRLF throughout. */
export async function composeDsn(request: DsnRequest): Promise<Buffer> {
  const { about, changes, original } = request;
  const global = ![about.reversePath, ...changes.map(({ recipient }) => recipient.address)].every(isAscii);
  // Nothing here names a file or URL; the options make sure that nothing ever does.
  const root = new MimeNode('multipart/mixed', { disableFileAccess: true, disableUrlAccess: true });
  const report = root.createChild('multipart/report; report-type=delivery-status');
  report.createChild('text/plain; charset=utf-8').setContent(formatText(request));
  addStatus(report, formatStatus({ ...request, global }), global);
  if (original !== undefined) addOriginal(report, original);
  // The composer rewrites addresses in header fields (quoted local parts, A-labels), so it makes the content only.
  return report.build();
}

/** The UTF-8 form is encoded, so that it passes servers which know ASCII alone: RFC 6533 §4. */
function addStatus(report: MimeNode, status: string, global: boolean): void {
  const part = report.createChild(global ? 'message/global-delivery-status; charset=utf-8' : 'message/delivery-status');
  if (global) part.setHeader('Content-Transfer-Encoding', 'base64');
  part.setContent(Buffer.from(status));
}

/** A whole message must not be encoded (RFC 2046 §5.2.1), unless its header needs UTF-8: then it is message/global (RFC 6532 §3.7). */
function addOriginal(report: MimeNode, { kind, bytes }: Original): void {
  const header = kind === 'header' ? bytes : bytes.subarray(0, bytes.indexOf('\r\n\r\n') + 2);
  const global = !isAscii(header.toString('latin1'));
  if (kind === 'header') {
    const part = report.createChild(global ? 'message/global-headers; charset=utf-8' : 'text/rfc822-headers');
    if (global) part.setHeader('Content-Transfer-Encoding', 'base64');
    part.setContent(global ? Buffer.from(bytes) : bytes.toString('latin1'));
    return;
  }
  const part = report.createChild(global ? 'message/global' : 'message/rfc822');
  const encoding = global ? 'base64' : isAscii(bytes.toString('latin1')) ? '7bit' : '8bit';
  part.setHeader('Content-Transfer-Encoding', encoding);
  part.setContent(Buffer.from(bytes));
}
