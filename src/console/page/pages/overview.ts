/** Whether mail flows, what needs somebody, and what has just happened: in words first. */
import { html } from '../html.ts';
import { useLoad } from '../load.ts';
import { byCommand, factList, failureNote, loadingNote, pageHead, when } from '../parts/basics.ts';
import { t } from '../texts.ts';

type Status = { readonly hostname: string; readonly version: string; readonly startedAt: string };

export function OverviewPage() {
  const { value, failure, again } = useLoad<Status>('/status', { every: 5000 });
  return html`
    ${pageHead(t('page.overview'))} ${failureNote(failure, again)}
    ${
      value
        ? factList([
            [t('overview.relay'), value.hostname],
            [t('overview.version'), value.version],
            [t('overview.up'), when(value.startedAt, 'ago')],
          ])
        : loadingNote()
    }
    ${byCommand('smarthost doctor')}
  `;
}
