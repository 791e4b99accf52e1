/** Packs reports as receivers send them: zip files and mails. */
import { crc32, deflateRawSync } from 'node:zlib';

type Entry = { readonly name?: string; readonly data: Buffer; readonly stored?: boolean; readonly encrypted?: boolean };

/** As most reporters write it: sizes only in the directory, after the data (flag 8). */
export function zip(...entries: readonly Entry[]): Buffer {
  const files: Buffer[] = [];
  const directory: Buffer[] = [];
  let offset = 0;
  for (const { name = 'report.xml', data, stored = false, encrypted = false } of entries) {
    const packed = stored ? data : deflateRawSync(data);
    const method = stored ? 0 : 8;
    const flags = 8 + (encrypted ? 1 : 0);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(20, 4);
    local.writeUInt16LE(flags, 6);
    local.writeUInt16LE(method, 8);
    local.writeUInt16LE(name.length, 26);
    const descriptor = Buffer.alloc(16);
    descriptor.writeUInt32LE(0x08074b50, 0);
    descriptor.writeUInt32LE(crc32(data), 4);
    descriptor.writeUInt32LE(packed.length, 8);
    descriptor.writeUInt32LE(data.length, 12);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt16LE(flags, 8);
    central.writeUInt16LE(method, 10);
    descriptor.copy(central, 16, 4);
    central.writeUInt16LE(name.length, 28);
    central.writeUInt32LE(offset, 42);
    const file = Buffer.concat([local, Buffer.from(name), packed, descriptor]);
    offset += file.length;
    files.push(file);
    directory.push(central, Buffer.from(name));
  }
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(entries.length, 8);
  end.writeUInt16LE(entries.length, 10);
  end.writeUInt32LE(Buffer.concat(directory).length, 12);
  end.writeUInt32LE(offset, 16);
  return Buffer.concat([...files, ...directory, end]);
}

/** A mail with a text and one attachment. */
export function mailWith(attachment: Buffer, type = 'application/gzip', name = 'report.xml.gz'): Buffer {
  return Buffer.from(
    [
      'Received: from receiver.example by mx.example.org; Wed, 25 Nov 2026 03:00:00 +0000',
      'From: reports@receiver.example',
      'Subject: Report domain: example.org Submitter: receiver.example',
      'MIME-Version: 1.0',
      'Content-Type: multipart/mixed;',
      '\tboundary="=_b1"',
      '',
      'This is a multipart.',
      '--=_b1',
      'Content-Type: text/html',
      '',
      '<html><body>A report is attached.</body></html>',
      '--=_b1',
      `Content-Type: ${type}; name="${name}"`,
      'Content-Transfer-Encoding: base64',
      `Content-Disposition: attachment; filename="${name}"`,
      '',
      ...(attachment.toString('base64').match(/.{1,76}/g) ?? []),
      '--=_b1--',
      '',
    ].join('\r\n'),
  );
}

/** A complaint as receivers write it, RFC 5965 §B.2. */
export function complaintMail(signature = 'd=example.org; s=s1', source = '192.0.2.25'): Buffer {
  return Buffer.from(
    [
      'From: <feedback@arf.receiver.example>',
      'Subject: FW: Your invoice',
      'MIME-Version: 1.0',
      'Content-Type: multipart/report; report-type=feedback-report; boundary="part1"',
      '',
      '--part1',
      'Content-Type: text/plain',
      '',
      'This is an email abuse report.',
      '--part1',
      'Content-Type: message/feedback-report',
      '',
      'Feedback-Type: abuse',
      'User-Agent: Receiver-Feedback/1.0',
      'Version: 1',
      'Original-Mail-From: <news@example.org>',
      'Original-Rcpt-To: <redacted@receiver.example>',
      'Arrival-Date: Wed, 25 Nov 2026 14:00:00 +0000',
      `Source-IP: ${source}`,
      'Reported-Domain: Example.org',
      '',
      '--part1',
      'Content-Type: message/rfc822',
      'Content-Disposition: inline',
      '',
      'Received: from relay.example.net by receiver.example',
      `DKIM-Signature: v=1; a=rsa-sha256; ${signature};`,
      '\th=from:subject; bh=AAAA; b=BBBB',
      'From: <news@example.org>',
      'Subject: Your invoice',
      'Message-ID: <1h8m2k9x70abc.1@relay.example.net>',
      '',
      'Text',
      '--part1--',
      '',
    ].join('\r\n'),
  );
}
