/** `smarthost report read` and `report domains`: reports that the operator has received. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type CommandBench, createCommandBench } from '../support/command.ts';
import { complaintMail, mailWith } from '../unit/feedback/wrap.ts';

let bench: CommandBench;
beforeEach(async () => {
  bench = await createCommandBench('delivery: { source: [192.0.2.25] }\n');
});
afterEach(() => bench.close());

const sample = (name: string) => readFile(new URL(`../unit/feedback/samples/${name}.xml`, import.meta.url));
const write = async (name: string, bytes: Buffer | string) => writeFile(join(bench.folder, name), bytes);

describe('report read', () => {
  test('sums the reports, marks ours by address and key, and says who else sends', async () => {
    await bench.run(['domain', 'add', 'example.org', '--selector', 's1']);
    await write('google.xml.gz', gzipSync(await sample('google')));
    await write('yahoo.eml', mailWith(gzipSync(await sample('yahoo'))));
    const { code, out, err } = await bench.run(['report', 'read', 'google.xml.gz', 'yahoo.eml']);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(out).toBe(
      `reports:  2
from:     Yahoo, google.com
time:     2026-11-25T00:00Z to 2026-11-25T23:59Z
policy:   example.org p=quarantine, example.org p=quarantine sp=quarantine np=quarantine
messages: 55

DOMAIN       SOURCE         SENDER     DMARC  DKIM  SPF   DISPOSITION  MESSAGES  VERIFIED
example.org  198.51.100.77  other      fail   fail  fail  quarantine   9         spf bounce.bulk.example
example.org  2001:db8::19   passed on  pass   pass  fail  none         2         dkim example.org, spf list.example.net
example.org  192.0.2.25     us         pass   pass  pass  none         44        dkim example.org, spf example.org

example.org: 9 messages from 1 address of others fail: a service that you forgot, or a forger.
`,
    );
  });

  test('counts a report once that is there twice, as a file and as a mail', async () => {
    await write('a.xml', await sample('yahoo'));
    await write('b.eml', mailWith(gzipSync(await sample('yahoo'))));
    const found = await bench.json('report', 'read', 'a.xml', 'b.eml');
    expect(found.sums).toMatchObject([{ source: '192.0.2.25', messages: 3 }]);
    expect(found.reports).toMatchObject([{ repeated: false }, { repeated: true, messages: 3 }]);
  });

  test('reads stdin, and shows a complaint with the command that finds its sender', async () => {
    const { code, out } = await bench.run(['report', 'read', '-'], { stdin: complaintMail().toString() });
    expect(code).toBe(0);
    expect(out).toMatch(/^complaint: +abuse\nreported by: +Receiver-Feedback\/1\.0\nmail: +yours: /);
    expect(out).toContain("smarthost trace '<1h8m2k9x70abc.1@relay.example.net>'");
  });

  test('says which file is refused and why, counts nothing of it, reads the others, and fails', async () => {
    await write('bad.xml', (await sample('google')).subarray(0, -40));
    await write('good.xml', await sample('yahoo'));
    const ran = await bench.run(['report', 'read', 'bad.xml', 'good.xml']);
    expect(ran).toMatchObject({ code: 1, out: expect.stringContaining('messages: 3\n') });
    expect(ran.err).toBe(
      'bad.xml: The XML ends too early: the report was not copied or downloaded whole.\n1 file of 2 was not read.\n',
    );
  });

  test('reads no more of a file than a report may have', async () => {
    await write('large.xml', Buffer.alloc(30 * 1024 * 1024, ' '));
    expect((await bench.run(['report', 'read', 'large.xml'])).err).toContain('larger than 25 MiB');
  });

  test('text of a report cannot move the cursor of a terminal', async () => {
    const text = (await sample('yahoo')).toString().replace('>Yahoo<', '>Ya\u009b2Jhoo<').replace('s1<', 's\u202e1<');
    await write('a.xml', text);
    expect((await bench.run(['report', 'read', 'a.xml'])).out).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
  });

  test('works without a relay: ours is what --address says', async () => {
    const { folder, run, close } = await createCommandBench('-');
    try {
      await writeFile(join(folder, 'a.xml'), await sample('yahoo'));
      const ran = await run(['report', 'read', 'a.xml', '--address', '192.0.2.25', '--json']);
      expect(JSON.parse(ran.out).sums).toMatchObject([{ sender: 'us' }]);
      expect(ran.err).toMatch(/^There is no configuration here/);
    } finally {
      await close();
    }
  });

  test('refuses a wrong command line with a sentence', async () => {
    await mkdir(join(bench.folder, 'reports'));
    expect(await bench.run(['report', 'read', 'none.xml'])).toMatchObject({
      code: 1,
      err: expect.stringMatching(/none\.xml cannot be opened \(ENOENT\)/),
    });
    expect(await bench.run(['report', 'read', 'reports'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('reports is a folder'),
    });
    expect(await bench.run(['report', 'read', '-', '--address', 'me'])).toMatchObject({
      code: 2,
      err: expect.stringContaining('--address is an IP address'),
    });
  });
});

describe('report domains', () => {
  test('shows the sums of all reports that were read with --store, each once, and who else sends', async () => {
    await bench.run(['domain', 'add', 'example.org', '--selector', 's1']);
    await write('google.xml.gz', gzipSync(await sample('google')));
    await write('yahoo.eml', mailWith(gzipSync(await sample('yahoo'))));
    const first = await bench.run(['report', 'read', '--store', 'google.xml.gz']);
    expect(first.out).toContain('stored:   1 report\n');
    const again = await bench.json('report', 'read', '--store', 'google.xml.gz', 'yahoo.eml');
    expect(again.stored).toBe(1);
    expect(await bench.run(['report', 'domains', 'example.org', '--days', '9999'])).toMatchObject({
      code: 0,
      err: '',
      out: `DOMAIN       SOURCE         SENDER     DMARC  DKIM  SPF   DISPOSITION  MESSAGES  VERIFIED
example.org  192.0.2.25     us         pass   pass  pass  none         44        dkim example.org, spf example.org
example.org  198.51.100.77  other      fail   fail  fail  quarantine   9         spf bounce.bulk.example
example.org  2001:db8::19   passed on  pass   pass  fail  none         2         dkim example.org, spf list.example.net

example.org: 9 messages from 1 address of others fail: a service that you forgot, or a forger.
`,
    });
    const { sums } = await bench.json('report', 'domains', '--days', '9999');
    expect(sums).toHaveLength(3);
    expect(sums[0]).toMatchObject({
      sender: 'us',
      dmarc: 'pass',
      messages: 44,
      verified: ['dkim example.org', 'spf example.org'],
    });
  });

  test('says what to do where nothing is stored, and refuses a wrong command line', async () => {
    await write('a.xml', await sample('yahoo'));
    await bench.run(['report', 'read', 'a.xml']);
    expect(await bench.run(['report', 'domains', '--days', '9999'])).toMatchObject({
      code: 1,
      err: expect.stringContaining('`smarthost report read --store FILE` adds some'),
    });
    expect(await bench.run(['report', 'domains', '--days', 'all'])).toMatchObject({ code: 2 });
  });
});
