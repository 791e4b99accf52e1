/** The envelope of a message: RFC 5321 §2.3.1, with the parameters of RFC 3461, 6152, 6531 and 8689. */

/** When the sender wants a report about a recipient: RFC 3461 §4.1. Absent: failure and delay. */
export type Notify = 'NEVER' | 'SUCCESS' | 'FAILURE' | 'DELAY';

/** One RCPT TO. */
export type EnvelopeRecipient = {
  /** `local-part@domain`: the local part in its canonical spelling, the domain as lower-case A-labels. */
  readonly address: string;
  readonly notify?: readonly Notify[];
  /** ORCPT as received and checked, still in xtext: `rfc822;user+2Btag@example.org`. RFC 3461 §4.2. */
  readonly orcpt?: string;
};

/** One MAIL FROM and its RCPT TO. */
export type Envelope = {
  /** `local-part@domain`, or the empty string for the null reverse-path. */
  readonly reversePath: string;
  readonly recipients: readonly EnvelopeRecipient[];
  readonly body: '7BIT' | '8BITMIME';
  /** True if MAIL had SMTPUTF8. Delivery decides by the content whether it is needed. */
  readonly smtpUtf8: boolean;
  readonly ret?: 'FULL' | 'HDRS';
  /** ENVID as received and checked, still in xtext. RFC 3461 §4.4. */
  readonly envid?: string;
  /** REQUIRETLS was given: nobody may pass the message on without verified TLS. RFC 8689 §2. */
  readonly requireTls?: boolean;
};

/** The domain of an address: everything after its last `@`. */
export function domainOf(address: string): string {
  return address.slice(address.lastIndexOf('@') + 1);
}

/** The local part of an address: everything before its last `@`. */
export function localPartOf(address: string): string {
  return address.slice(0, Math.max(0, address.lastIndexOf('@')));
}
