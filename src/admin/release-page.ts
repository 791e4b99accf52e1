/**
 * The page of a one-time link from a notice. Programs that look for malware follow links in mail, so that only the form on the page
 * releases something, and only once.
 */

/** A login, or one sender of a mail server. */
export type LinkedLogin = { readonly name: string; readonly sender: string | null };

export const RELEASE_PAGE_POLICY = "default-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/** HTML. `asked`: the form. `gone`: the link is used, too old, or not ours. */
export function releasePage(what: 'asked' | 'released' | 'gone', login?: LinkedLogin): string {
  const who = login === undefined ? '' : escapedText(login.sender === null ? login.name : `${login.sender} at ${login.name}`);
  const titles = { asked: 'Release held mail', released: 'Released', gone: 'Nothing to release' };
  const bodies = {
    asked: `<p>Mail of <b>${who}</b> is held because of unusual behaviour. When it is released, it leaves slowly at first, and the thresholds
are higher for 30 days. If its password is stolen, do not release it: <code>smarthost user release --discard</code> removes what is held.</p>
<form method="post"><button>Release the mail of ${who}</button></form>`,
    released: `<p>Mail of <b>${who}</b> leaves again, what was held slowly at first.</p>`,
    gone: '<p>This link was used, is older than a day, or its mail is not held any more. <code>smarthost user list</code> shows what is held.</p>',
  };
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>smarthost: ${titles[what]}</title></head>
<body><h1>${titles[what]}</h1>
${bodies[what]}
</body></html>
`;
}

function escapedText(text: string): string {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
