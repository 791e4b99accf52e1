/**
 * General rules: what a refusal is about, by its words, where no line of the file of replies fits. Each rule is one search without nested
 * repeats over a bounded text, so its time is bounded too. The first rule that fits counts: what is certain stands before what is vague.
 */
import { type GeneralRule, LISTS, near, OUR_HOST, REFUSED, REFUSED_IP, type RuleText, words } from './rule-parts.ts';

const is4 = ({ digit }: RuleText) => digit === 4;
const is5 = ({ digit }: RuleText) => digit === 5;
const isData = ({ phase }: RuleText) => phase === 'data';

export const GENERAL_RULES: readonly GeneralRule[] = [
  {
    class: 'loop',
    name: 'a loop',
    says: words(
      '(?:mail |message |email |routing |forwarding )?loop(?:s|ing|ed)?\\b|too many (?:hops|received)|hop count',
      'max(?:imum)? hops?|exceeded \\d+ hops|(?:maximum|number of) (?:received|hops)|delivered-to line|mailloop|boucle',
    ),
    unless: words('loopback|sender address'),
  },
  {
    class: 'upstream-quota',
    name: 'a limit of our account',
    needs: 'limit|quota|exceed|credit|account|suspen|sent|activity|trial|free tier|billing|subscription|verified|sandbox|max',
    says: words(
      `(?:exceed|reach|over|above|hit)${near(40)}\\b(?:sending|relay|relaying|daily|hourly|monthly|outgoing|outbound|plan|submission|your account|mail sent|allowed messages)\\b${near(30)}\\b(?:limit|quota|allowance|threshold)`,
      `(?:sending|relay|relaying|outgoing|outbound|message sending|submission|smtp|account|credential)s? (?:rate |message |mail )?(?:limit|quota)${near(40)}(?:exceed|reach)`,
      'max(?:imum)? (?:defers|emails|e-?mails|messages) (?:and|per (?:hour|day))',
      'daily (?:message |sending |user )?(?:quota|limit)|credits? (?:exhausted|used|exceeded)',
      '(?:mail|message|e-?mail) send(?:ing)? limit',
      `(?:your|sender'?s?) account${near(40)}(?:suspend|disabled|limit|exceed|blocked)`,
      'outgoing mail(?: from)?.{0,60}suspen',
      'you have (?:sent|exceeded)[^;]{0,50}(?:per day|per hour|limit|quota|today|allowed)',
      '(?:unusual|suspicious) sending activity',
      'trial account|free tier|billing|subscription (?:expired|inactive)|domain (?:is )?not verified|not verified\\.? the following|sandbox',
    ),
    unless: words('recipient|receiv|mailbox|ip address|your ip|connection|session|unsolicited|size|incoming|concurren'),
  },
  {
    class: 'ipv6-refused',
    name: 'only IPv6 is refused',
    says: /\bipv6\b[^;]{0,80}(?:not (?:accept|support|process|allow|permit)|guidelines|reverse|\bptr\b|refus|reject|block|must)|(?:not (?:accept|support|process|allow|permit)|refus|reject|block)[^;]{0,60}\bipv6\b/,
    unless: words('spf|dkim validation'),
  },
  {
    class: 'greylist',
    name: 'greylisting',
    says: /^(?:please )?(?:try again|retry) later\b[^a-z]*(?:\(tempfail\))?$|gr[ae]y ?-?(?:list|\.rbl)|postgrey|\bgreyed\b|policyd-weight.{0,40}later|sqlgrey|milter-greylist|liste? grise|intente?lo mas tarde.{0,30}grey/,
  },
  {
    class: 'greylist',
    name: 'a delay for who is new',
    when: is4,
    says: words(
      `(?:first|initial) (?:time|contact|attempt|seen|delivery)`,
      `(?:try|retry|resend|come back|send)${near(20)} (?:again )?(?:in|after) (?:about |at least )?(?:\\d+|some|a few|one|five) ?(?:seconds?|secs?|minutes?|mins?|hours?|time)\\b`,
      'delayed (?:for|by) (?:\\d+|anti-?spam|policy)|you (?:are|have been) (?:being )?delayed',
      'not (?:yet )?(?:been )?(?:authori[sz]ed|seen) (?:yet|before)',
      'unknown (?:sender|triplet|client)[^;]{0,40}(?:retry|again|later)',
      `deferred${near(30)}(?:first|unknown|new) (?:sender|contact|connection|ip)`,
      'please (?:try|retry) (?:again )?in (?:a few|\\d)',
      'temporarily (?:rejected|deferred)[^;]{0,40}(?:retry|try) (?:again )?(?:in|after)',
      'early retry|retry too (?:early|soon|fast)|too (?:early|soon)',
    ),
    unless: words(
      'rate|too many|limit|volume|reputation|complain|your ip|spam|concurren|unsolicited|quota|storage|overload|busy|dns',
    ),
  },
  {
    class: 'recipient-rate',
    name: 'one mailbox gets too much',
    needs: 'receiv|rate|too |per hour|frequency|to this recipient',
    says: words(
      `(?:user|recipient|mailbox|account|addressee|inbox|group|destination address)${near(60)}(?:receiving (?:mail|e-?mail|messages) (?:at|too)|too (?:quickly|fast)|rate limit|message rate|(?:messages|mails) (?:they|it) can receive|per hour|(?:receiv|incoming|inbound)\\w*${near(20)}(?:limit|rate|frequency)|is receiving)`,
      'receiv(?:ing|ed)?[^;]{0,30}(?:too (?:many|quickly|fast)|at a rate|rate limit|frequency)',
      'too many (?:messages|mails|e-?mails) (?:to|for) (?:this|the) (?:recipient|user|mailbox|account|address|destination)',
      'frequency of receiving',
      `(?:messages|mails)${near(20)} to this recipient`,
    ),
    unless: words('too many recipients'),
  },
  {
    class: 'rcpt-cap',
    name: 'too many recipients at once',
    needs: 'rcpt|recipient|address|domain|commands|destin|empf',
    says: words(
      'too many (?:rcpts?|recipients|addresses|to commands|domains)\\b',
      `(?:recipients?|rcpts?)${near(20)}(?:limit|maximum|max)\\b`,
      `(?:limit|maximum|max)${near(20)} (?:of )?(?:recipients|rcpts?)\\b`,
      'reduce the number of recipients|recipients? per (?:message|transaction|session|mail|connection|domain)',
      'only one (?:recipient|domain|destination)|multiple (?:recipients|destination domains|domains)',
      'trop de destinataires|zu viele empf',
    ),
    unless: words('thread|size|invalid|unknown|bad|non-?exist|hour|day|minute|time|recent|rejected|short|slow down|rate|second'),
  },
  {
    class: 'session-cap',
    name: 'enough in this session',
    needs: 'connection|session|too many|threshold|limit',
    says: words(
      `(?:messages?|mails?|e-?mails?|transactions?|deliveries|commands)${near(30)}(?:per|on this|in this|in one|in a single|for this|for one|over this) (?:smtp )?(?:connection|session)`,
      'per (?:connection|session)',
      `(?:connection|session)${near(20)}(?:message limit|mail limit|threshold|expired|time (?:limit|exceeded)|too long)`,
      '(?:bad|smtp) commands? limit|too many (?:errors|bad commands|unknown commands|invalid commands|syntax errors|non-?mail commands|protocol errors|transactions|unrecogni|commands|failures|resets)',
      'open a new (?:session|connection)|(?:message|mail) threshold|allowable connection time',
      '(?:maximum|max|limit)[^;]{0,30}(?:this|current) (?:connection|session)',
    ),
    unless: words('too many (?:connections|sessions)|concurrent|your ip|ip address|authentic|blocked'),
  },
  {
    class: 'concurrency',
    name: 'too many sessions at once',
    needs: 'connection|session|client|process|connexion|verbindung|sitzung|conexion|connession',
    says: words(
      'too many (?:smtp |tcp |open |concurrent |simultaneous |parallel |active |incoming |inbound |new )*(?:connections?|sessions?|clients|processes)',
      `(?:concurrent|simultaneous|parallel|open|active)${near(20)}(?:connections?|sessions?)`,
      `connections?${near(20)}(?:limit|maximum|count|quota)\\b(?! per)`,
      `(?:maximum|max|limit)${near(30)} (?:connections|sessions)\\b`,
      'number of (?:concurrent |open )?(?:connections|sessions)',
      'trop de connexions|zu viele (?:verbindungen|sitzungen)|demasiadas conexiones|troppe connessioni',
      'connections? frequency|connection limit',
    ),
    unless: words('(?:connection )?rate|blacklist|messages? (?:sent )?per'),
  },
  {
    class: 'content-forbidden',
    name: 'a virus or a forbidden attachment',
    needs:
      'virus|malware|infect|trojan|ransom|worm|clamav|attach|bann|forbid|prohib|illegal|danger|execut|file|extension|mime|content|potential|archive|zip|macro',
    says: words(
      'virus|malware|infected|trojan|ransomware|worm\\b|clamav|phishing attach',
      `attachments?${near(60)}(?:not (?:allowed|accepted|permitted)|forbidden|prohibit|bann?ed|block|reject|illegal|disallow|dangerous|type|extension|unaccept|executable|suspicious|strip)`,
      '(?:banned|forbidden|prohibited|illegal|dangerous|executable|disallowed|blocked|unacceptable|restricted|suspicious) (?:attachment|file|extension|mime|content type|content-type)',
      `(?:file ?-?(?:type|name|extension)s?|extensions?)${near(40)}(?:not (?:allowed|accepted)|forbid|block|bann?ed|reject|prohibit)`,
      'banned (?:content|name)|potential(?:ly)? (?:security|dangerous|executable)',
      '(?:encrypted|password.protected|protected) (?:archive|attachment|zip)|macro|executable',
    ),
    unless: words('recipient address rejected: user|not infected|spam or virus'),
  },
  {
    class: 'domain-reputation',
    name: 'the domain is mistrusted',
    needs: 'domain|reputation|zrd|fresh15|day old',
    says: words(
      `domain${near(60)}(?:reputation|mistrust|newly (?:registered|observed)|too (?:new|young)|age)\\b`,
      `reputation of (?:the |your )?(?:sending |sender |from |header )?domain`,
      'originating from your (?:dkim |spf |from )?domain|containing one of your url domains',
      '(?:newly|recently) (?:registered|created|observed) domain|zero ?reputation|zrd\\b|fresh15|day old bread',
      `(?:sender|from|mail from|envelope) domain${near(40)}(?:black|block|bann|denied|refus|poor|low)`,
      'your domain (?:has been|is) (?:black|block|bann|den|refus)|domain frequency|no access for this domain',
    ),
    unless: words('dbl|surbl|uribl|blocked using|recipient domain|spamhaus'),
  },
  {
    class: 'domain-listed',
    name: 'a domain in the mail is on a list',
    needs: 'url|uri|link|dbl|surbl|rhsbl|rhbl|domain|site|listed|blocked using|found|nordspam|blocked',
    says: words(
      'dbl\\.spamhaus|spamhaus (?:dbl|domain)|surbl|uribl|ivmuri|multi\\.surbl|multi\\.uribl|rhsbl|rhbl|dbl\\b|domain block ?-?list|domain ?-?bl|uri ?-?bl|nordspam|invaluement uri',
      `(?:urls?|uris?|links?|hyperlinks?|websites?|web sites?|domains? (?:in|within|found|contained|used))${near(60)}(?:black|block|bann|listed|malicious|reject|suspicious|reputation|blacklist|abus|phish|not allowed|spam|prohibit)`,
      `(?:black|block|deny)-?listed ${near(10)}(?:urls?|uris?|links?|domain|website)|(?:blocked|spam|bad|malicious|suspicious|forbidden|unsafe) (?:urls?|uris?|links?)`,
      `(?:sender|from|mailfrom|mail from|envelope|return|helo|header)-? ?(?:address|domain)?${near(30)}(?:listed (?:in|on|at|by)|blocked using|found (?:in|on))`,
      `domain${near(20)} (?:is |was |has been )?(?:black|block)?-?listed`,
    ),
    unless: words('client host|ip ?-?address|your ip|helo domain|your server|sending ip'),
  },
  {
    class: 'ptr-helo',
    name: 'our host name, PTR or EHLO',
    needs:
      'ptr|dns|revers|helo|ehlo|host|name|dynamic|dial|residential|resolv|fqdn|iprev|in-addr|rfc|greeting|identi|introduce|static|access line|forward|forg|home|consumer|generic|end|broadband',
    says: words(
      'ptr\\b|r-?dns|fcrdns|forward[- ]confirmed|in-addr|iprev|no[- ]?ptr',
      `reverse(?:d)?[- ]?(?:dns|lookup|look-up|host ?name|name|resolution|map|record|path dns|address)`,
      'helo\\b|ehlo\\b|bad hostname|hostname lookup|(?<!relaying denied ; )ip name lookup',
      `(?:find|resolve|determine|verify) (?:your |the |a )?(?:client )?(?:reverse )?host ?-?name`,
      `(?:host ?-?name|your (?:server|host)(?:'s)? name)${near(50)}(?:not (?:resolve|match|found|exist|valid)|does ?n.?.?t|mismatch|invalid|generic|forged)`,
      `dynamic(?:ally)?(?: assigned)?[ -](?:ip|address|pool|range|host|dns|dsl|looking|residential|client)|(?:dynamic|residential|dial-?up|home|consumer|generic|end-?user|broadband)[ -](?:ip|address|host|user|customer|connection|line|network|reverse|hostname|name|range|client)`,
      'dial-?up|residential|non-?static|access line',
      `(?:ip|address|host|client)[^;]{0,30} (?:does not|doesn.?t|did not|cannot|could not|not) (?:be )?resolv`,
      'dns check fail|no (?:a )?dns record for (?:your )?(?:ip|host)|dns (?:entry|record)[^;]{0,30}(?:ip|host)',
      'rfc ?1912|forged (?:host|client)|before greeting|fully[- ]qualified host|fqdn',
      'unable to verify (?:the )?identity|introduce|identif(?:y|ies) (?:it|your)self',
    ),
    unless: words('dmarc|recipient domain|spf|dkim|domain of sender'),
  },
  {
    class: 'tls-required',
    name: 'wants TLS',
    needs: 'tls|ssl|encrypt|plain',
    says: words(
      `(?:must|need(?:s|ed)?|require[sd]?|mandatory|enforced?|only)${near(40)}\\b(?:start)?(?:tls|ssl)\\b`,
      `(?:start)?(?:tls|ssl(?:v\\d)?)\\b${near(40)}(?:required|mandatory|needed|must|enforced|first|only|not offered|before)`,
      'encryption (?:is )?(?:required|needed|mandatory|too weak)|requires? (?:an? )?(?:encrypt|secure)\\w*|unencrypted|encrypted (?:connection|session|channel)s?[^;]{0,20}(?:required|only)|not encrypted|plain ?text (?:connection|session)',
    ),
    unless: words('auth\\b|authenticat'),
  },
  {
    class: 'auth-fail',
    name: 'SPF, DKIM, DMARC',
    needs: 'spf|dkim|dmarc|arc|domainkey|sender|adsp|auth|spoof|forg|impersonat|align|not |permitted',
    says: words(
      `(?:spf|dkim|dmarc|arc|domainkeys?|sender ?-?id|sender policy framework|adsp)\\b${near(80)}(?:fail|reject|refus|not (?:pass|align|allow|permit|permitted|match|valid|verif|authori|present|found|aligned)|does ?n.?.?t|did ?n.?.?t|polic|invalid|den(?:y|ied)|unauth|missing|violat|none|misalign|hard|soft|perm|temp ?error|block|bad|broken|error|verif|required|record|mismatch|problem|not)`,
      `(?:fail|reject|refus|pass|due to|polic|invalid|no|without|missing|violat|against|by|per|broken|bad|check)\\w*${near(60)}\\b(?:spf|dkim|dmarc|sender policy framework|domainkeys?)\\b`,
      `unauthenticated (?:e?-?mail|message|sender|mail)|sender is unauthenticated|unauthenticated${near(60)}\\b(?:spf|dkim|dmarc)`,
      `authentication (?:checks?|information|level|results?|requirements?)${near(40)}(?:fail|not|require|miss)|(?:fail|pass|meet)\\w*${near(30)}authentication (?:check|information|level|requirement)`,
      'domain authentication|authenticate with (?:spf|dkim|either)',
      'spoof|forged|impersonat|openspf|not (?:authori[sz]ed|permitted|allowed|designated) to (?:send|use)[^;]{0,30}(?:from|on behalf|for|domain|as)|not a permitted sender|unauthori[sz]ed (?:sender|to send)|isn.?t aligned|not aligned',
    ),
    unless: words('forged (?:host|client|helo)|relay|smtp auth'),
  },
  {
    class: 'auth-required',
    name: 'wants a login',
    needs: 'auth|log|password|credential|pop |check|anmeld|turn on',
    says: words(
      `(?:smtp )?auth(?:entication)?(?: is)? (?:required|needed|mandatory|first)|authentifi?cation requi|requires? authentication|need to authenticate|must (?:be )?authenticat|must (?:log ?in|issue an? auth)|please (?:log ?in|authenticate|turn on smtp auth)|client was not authenticated|not authenticated to|log ?in (?:first|required)|authenticat\\w* (?:before|first|credentials|failed|unsuccessful|data)|invalid (?:credentials|login|password)|(?:username|password)[^;]{0,30}(?:not accepted|incorrect|invalid)|pop before|check(?:ed)? (?:your )?mail first|anmeld|turn on smtp`,
    ),
    unless: words(
      'delivery restriction|sendernotauthenticated\\w*|resolver\\.rst|(?:to|for) this (?:group|mailbox|recipient|list|distribution)',
    ),
  },
  {
    class: 'address-throttled',
    name: 'the reputation of our address, for now',
    needs:
      'ip|host|server|network|mta|reputation|complain|spam|suspicious|unusual|unsolicited|from|as(|deferred|denied|temporarily|client|delayed|isp|connection|provider|as777',
    when: is4,
    says: new RegExp(
      [
        `${OUR_HOST}[^;]{0,100}(?:reputation|suspicious|complain|unsolicited|abus|temporar|deferred|throttl|unusual|rate.limited)`,
        `(?:reputation|complaints?|unsolicited|suspicious|unusual)[^;]{0,80}(?:${OUR_HOST}|\\bip\\b)`,
        '(?:messages|mail|e-?mails?|connections?)[^;]{0,20} from (?:\\[?\\d{1,3}(?:\\.\\d{1,3}){3}|your|this)[^;]{0,60}(?:deferred|throttl|temporar|limited|delayed)',
        '(?:ip|sender|low|poor|bad) reputation|reputation (?:of|score|too|is|based)|user complaints|currently sending spam|access denied, please try again later|as\\(?777',
        '(?:deferred|delayed) - see|temporarily (?:blocked|blacklisted|block|refused|banned|denied)[^;]{0,60}(?:ip|address|host|server|spam|abuse)',
      ].join('|'),
    ),
    unless:
      /blocked (?:using|by) (?:[a-z\d-]+\.|trend micro)|permanently deferred|black ?-?listed (?:at|by|in|on)|listed (?:at|in|on|by)|sender (?:address )?(?:blocked|rejected)/,
  },
  {
    class: 'address-blocked',
    name: 'our address is on a list',
    needs:
      'spam|bl|list|using|ipcheck|talos|reputation|score|found|block|black|cloudmark|csi.|sorbs|uceprotect|abus|senderbase|hostkarma|proofpoint|permanently|originating|identified|marked|truncate|trend|ers-|junk|lookup|drbl|cobion|manitu|messages from|mailspike|invaluement|backscatter|lashback|gbudb|classified|rejected|refused',
    says: new RegExp(
      [
        `(?<![a-z\\d])(?:${LISTS})`,
        '(?:client|client host|connection|host|ip|address|server|mta|mail)\\b[^;]{0,80}(?:blocked|rejected|refused|listed|denied|found) (?:using|by|at|in|on|due to)[^;]{0,40}(?:list|\\.[a-z]{2,}|rbl|bl\\b|database)',
        'blocked using (?!spam pattern)|originating from your ip|permanently deferred|messages from \\S+ will be|identified as (?:a )?spam|ip (?:address )?(?:identified|classified|marked)|found (?:in|on) (?:one or more )?(?:black|block|dns|rbl)|(?:in|on) (?:a|our|the|an|their|its|one or more|some|local|internal)? ?(?:[a-z]+ )?(?:black|block|deny) ?-?lists?|blocklisting|black-?hole',
      ].join('|'),
    ),
    unless: words(
      'sender address|mail from:|envelope (?:sender|from)|from (?:address|domain)|url|uri|recipient.{0,20}(?:black|block) ?-?list|customer block ?-?list|black ?-?listed by (?:the )?(?:recipient|user)|user in black|sender .{0,20}(?:in|on) (?:a|the|our|my|your)? ?(?:black|block)|bypass list|white|not on|e-?mail address|your address|spam score|scored',
    ),
  },
  {
    class: 'address-blocked',
    name: 'our address or host is refused',
    needs:
      'ip|host|server|connect|reputation|network|adress|spam|harvest|attack|isp|mta|client|access|countr|geo|provider|smtp|.|welcome|invalid|subnet|block|use this',
    temporary: 'address-throttled',
    says: new RegExp(
      [
        `(?<![a-z])${OUR_HOST}\\b[^;]{0,100}(?:${REFUSED})`,
        `(?:${REFUSED})\\w*[^;]{0,60}(?<![a-z])(?:${OUR_HOST})\\b`,
        `\\b\\d{1,3}(?:\\.\\d{1,3}){3}\\b[^;]{0,80}(?:${REFUSED_IP})`,
        `(?:${REFUSED_IP})\\w*[^;]{0,60}\\b\\d{1,3}(?:\\.\\d{1,3}){3}\\b`,
        `\\bip(?: ?-?address)?\\b[^;]{0,60}(?:${REFUSED})|(?:${REFUSED})\\w*[^;]{0,50}\\bip(?: ?-?address)?\\b`,
        'client host rejected|not allowed to connect|no access for (?:this|your) ip|connections? (?:from|will not|not|was|is|has been)[^;]{0,60}(?:not (?:be )?(?:accepted|allowed|permitted)|reject|refus|block|den)|connection (?:refused|rejected|denied|blocked)|not accepting connections|access (?:to this (?:mail )?(?:system|server)) (?:has been |is )?(?:denied|rejected)|no smtp service|smtp service not available for you|not (?:allowed|authori[sz]ed|permitted) to (?:connect|send (?:e?-?mail|mail|messages) directly|use this (?:mail ?server|server|host))|you are not welcome|poor reputation|bad reputation|ip reputation|low reputation|reputation|geographic|country|geo-?ip|adresse ip|ip-adresse|spam source|spammer|too many invalid recipients|directory harvest|harvest|dictionary attack|bounce attack|your (?:mail )?server|host network',
      ].join('|'),
    ),
    unless: words(
      'user unknown|unknown user|no such|does not exist|sender address|mailfrom|mail from:|envelope|sender domain|recipient domain|domain reputation|from:|blocked senders?|this message (?:was|is) (?:likely|detected|classified)|message (?:content|looks)|content|url|mailbox is|mailbox full|quota|greylist|subscri|not (?:accept|serve|host|handle) mail for|relay|user\\b|rate|frequency|too many (?:messages|mails|recipients)|timed? ?out|lost',
    ),
  },
  {
    class: 'rate',
    name: 'too much in this time',
    needs:
      'rate|throttl|too |slow|exceed|maximum|limit|frequency|volume|veloc|throughput|per |excessive|unusual|bandwidth|traffic|flood|permitted',
    says: words(
      'limit of (?:messages|mails|e-?mails)|rate.?(?:limit|control|exceed|restrict)|throttl|too (?:fast|quickly|much (?:mail|traffic|e-?mail))|slow ?down',
      `(?:too many|exceed\\w*|maximum|limit)${near(50)}\\b(?:messages?|mails?|e-?mails?|recipients?|requests?|rcpts?)\\b${near(40)}(?:hour|day|minute|second|time|recent|short|period|allowed|permitted|limit)`,
      'too many (?:recent |new |incoming )?(?:messages|e-?mails|mails|requests|deliveries)',
      `(?:message|mail|sending|connection|submission|sender|ip|send|delivery|e-?mail) (?:rate|frequency|volume|velocity|throughput)`,
      `(?:messages?|mails?|recipients?|connections?) per (?:hour|minute|second|day)`,
      `frequency${near(20)}limit|excessive|high volume|unusual (?:rate|volume|amount)|unexpected volume|volume${near(30)}(?:exceed|limit|high)|permitted limits|bandwidth|traffic limit|too often|flood|limit(?:e)? (?:atteinte|erreicht)`,
      `too many recipients${near(30)}(?:hour|day|minute|time|recent)`,
    ),
    unless: words('size|storage|mailbox (?:full|is)|header|line'),
  },
  {
    class: 'too-big',
    name: 'too big',
    needs: 'size|large|big|long|length|exceed|taille|gro',
    says: words(
      `(?:message|mail|e-?mail|attachment|header|body|data|content)s?${near(40)}(?:too (?:big|large|long)|size|larger|bigger|exceeds? (?:the )?(?:maximum|max|fixed|allowed|limit|size))`,
      `(?:size|length)${near(40)}(?:limit|exceed|maximum|too|larger)|(?:exceed|maximum|max|over)\\w*${near(30)}(?:size|length)\\b|too (?:large|big)\\b|larger than|taille${near(30)}(?:limite|message|max)|zu gro(?:ss|ß)`,
    ),
    unless: words(
      'mailbox|quota|storage|inbox|account|user|folder|recipient(?:.s)? (?:mail ?box|inbox)|line|header (?:missing|syntax|section|is too long)',
    ),
  },
  {
    class: 'mailbox-full',
    name: 'over quota',
    needs:
      'full|quota|storage|exceed|exeed|limit|space|plein|voll|llen|piena|exhaust|satur|too large|over |mailbox size|mailbox|inode',
    says: words(
      `(?:mailbox|mail ?-?box|inbox|account|user|recipient|quota|storage|maildir|mail ?drop|boite|postfach|buzon|casella|box|mail ?folder)${near(60)}\\b(?:full|over ?-?quota|out of (?:storage|space|quota)|exc?e?e?d\\w*${near(30)}(?:quota|storage|limit|size|alloc|space)|limit exc?e|over (?:its |the |the allowed |allotted )?(?:quota|limit|size|storage)|no (?:more )?space|pleine?|voll|llen[oa]|piena|exhausted|saturee|too large)`,
      'over ?-?quota|out of (?:quota|storage|mailbox space)|no (?:storage|disk) space (?:left )?for (?:this )?(?:user|mailbox)',
      `quota${near(30)}(?:exceed|full|violat|reach|limit|depasse|uberschritten|excedid)|exceed\\w*${near(30)}(?:quota|storage|mailbox|allocation)`,
      `(?:not enough|insufficient) (?:storage|space|mailbox|disk)${near(30)}(?:mailbox|user|recipient|account|quota)`,
      'mailbox size|blocks limit exceeded|inode limit|message store is full|full mailbox',
    ),
    unless: words('organi[sz]ation|system (?:storage|is full)|queue|server'),
  },
  {
    class: 'malformed',
    name: 'the form of the message',
    needs:
      'rfc|malform|badly|complian|header|from|date|message|subject|to:|mime|bare|stray|line|ascii|8|null|illegal|invalid|boundary|control|utf8|charset|encoding|syntax|format',
    says: words(
      `rfc ?-?(?:2822|822|5322|2045|2047|6532|5321)\\b`,
      `malformed|badly formed|format (?:restriction|violation|error)|(?:not|non)[- ](?:rfc[- ])?complian`,
      `headers?${near(60)}(?:miss|invalid|duplicat|multiple|syntax|too (?:long|many)|illegal|malform|bad|required|empty|not (?:allowed|valid|found|present)|absent|unparsable|broken|incorrect|does not|non-ascii|unencoded|8.?bit)`,
      `(?:miss(?:ing|es)?|invalid|multiple|duplicate|no|bad|blank|empty|lacks?|illegal|malformed|without)${near(30)}(?:headers?\\b|from:|\\bdate\\b|message-?id|\\bsubject\\b|from (?:field|address|line)|to:|mime)`,
      'bare (?:lf|cr|line ?-?feed|new ?line|carriage)|barelinefeed|stray line|line ?-?(?:too long|length)|lines? (?:is |are )?too long|long lines?|non-?ascii|8-?bit|null (?:byte|char|sender)|illegal (?:character|8bit)|invalid (?:character|mime|message format|content-transfer|date|message-id)|mime (?:error|depth|structure|parts)|date[^;]{0,30}(?:future|past|invalid)|(?:future|invalid) date|boundary|control character|smtputf8|unsupported (?:charset|encoding)|syntax error in (?:header|message|from)|message (?:format|syntax) ',
    ),
    unless: words('recipient address|user unknown|sender address rejected|no such'),
  },
  {
    class: 'sender-bad',
    name: 'the domain of the sender does not take mail',
    needs: 'sender|from|return|envelope|originat|revers|expediteur|emetteur|absender|remitente|verif|domain|mx|dns|valid',
    says: words(
      `(?:sender|return|from|mail ?from|envelope|originat\\w*|reverse.path|expediteur|emetteur|absender|remitente)\\b(?!: <> user)(?! address rejected: (?:access|user|policy|not|block|reject))${near(70)}(?:not (?:found|exist|resolve|valid|have|accept mail|be (?:found|verified|resolved))|does ?n.?.?t (?:exist|resolve|have|accept)|unresolv|invalid|non-?exist|bogus|no (?:mx|a\\b|aaaa|dns|such|valid)|(?:could|can) ?not (?:be )?(?:verif|resolv|found|validat)|unable to verify|verif\\w* fail|verify fail|unknown|undeliverable|unverified|null mx|callout|callback|unroutable|unrouteable|invalide|ungultig|must (?:exist|resolve|be)|resolve fail|is not valid|misconfigur|mx record)`,
      `(?:verify|verification|validate|callout|callback)${near(30)}\\b(?:sender|from|return|envelope)`,
      'sender domain must|domain (?:of|for|in) (?:the )?(?:sender|mail from|envelope|return)[^;]{0,70}(?:exist|resolv|no |not |invalid|unknown|verif)|(?:sender|from)[ -]?domain[^;]{0,60}(?:exist|resolv|no mx|not |invalid|unknown|dns)|valid (?:sender|from|return) (?:domain|address)|invalid mail from|no (?:mx|a|dns)[^;]{0,30}(?:sender|from domain|your domain)|dns (?:check|lookup)[^;]{0,30}(?:sender|domain)',
    ),
    unless: words(
      'recipient address|sender (?:is )?(?:not authenticated|unauthenticated|blocked)|dmarc|spf|user unknown|unknown user|mailbox (?:unknown|not)|white ?-?list|allow ?-?list|allowed-senders',
    ),
  },
  {
    class: 'relay-denied',
    name: 'does not take mail for that domain',
    needs: 'relay|rcpthosts|local|gateway|domain|host|accept|serve|tenant|relais|weiterleitung|handle',
    says: words(
      `relay(?:ing|ed)?\\b${near(50)}(?:den|not|prohibit|disallow|refus|forbid|reject|block|access|permit|allow)`,
      `(?:not|n't|n.t|no|unable|cannot|refuse|never|den(?:y|ied))${near(40)}\\brelay|as a relay`,
      `rcpthosts|not (?:a |one of )?(?:our |my )?(?:local|gateway|hosted) (?:domain|host)|open relay|not local\\b|non-?local|locally hosted`,
      `(?:domain|host)${near(50)}(?:not (?:served|handled|hosted|local|in (?:my|our)|accepted|configured|found here|serviced)|n.t (?:in my list|hosted|served|handled|accept)|isn.?t in)`,
      'does(?: not|n.t) (?:handle|host|serve|accept mail for)|we (?:do not|don.t) (?:handle|host|serve|relay|accept mail for)|not (?:accept|accepting|responsible for|configured to accept|handle|hosting|receive)[^;]{0,20} (?:mail|e-?mail|messages)? ?(?:for|to) (?:this|that|the|the specified|your) (?:domain|host)|no (?:such|valid) (?:domain|tenant)|tenant (?:or domain )?not found|mail for[^;]{0,40}not accepted|relais|weiterleitung nicht',
    ),
    unless: words(
      'external senders|outside senders|sender domain|sender address|mail from domain|spammer|your ip (?:is|was|has)',
    ),
  },
  {
    class: 'mailbox-disabled',
    name: 'the mailbox is closed',
    needs:
      'disabl|active|suspen|clos|lock|froz|expir|terminat|discont|no longer|archiv|not |bloque|cancel|delet|remov|retir|abandon|gesperrt|activ|dormant|unused|left|moved|blocked|on hold|not longer',
    says: words(
      `(?:user|mailbox|mail ?-?box|account|recipient|e-?mail address|address|boite|compte|postfach|konto|cuenta|customer|member|e-?mail|domain|alias)\\b(?<!your account)(?<!sender address)(?<!ip address)${near(60)}\\b(?:disabled|in-?active|suspend|de-?activat|closed|locked|frozen|expired|terminat|discontinued|no longer (?:active|in use|accept|used|on (?:the )?server|with|work|employ|monitored|receiv)|archive|not (?:active|activated|enabled|in service)|bloque|cancel|deleted|removed|retired|abandon|gesperrt|deaktiviert|desactiv|dormant|unused|left the|moved|blocked (?:due|because|for inactiv)|has been blocked|is blocked|on hold)`,
      `(?:disabled|inactive|suspended|expired|closed|deactivated|terminated|discontinued|locked|unused|dormant) (?:user|mailbox|account|recipient|address|e-?mail|destination)`,
      'disableduser|account (?:that you tried to reach )?is disabled|user (?:is )?inactive|has (?:left|moved)|not? longer (?:works|employed)',
    ),
    unless: words(
      'your (?:account|ip|domain|server|mail|address)|sender|ip address|client host|message(?:s)? (?:has been|was|is) blocked|sending|smtp service|temporarily (?:locked|disabled|suspended|unavailable)|blocked by|blocked using|url|attachment|this message',
    ),
  },
  {
    class: 'recipient-temp',
    name: 'the recipient could not be checked now',
    needs:
      'verif|temporar|unavail|not |lookup|look up|busy|lock|in use|later|defer|unreach|unable|fail|ldap|call|check|suspend|domain failure',
    when: is4,
    says: words(
      'unverified address|address verification|verification (?:in progress|failed temporar)|verify (?:recipient|address)|recipient verif',
      `(?:recipient|mailbox|user|account|address|destinat\\w*)${near(50)}(?:temporar|unavailable|not available|lookup|verif|busy|locked|in use|try (?:again )?later|cannot be (?:checked|verified|accessed)|defer|unreachable|not (?:reachable|responding))`,
      `(?:temporar\\w*|unable to|could not|cannot|failed to)${near(40)}(?:recipient|mailbox|user|alias|address|verify|lookup|look up)`,
      'temporary (?:lookup|recipient|user|domain|address|alias)|ldap|callout|callback|callahead|call ?forward|user lookup|recipient check',
      'mailbox (?:locked|in use|is busy)|delivery temporarily suspended|domain failure',
    ),
    unless: words('sender|rate|resources|too many|client host|your ip|spam|queue|system|server busy|helo'),
  },
  {
    class: 'no-such-user',
    name: 'no such mailbox',
    needs:
      "unknown|not |such|exist|invalid|n.t|n't|doesnt|recipient|user|address|unrecog|bad|illegal|incorrect|undeliver|inconn|unbekannt|sconosci|desconocid|onbekend|nieznan|exist|wrong|valid|no ",
    says: words(
      `(?:user|mailbox|mail ?-?box|recipients?|addressee|account|e-?mail (?:account|address)|alias|local ?-?part|person|id|destinataire|utilisateur|empfaenger|empfanger|benutzer|usuario|utente|destinatari[oa]|destination|kunde|uzivatel|gebruiker|uzytkownik|odbiorca|bruker|kasutaja)\\b${near(60)}(?:unknown|unrecogni[sz]ed|not (?:found|exist|known|valid|listed|available|a valid|a known|our|recogni[sz]ed|in (?:recipient|our|the|this|virtual|local|relay)|be found|there|defined|deliverable|locat|registered|on this|present|here\\b)|n.?.?t (?:exist|found|have|deliver|valid)|does ?n.?.?t exist|do(?:es)? not exist|doesnt exist|no longer (?:exist|valid|available|here)|invalid|inconnue?|unbekannt|desconocid|incorrect|undeliverable|unallocated|nonexist|non-?exist|ungultig|existiert nicht|n.?existe pas|invalide|no existe|inesistente|sconosciut|non esiste|nao existe|neexist|onbekend|nie istnieje|nieznany|could not be found|cannot be found|is bad|bad address|not a member)`,
      `(?:no such|unknown|invalid|unrecogni[sz]ed|non-?existent|nonexist\\w*|bad|illegal|undeliverable|incorrect|unrout(?:e)?able|no valid|not a valid|not valid|wrong|no|there is no|no known|nosuch) ?(?:local |virtual |domain |destination |e-?mail |mail )*(?:user|mailbox|recipients?|addressee|address|account|alias|person|customer|mail ?-?drop|mailhost|mail ?-?box|id|destination|name|subscriber|one)\\b`,
      `doesn.?t have a[^;]{0,40}account|not our customer|n.t deliver mail for|cannot deliver (?:mail )?(?:for|to)|no mailbox (?:here )?by that name|name not allowed|not deliverable|recipient (?:not found|rejected|unknown)|recipientnotfound|nosuchuser|host unknown|host or domain name not found|domain (?:name )?(?:not found|does(?: not|n.t) exist)|address (?:unknown|does not|not found)|delivery address|that (?:address|user)|user (?:not found|unknown)|mailbox (?:not found|unknown)|not in recipient list|in virtual (?:mailbox|alias) table|local recipient table|relay recipient table|resolver\\.adr|adresse[^;]{0,40}invalide|unknown in|550 unknown`,
    ),
    unless: words(
      'sender (?:address|domain|verify|unknown|not|is|rejected)|from address|from: |return address|mail from|mailfrom|header|subscri|client host|your ip|authenticat|helo|hostname|credentials|user.{0,20}(?:password|login)|spam|virus|policy (?:of|for) the (?:sender|domain)|message-?id|host unknown by|too many|many invalid|invalid recipients (?:exceed|limit)',
    ),
  },
  {
    class: 'recipient-policy',
    name: 'the recipient refuses this sender',
    says: words(
      `(?:administrative(?:ly)? (?:prohibit|block|den)|blocked by (?:the )?(?:recipient|user|admin|policy|customer|organi[sz]ation|domain|owner|rule|mail)|block(?:ed)? senders?|black ?-?listed by (?:the )?(?:recipient|user)|personal (?:block|black)|customer block|(?:recipient|user|subscriber)(?:'?s)? (?:personal )?(?:black|block|deny) ?-?list|delivery not authori)`,
      `(?:sender|from|you|your (?:e-?mail )?address|your domain|your message)\\b${near(50)}\\b(?:blocked|denied|rejected|black ?-?listed|not (?:allowed|permitted|authori[sz]ed|accepted|on)|banned|refused|prohibited|restricted|in (?:my|our|the|your) (?:bad|black|block))`,
      `(?:denied|rejected|blocked|refused) (?:by|due to|because of|for) (?:the )?(?:recipient|user|rule|policy|organi[sz]ation|sender|administrator|destination|customer|local rule|mailbox)`,
      `not (?:allowed|authori[sz]ed|permitted) to (?:send|post|mail|write|e-?mail|deliver)|not accept(?:ing|ed)? (?:any )?(?:mail|messages?|e-?mail)s? from|only accepts?|accepts? (?:mail|messages) (?:only )?from|not (?:on|in) (?:the |our |a |an |my )?(?:white|allow|bypass|safe|approved|accepted|list of allowed)|not subscribed|moderat|members? only|closed list|from (?:external|outside|foreign) (?:senders|sources|domains|addresses)|restricted (?:mailbox|group|list|address)|does(?: not|n.t) (?:want|wish|accept|allow|receive)|privacy settings|preferences|access denied|prohibit|not ?authenticated ?for ?(?:group|mailbox|this|distribution)|delivery restriction|sendernotauthenticated\\w*|resolver\\.rst|target address|envelope (?:blocked|rejected)`,
    ),
    unless: words('ip ?-?address|your ip|client host|spam|content'),
  },
  {
    class: 'content-spam',
    name: 'looks like spam',
    says: words(
      'spam|gtube|unsolicited|junk|bulk (?:mail|e-?mail)|ube\\b|uce\\b|phish|scam|fraud|bayes|spamassassin|rspamd|razor|pyzor|dcc\\b|cyren|commtouch|vade|cloudmark|pourriel|indesirable|ungewollt|werbung|no deseado|indesiderat|ongewenst',
      `(?:message|content|mail|e-?mail|body|text|subject)${near(50)}(?:filter|refus|reject|den(?:y|ied)|block|not (?:accepted|allowed|permitted)|look|suspicious|inappropriate|unaccept|prohibit|policy|quarantin|offensive|discard|classif|score|threat)`,
      `(?:reject|refus|block|den|filter|suspicious|inappropriate|forbidden|prohibited|unwanted|objectionable|bad)\\w*${near(40)}\\b(?:message|content|e-?mail|body|text|subject|mail)\\b`,
      'content (?:filter|polic|restrict|reject|den|scan)|local polic|security polic|policy (?:reason|violation|restriction|reject|filter)|policies|rule imposed|mail rejete|high score|transaction failed|classified|score of',
    ),
    unless: words('mailbox|user unknown|not spam|resources|system|temporarily rejected message'),
  },
  {
    class: 'recipient-policy',
    name: 'a policy at the recipient',
    vague: true,
    when: (reply) => !isData(reply) && is5(reply),
    says: words(
      'recipient address rejected|polic(?:y|ies)|access denied|denied|prohibited|refused|not (?:accepted|allowed|permitted|authori[sz]ed)|restricted|does not accept|unacceptable|forbidden|sender rejected|sender denied|rejected by',
    ),
    unless: words('try (?:again )?later|temporar|ip ?-?address|your ip'),
  },
  {
    class: 'no-such-user',
    name: 'a mailbox that is not available',
    vague: true,
    when: (reply) => is5(reply) && (reply.phase === 'rcpt' || reply.phase === 'data'),
    says: words(
      'mailbox (?:is )?(?:unavailable|not available|syntax incorrect|name (?:is )?(?:not allowed|invalid))|no mailbox|address (?:rejected|error|invalid)|undeliverable|bad destination|recipient (?:address )?(?:unavailable|not available|undeliverable)|user (?:unavailable|not available)|unable to deliver to|permanent failure for one or more recipients',
    ),
    unless: words('sender|ip ?-?address|your ip|spam|polic|access'),
  },
];

/** What the receiver says of its own trouble. It is asked last, after the status. */
export const BUSY =
  /temporar|try (?:it )?(?:again|later)|retry|later|busy|unavailable|not available|overload|load (?:too|is)|system (?:error|resource|storage|problem|fail)|insufficient (?:system|resource|storage|disk|space)|resources|internal (?:error|server|problem|fail)|time ?d? ?-?out|lost connection|queue|local error|maintenance|configuration (?:error|problem)|server (?:error|problem|config|fail|busy|not)|failure|failed|disk|defer|shutting down|unable to (?:process|accept|complete|connect|contact|open)|could not (?:process|complete|connect|load|open)|cannot (?:process|accept|connect|open)|connection (?:expired|dropped|closed|timed|reset)|greeting|database|lookup|dns|problem|closing|error writing|write error|no space left|blame it on|license|not ready|starting up|try another|down for|backend|milter|proxy|processing|delivery agent|transient|spater|trouble|plus tard|ulterieurement|reessay|mas tarde|mais tarde|piu tardi|riprov|erneut|opnieuw|wartung|onderhoud|manutenzione/;
