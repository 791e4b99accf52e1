/** The last lines of the log, from the memory of the relay, the newest first. */
import { useEffect, useRef, useState } from 'preact/hooks';
import { api } from '../api.ts';
import { html } from '../html.ts';
import { asFailure } from '../load.ts';
import { fitsLogFilter, LOG_LEVELS, type LogLine, parseLogLine } from '../log-lines.ts';
import {
  byCommand,
  copyButton,
  emptyNote,
  failureNote,
  loadingNote,
  mark,
  pageHead,
  strange,
  type Tone,
  when,
} from '../parts/basics.ts';
import { filterBar, filterHref, useFilters } from '../parts/filter-bar.ts';
import { useStream } from '../stream.ts';
import { t } from '../texts.ts';
import { pathTo } from '../url.ts';

type SentLine = { readonly seq: number; readonly line: string };

/** As many as the relay keeps. */
const KEPT = 2000;
/** More rows make a browser slow. The rest is one click away. */
const DRAWN = 200;

export function LogPage() {
  const { level, event, find, follow } = useFilters(['level', 'event', 'find', 'follow']);
  const { lines, failure, state, skipped, again } = useLog(follow === 'yes');
  const [drawn, draw] = useState(DRAWN);
  const rows = lines?.filter((line) => fitsLogFilter(line, { level, event, find }));
  const events = [...new Set(lines?.map((line) => line.event))].sort();
  const isFollowing = follow === 'yes';
  return html`
    ${pageHead(t('page.log'), html`<a class="button" href=${filterHref({ follow: isFollowing ? null : 'yes' })} aria-current=${isFollowing ? 'true' : undefined}>${isFollowing ? '● ' : ''}${t('log.follow')}</a>`)}
    <p class="about">${t('log.intro')}</p>
    ${filterBar([
      {
        ...{ name: 'level', label: t('log.level'), kind: 'choice' },
        choices: [['', t('log.level.any')], ...LOG_LEVELS.map((one) => [one, one] as const)],
      },
      {
        name: 'event',
        label: t('log.event'),
        kind: 'choice',
        choices: [['', t('log.event.any')], ...events.map((one) => [one, one] as const)],
      },
      { name: 'find', label: t('log.text') },
    ])}
    ${failureNote(failure, again)}
    ${lines === undefined && failure === undefined && loadingNote()}
    <p role="status" class="dim">${isFollowing && t(state === 'live' ? 'log.following' : 'log.asking')} ${isFollowing && skipped > 0 && t('log.skipped', { count: skipped })}</p>
    ${rows?.length === 0 && emptyNote(t(lines?.length === 0 ? 'log.empty' : 'log.none'))}
    ${
      rows &&
      rows.length > 0 &&
      html`
      <ol class="log" aria-label=${t('log.lines')}>${rows.slice(0, drawn).map(lineItem)}</ol>
      ${rows.length > drawn && html`<div class="pager"><button onClick=${() => draw(drawn + DRAWN)}>${t('pager.more')}</button></div>`}
    `
    }
    ${byCommand('journalctl -u smarthost -f')}
  `;
}

/** The newest first. A line that comes twice is shown once. */
function useLog(isFollowing: boolean) {
  const [lines, show] = useState<readonly LogLine[]>();
  const [failure, fail] = useState<ReturnType<typeof asFailure>>();
  const [skipped, leaveOut] = useState(0);
  const known = useRef(new Map<number, LogLine>());
  const take = (sent: readonly SentLine[]) => {
    for (const { seq, line } of sent) if (!known.current.has(seq)) known.current.set(seq, parseLogLine(seq, line));
    const kept = [...known.current.values()].sort((a, b) => b.seq - a.seq).slice(0, KEPT);
    known.current = new Map(kept.map((line) => [line.seq, line]));
    show(kept);
  };
  const again = async () => {
    try {
      const { items } = await api.get<{ readonly items: readonly SentLine[] }>('/log', { limit: KEPT });
      const last = items.at(-1);
      // The numbers begin again with the relay.
      if (last !== undefined && (known.current.get(last.seq)?.text ?? last.line) !== last.line) known.current.clear();
      take(items);
      fail(undefined);
    } catch (error) {
      fail(asFailure(error));
    }
  };
  useEffect(() => void again(), []);
  const state = useStream(
    isFollowing ? '/log/live' : null,
    {},
    {
      types: ['lines'],
      hear: (_, data) => {
        const { items, more } = data as { readonly items: readonly SentLine[]; readonly more: number };
        leaveOut(more);
        take(items);
      },
      ask: again,
    },
  );
  return { lines, failure, state, skipped, again };
}

const TONES: Readonly<Record<string, Tone>> = { error: 'bad', warn: 'wait', info: 'plain', debug: 'plain' };

const lineItem = ({
  seq,
  time,
  level,
  event,
  fields,
  text,
}: LogLine) => html`<li key=${seq} data-row="" tabindex="-1" class="level-${level}">
  <span>${when(time)}</span>
  <span>${mark(TONES[level] ?? 'plain', level, level === 'warn' ? '▲' : undefined)}</span>
  <b>${strange(event, 500)}</b>
  <span class="said">${fields.map(([name, value]) => html`<span><span class="dim">${strange(name)}</span> ${name === 'queueId' ? html`<a href=${pathTo('/messages', value)}>${strange(value)}</a>` : strange(value, 400)}</span> `)}</span>
  ${copyButton(text)}
</li>`;
