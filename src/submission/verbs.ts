/** The verb of a refused line, as the log may show it. */

/** What we execute, what other servers know, and what comes from browsers. */
const KNOWN = new Set(
  'EHLO HELO STARTTLS AUTH MAIL RCPT DATA RSET NOOP VRFY QUIT EXPN HELP BDAT ETRN TURN ATRN SEND SOML SAML XCLIENT XFORWARD PROXY GET POST PUT HEAD DELETE OPTIONS CONNECT TRACE PATCH PRI'.split(
    ' ',
  ),
);

/** Empty for an unknown verb: after a refused AUTH the "verb" may be a password, which no log may hold. */
export function loggedVerb(verb: string): string {
  return KNOWN.has(verb) ? verb : '';
}
