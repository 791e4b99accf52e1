/** Verifies DKIM with foreign code: dkimpy and Mail::DKIM, each signature of a message alone (RFC 6376, RFC 8463). */
import { requirePeer, succeeds } from './peers.ts';
import { mustRun } from './program.ts';

/** TXT records by name, for the DNS of the verifiers. */
export type TxtRecords = Readonly<Record<string, string>>;

/** What the relay asks to publish, as the judges look it up. */
export function txtRecords(records: readonly { readonly name: string; readonly value: string }[]): TxtRecords {
  return Object.fromEntries(records.map(({ name, value }) => [name.replace(/\.$/, ''), value]));
}

/** The records as zone entries of the small DNS: a string of a TXT record holds 255 octets (RFC 1035 §3.3). */
export function publish(dns: { set(name: string, entry: { TXT: readonly string[][] }): void }, records: TxtRecords): void {
  for (const [name, value] of Object.entries(records)) dns.set(name, { TXT: [value.match(/.{1,255}/g) ?? []] });
}

/** Debian's own Python has Debian's modules, whatever else stands first in PATH. */
const PYTHON =
  ['/usr/bin/python3', 'python3'].find((python) => succeeds(python, ['-c', 'import dkim, nacl'])) ?? '/usr/bin/python3';

export const hasDkimpy = () => requirePeer('dkimpy', succeeds(PYTHON, ['-c', 'import dkim, nacl']));
export const hasMailDkim = () => requirePeer('Mail::DKIM', succeeds('perl', ['-MMail::DKIM::Verifier', '-MNet::DNS', '-e', '1']));

/** The message on stdin; prints one line a signature: "algorithm domain pass|fail". */
const DKIMPY = `
import sys, json, dkim
records = json.loads(sys.argv[1])
def txt(name, timeout=5):
    return records.get(name.decode().rstrip('.').lower(), '').encode() or None
message = sys.stdin.buffer.read()
judge = dkim.DKIM(message)
count = len([1 for name, value in judge.headers if name.lower() == b'dkim-signature'])
for i in range(count):
    one = dkim.DKIM(message)
    try: passed = one.verify(i, dnsfunc=txt)
    except dkim.DKIMException as e: passed = False; print(e, file=sys.stderr)
    fields = one.signature_fields
    print(fields[b'a'].decode(), fields[b'd'].decode(), 'pass' if passed else 'fail')
`;

/** As above. Mail::DKIM asks a resolver: this one answers from the records. */
const MAIL_DKIM = `
use strict; use JSON::PP; use Net::DNS; use Mail::DKIM::Verifier; use Mail::DKIM::DNS;
package Records; sub new { bless $_[1], $_[0] }
sub errorstring { '' } sub udp_timeout {} sub tcp_timeout {}
sub send { my ($self, $name, $type) = @_;
  my $packet = Net::DNS::Packet->new($name, $type);
  my $text = $self->{lc $name};
  $packet->push(answer => Net::DNS::RR->new(owner => $name, type => 'TXT', ttl => 60, txtdata => [$text =~ /.{1,255}/gs])) if defined $text;
  return $packet; }
*query = \\&send;
package main;
Mail::DKIM::DNS::resolver(Records->new(decode_json($ARGV[0])));
binmode STDIN;
my $judge = Mail::DKIM::Verifier->new;
while (<STDIN>) { s/\\r?\\n$//; $judge->PRINT("$_\\015\\012") }
$judge->CLOSE;
printf "%s %s %s\\n", $_->algorithm, $_->domain, $_->result for $judge->signatures;
`;

/** @returns one line a signature: `rsa-sha256 sender.test pass` */
export async function judgeByDkimpy(message: Buffer, records: TxtRecords): Promise<string[]> {
  return lines(await mustRun(PYTHON, ['-c', DKIMPY, JSON.stringify(records)], { input: message }));
}

/** As `judgeByDkimpy`. */
export async function judgeByMailDkim(message: Buffer, records: TxtRecords): Promise<string[]> {
  return lines(await mustRun('perl', ['-e', MAIL_DKIM, JSON.stringify(records)], { input: message }));
}

function lines(output: string): string[] {
  return output
    .split('\n')
    .filter((line) => line !== '')
    .sort();
}
